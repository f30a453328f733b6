//! A stdio MCP server for tests; every way of behaving is a method of `FakeStdio`.

fn main() -> std::process::ExitCode {
    codex_test_support::fake_mcp_server_main()
}
