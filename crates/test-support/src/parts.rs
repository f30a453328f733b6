//! Real MCP servers that nobody here wrote, for the tests that `cargo xtask test` feeds.

use std::path::PathBuf;

/// The installed parts; `xtask/src/parts.rs` says what they are.
#[derive(Debug, Clone)]
pub struct RealParts {
    folder: PathBuf,
}

impl RealParts {
    /// Finds the parts of `CODEX_TEST_PARTS`. A test that gets `None` is left out: it says so on
    /// stderr, and under CI that is a failure.
    pub fn find() -> Option<Self> {
        if let Some(folder) = std::env::var_os("CODEX_TEST_PARTS") {
            return Some(Self {
                folder: folder.into(),
            });
        }
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        assert!(
            !is_ci,
            "CI leaves nothing out: run `cargo xtask test`, which sets CODEX_TEST_PARTS"
        );
        eprintln!("left out: CODEX_TEST_PARTS is not set; `cargo xtask test` sets it");
        None
    }

    /// Returns program and arguments of the npm reference server, over `stdio` or
    /// `streamableHttp` (which reads its port from `PORT`).
    pub fn everything_server(&self, transport: &str) -> (PathBuf, Vec<String>) {
        let script = self
            .part("npm")
            .join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
        (
            self.node(),
            vec![script.to_string_lossy().into_owned(), transport.to_owned()],
        )
    }

    /// Returns Node 22.
    pub fn node(&self) -> PathBuf {
        self.part("npm").join("node_modules/node/bin/node")
    }

    /// Returns the folder whose `node_modules` holds the npm packages.
    pub fn npm_folder(&self) -> PathBuf {
        self.part("npm")
    }

    /// Returns the PyPI time server, which takes no arguments.
    pub fn time_server(&self) -> PathBuf {
        self.part("python").join("venv/bin/mcp-server-time")
    }

    fn part(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        assert!(
            folder.exists(),
            "the part `{name}` is not installed; run `cargo xtask test`"
        );
        folder
    }
}
