//! A user's machine in a temporary folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::command::CodexCommand;
use crate::responses::MockResponses;

/// A `CODEX_HOME`, a `HOME` and a working directory of one test's own, gone when it ends.
#[derive(Debug)]
pub struct TestHome {
    root: TempDir,
    base_path: PathBuf,
    env: Vec<(String, String)>,
}

impl TestHome {
    /// Makes an empty home without a `config.toml`.
    pub fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("codex-test-")
            .tempdir()
            .expect("the temporary folder can be written");
        // Resolved once, so that no test stumbles over a temporary folder that is a symlink.
        let base_path = root
            .path()
            .canonicalize()
            .expect("the folder was just made");
        let home = Self {
            root,
            base_path,
            env: Vec::new(),
        };
        for folder in [home.codex_home(), home.home(), home.cwd()] {
            std::fs::create_dir(folder).expect("a new folder is empty");
        }
        home
    }

    /// Makes a home with this `config.toml`.
    pub fn with_config(text: &str) -> Self {
        let home = Self::new();
        home.write_config(text);
        home
    }

    /// Makes a home whose built-in provider is `provider` (key included), with more config after.
    ///
    /// Top-level keys of `text` must come before its tables, as in any TOML.
    pub fn with_provider(provider: &MockResponses, text: &str) -> Self {
        let url = provider.base_url();
        Self::with_config(&format!("openai_base_url = \"{url}\"\n{text}"))
            .env("CODEX_API_KEY", "test-key-of-the-mock")
    }

    /// Sets a variable for every command of this home.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Returns `CODEX_HOME`.
    pub fn codex_home(&self) -> PathBuf {
        self.base_path.join("codex-home")
    }

    /// Returns `HOME`.
    pub fn home(&self) -> PathBuf {
        self.base_path.join("home")
    }

    /// Returns the working directory of the commands.
    pub fn cwd(&self) -> PathBuf {
        self.base_path.join("work")
    }

    /// Returns the folder that holds all three; a place for other files of the test.
    pub fn path(&self) -> &Path {
        &self.base_path
    }

    /// Returns the path of `config.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.codex_home().join("config.toml")
    }

    /// Returns the text of `config.toml`, empty when there is none.
    pub fn config(&self) -> String {
        std::fs::read_to_string(self.config_file()).unwrap_or_default()
    }

    /// Replaces `config.toml`.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.config_file(), text).expect("the temporary folder can be written");
    }

    /// Writes a file of the working directory, folders included, and returns its path.
    pub fn write_file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.cwd().join(name);
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder).expect("the temporary folder can be written");
        std::fs::write(&path, bytes).expect("the temporary folder can be written");
        path
    }

    /// Writes a file of `/etc/codex`, as the commands of this home see it and nobody else does.
    ///
    /// Only for a test that asked [`private_etc`](crate::private_etc) first.
    pub fn write_system_file(&self, name: &str, text: &str) {
        let folder = self.etc().join("codex");
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        std::fs::write(folder.join(name), text).expect("the temporary folder can be written");
    }

    /// Returns the folder that becomes `/etc` when it exists.
    pub(crate) fn etc(&self) -> PathBuf {
        self.base_path.join("etc")
    }

    /// Returns the environment of the commands: these and no others.
    pub fn env_pairs(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.to_str().expect("a test path is UTF-8").to_owned();
        let mut pairs = vec![
            ("CODEX_HOME".to_owned(), text(self.codex_home())),
            ("HOME".to_owned(), text(self.home())),
            // Programs such as `node` or `sh` are still found.
            ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
            ("TMPDIR".to_owned(), text(self.base_path.clone())),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("TZ".to_owned(), "UTC".to_owned()),
        ];
        pairs.extend(self.env.iter().cloned());
        pairs
    }

    /// Prepares `codex ARGS…` in this home.
    pub fn codex<I>(&self, args: I) -> CodexCommand
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        CodexCommand::new(crate::codex_program(), args, self).without_secrets()
    }

    /// Prepares another program in this home, with the same environment and limits.
    pub fn program<I>(&self, program: impl Into<PathBuf>, args: I) -> CodexCommand
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        CodexCommand::new(program.into(), args, self)
    }

    /// Keeps the folder after the test and returns it, to look at a failure by hand.
    pub fn keep(mut self) -> PathBuf {
        self.root.disable_cleanup(true);
        self.base_path.clone()
    }
}

impl Default for TestHome {
    fn default() -> Self {
        Self::new()
    }
}
