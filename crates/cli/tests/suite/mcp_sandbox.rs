//! `[mcp_servers.NAME] sandbox`: a server that tries to write, inside and outside of its folder.

use std::path::Path;

use codex_test_support::{FakeStdio, TestHome};
use insta::assert_snapshot;
use tempfile::TempDir;

/// A server in `folder/server` that writes a file there and one beside it before it speaks.
fn curious(folder: &Path, sandbox: &str) -> TestHome {
    let fake = FakeStdio::new();
    let script = "echo x > inside; echo x > ../outside; exec \"$@\"";
    let mut args = vec!["-c".to_owned(), script.to_owned(), "server".to_owned()];
    args.push(fake.program().to_string_lossy().into_owned());
    args.extend(fake.args().iter().cloned());
    // A list of strings is spelled alike in JSON and in TOML.
    let args = serde_json::to_string(&args).unwrap();
    let cwd = folder.join("server");
    std::fs::create_dir(&cwd).unwrap();
    TestHome::with_config(&format!(
        "[mcp_servers.x]\ncommand = \"sh\"\nargs = {args}\ncwd = {cwd:?}\n{sandbox}"
    ))
}

/// A folder outside of `/tmp`, which is open to a server in `workspace-write`.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Which of the two files the server has written, after a tool of it was called.
fn written(sandbox: &str) -> [bool; 2] {
    let folder = folder();
    let home = curious(folder.path(), sandbox);
    let output = home
        .codex(["mcp", "call", "x", "echo", "-a", "text=hi"])
        .run()
        .success();
    assert!(output.stdout.contains("ECHO:hi"), "{output}");
    ["server/inside", "outside"].map(|name| folder.path().join(name).exists())
}

/// Row 5.sandbox.
#[test]
fn a_server_writes_where_its_sandbox_lets_it() {
    assert_eq!(written(""), [true, true]);
    assert_eq!(written("sandbox = \"read-only\"\n"), [false, false]);
    assert_eq!(written("sandbox = \"workspace-write\"\n"), [true, false]);
    let more = "sandbox = { mode = \"workspace-write\", writable_roots = [\"..\"] }\n";
    assert_eq!(written(more), [true, true]);
}

#[test]
fn a_slip_in_the_sandbox_turns_the_server_off() {
    let folder = folder();
    let home = curious(folder.path(), "sandbox = \"readonly\"\n");
    let output = home.codex(["mcp", "call", "x", "echo"]).run();
    assert_eq!(output.exit(), Some(10), "{output}");
    assert!(!folder.path().join("outside").exists());
}

#[test]
fn a_server_that_ends_in_its_sandbox_is_told_what_it_may_lack() {
    let home = TestHome::with_config(
        "[mcp_servers.x]\ncommand = \"sh\"\nargs = [\"-c\", \"exec 2>/dev/null; echo data > /var/db\"]\n\
         sandbox = \"read-only\"\n",
    );
    let output = home.codex(["mcp", "tools", "x"]).run();
    assert_snapshot!(output.filtered_stderr(), @"
    Error: MCP server 'x' failed to start: ended before it was ready (exit status 2)
    hint: its sandbox may lack what it needs: network_access or writable_roots of `sandbox` in [mcp_servers.x]
    ");
}

#[test]
fn mcp_add_keeps_the_sandbox_of_a_server_that_is_replaced() {
    let home =
        TestHome::with_config("[mcp_servers.x]\ncommand = \"old\"\nsandbox = \"read-only\"\n");
    home.codex(["mcp", "add", "x", "--", "new"]).run().success();
    assert_snapshot!(home.config(), @r#"
    [mcp_servers.x]
    command = "new"
    sandbox = "read-only"
    "#);
}
