# Thin aliases; the work is in xtask.

default: test

# Every check and every suite, as CI does
test *ARGS:
    cargo xtask test {{ARGS}}

# A recorded turn against a real MCP server
demo *ARGS:
    cargo xtask demo {{ARGS}}

# The laws of ARCHITECTURE.md
tidy:
    cargo xtask tidy

# Ours against the published binary
bench *ARGS:
    cargo xtask bench {{ARGS}}

# The official MCP conformance suite
conformance *ARGS:
    cargo xtask conformance {{ARGS}}
