//! A `CODEX_HOME` whose config file is the input of the fuzzer.

use std::fs;
use std::path::PathBuf;

use codex_host::{AbsPath, CodexHome};
use tempfile::TempDir;

/// One folder for the whole run: making one for each input would cost more than the work itself.
pub struct Home {
    folder: TempDir,
    pub home: CodexHome,
}

impl Home {
    pub fn new() -> Self {
        // Memory where there is some: each input is a file.
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let folder = tempfile::tempdir_in(parent).expect("a temporary folder can be made");
        let path = AbsPath::new(folder.path()).expect("it is absolute");
        Self {
            folder,
            home: CodexHome::at(path),
        }
    }

    pub fn write(&self, text: &[u8]) {
        fs::write(self.file(), text).expect("the folder is ours");
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }
}
