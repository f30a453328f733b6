//! Real MCP servers that nobody here wrote, for the tests that `cargo xtask test` feeds.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::PartServer;

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

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
        assert!(
            !is_ci(),
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

    /// Starts the certified authorization server with the MCP server that it protects;
    /// `parts/oidc-server.mjs` says what `options` may hold and what its words are.
    pub fn oidc_server(&self, options: &Value) -> PartServer {
        self.node_server("oidc-server.mjs", &[&options.to_string()])
    }

    /// Starts a script of `parts` that serves npm packages.
    pub fn node_server(&self, script: &str, more: &[&str]) -> PartServer {
        let (script, npm) = (Self::script(script), self.npm_folder());
        let fixed = [script.as_os_str(), npm.as_os_str()];
        let more = more.iter().map(OsStr::new);
        PartServer::start(&self.node(), fixed.into_iter().chain(more))
    }

    /// Starts a script of `parts` that serves PyPI packages.
    pub fn python_server(&self, script: &str, more: &[&str]) -> PartServer {
        let (python, script) = (self.python(), Self::script(script));
        let fixed = std::iter::once(script.as_os_str());
        PartServer::start(&python, fixed.chain(more.iter().map(OsStr::new)))
    }

    /// Returns a script that drives parts.
    pub fn script(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("parts")
            .join(name)
    }

    /// Finds Chromium. A test that gets `None` is left out: it says so on stderr, and under CI that
    /// is a failure.
    pub fn chromium() -> Option<PathBuf> {
        Self::of_the_machine("chromium", "chromium")
    }

    /// Finds a program that the machine has when its Debian package is installed; like
    /// [`Self::chromium`] when not.
    pub fn of_the_machine(program: &str, package: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|program| program.is_file());
        if found.is_none() {
            let why = format!("`{program}` is missing (package {package})");
            assert!(!is_ci(), "CI leaves nothing out: {why}");
            eprintln!("left out: {why}");
        }
        found
    }

    /// Returns the Python that has the PyPI packages.
    pub fn python(&self) -> PathBuf {
        self.part("python").join("venv/bin/python")
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
