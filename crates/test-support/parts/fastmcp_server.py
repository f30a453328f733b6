"""FastMCP from PyPI with its own authorization server: one process, the user always says yes.

Prints `ready <mcp url>` and ends with its stdin.
"""

import asyncio
import os
import socket
import sys
import threading

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
origin = f"http://127.0.0.1:{listener.getsockname()[1]}"

scopes = ["mcp:tools"]
registration = ClientRegistrationOptions(enabled=True, valid_scopes=scopes, default_scopes=scopes)
mcp = FastMCP(
    "fast",
    auth=InMemoryOAuthProvider(
        base_url=origin,
        client_registration_options=registration,
        revocation_options=RevocationOptions(enabled=True),
        required_scopes=scopes,
    ),
)


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_stdin, daemon=True).start()
server = uvicorn.Server(uvicorn.Config(mcp.http_app(), log_level="error"))
# The socket listens already: whoever comes now waits for the application.
print(f"ready {origin}/mcp", flush=True)
asyncio.run(server.serve(sockets=[listener]))
