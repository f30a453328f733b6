//! Where the programs of the workspace are: built by the test run itself, or on demand.
//!
//! `env!("CARGO_BIN_EXE_…")` exists only in the crate that owns the program, and tests of lower
//! crates need these too. Programs lie beside the running test (`target/debug/deps/x` ->
//! `target/debug`), except when only one package was built; then cargo builds them once.
//!
//! A program that is older than a source file of the workspace is handed to cargo as well, which
//! knows best; that costs nothing when the test run has just built everything.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Returns the `codex` binary of this build.
pub fn codex_program() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| program("codex-cli", "codex", "crates"))
        .clone()
}

/// Returns the stdio fake server; [`FakeStdio`](crate::FakeStdio) builds its arguments.
pub fn fake_mcp_server() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            program(
                "codex-test-support",
                "fake-mcp-server",
                "crates/test-support",
            )
        })
        .clone()
}

/// Returns the helper of the sandbox, for processes that are not `codex` themselves.
pub fn sandbox_helper() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            program(
                "codex-linux-sandbox",
                "codex-linux-sandbox",
                "crates/linux-sandbox",
            )
        })
        .clone()
}

/// Returns a program that starts `sh -c ARGV[1]` as Codex starts what it runs.
pub fn starting_parent() -> PathBuf {
    program("codex-process", "process-test-parent", "crates/process")
}

/// Returns the root of the workspace.
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the root")
}

fn program(package: &str, name: &str, sources: &str) -> PathBuf {
    let path = profile_folder().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if is_stale(&path, &workspace_root().join(sources)) {
        build(package, name);
    }
    assert!(
        path.exists(),
        "`cargo build -p {package}` did not make {}",
        path.display()
    );
    path
}

/// Returns `target/debug` or `target/release`, whichever the running test belongs to.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let folder = test.parent().expect("a program lies in a folder");
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("deps" | "examples") => folder
            .parent()
            .expect("deps lies in the profile folder")
            .into(),
        _ => folder.into(),
    }
}

fn is_stale(program: &Path, sources: &Path) -> bool {
    match program.metadata().and_then(|data| data.modified()) {
        Ok(built) => newest_source(sources).is_some_and(|changed| changed > built),
        Err(_) => true,
    }
}

/// Returns the latest change of a file of a crate; test folders do not go into a program.
fn newest_source(folder: &Path) -> Option<SystemTime> {
    let entries = folder.read_dir().ok()?.flatten();
    entries
        .filter_map(|entry| {
            let path = entry.path();
            match entry.file_type().ok()?.is_dir() {
                true if path.ends_with("tests") => None,
                true => newest_source(&path),
                false => entry.metadata().ok()?.modified().ok(),
            }
        })
        .max()
}

/// Prepares `cargo` in the root of the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root());
    // Cargo and nextest set these for us. A build script that watches one (ring's does) would be run
    // anew by every cargo that we start, and once more by the next one that a person starts.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

fn build(package: &str, name: &str) {
    let folder = profile_folder();
    let mut command = cargo();
    command.args(["build", "--quiet", "-p", package, "--bin", name]);
    if folder
        .file_name()
        .is_some_and(|profile| profile == "release")
    {
        command.arg("--release");
    }
    command.env(
        "CARGO_TARGET_DIR",
        folder
            .parent()
            .expect("a profile lies in the target folder"),
    );
    let output = command.stdin(Stdio::null()).output().expect("cargo runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot build `{name}`:\n{stderr}");
}
