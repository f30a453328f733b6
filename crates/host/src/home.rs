//! Where the user's settings live.

use std::path::{Path, PathBuf};

use crate::{AbsPath, Env};

/// Why there is no home for settings.
#[derive(Debug, thiserror::Error)]
pub enum CodexHomeError {
    /// The variable names something that is not there.
    #[error("CODEX_HOME points to {0:?}, but that path does not exist")]
    Missing(PathBuf),
    /// The variable names a file.
    #[error("CODEX_HOME points to {0:?}, but that path is not a directory")]
    NotADirectory(PathBuf),
    /// The variable names something that cannot be looked at.
    #[error("CODEX_HOME points to {path:?}, but that path cannot be read")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Neither variable is set.
    #[error("Could not find home directory")]
    NoHome,
}

/// The directory that holds `config.toml`, threads and logs: `$CODEX_HOME`, else `~/.codex`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodexHome(AbsPath);

impl CodexHome {
    /// Finds the directory. `~/.codex` need not exist: the first write makes it.
    pub fn find(env: &Env) -> Result<Self, CodexHomeError> {
        if let Some(value) = env.get_os("CODEX_HOME").filter(|value| !value.is_empty()) {
            return Self::from_variable(Path::new(value));
        }
        let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let home = env.get_os(variable).filter(|value| !value.is_empty());
        let home = AbsPath::new(PathBuf::from(home.ok_or(CodexHomeError::NoHome)?));
        Ok(Self(
            home.map_err(|_| CodexHomeError::NoHome)?.join(".codex"),
        ))
    }

    /// Takes a directory that is already known, as tests and embedders do.
    pub fn at(path: AbsPath) -> Self {
        Self(path)
    }

    /// Returns the directory.
    pub fn path(&self) -> &AbsPath {
        &self.0
    }

    /// Returns the user's config file.
    pub fn config_file(&self) -> AbsPath {
        self.0.join("config.toml")
    }

    /// Returns a path below the directory.
    pub fn join(&self, relative: impl AsRef<Path>) -> AbsPath {
        self.0.join(relative)
    }

    fn from_variable(value: &Path) -> Result<Self, CodexHomeError> {
        let path = value.to_owned();
        let real = match std::fs::canonicalize(value) {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CodexHomeError::Missing(path));
            }
            Err(source) => return Err(CodexHomeError::Unreadable { path, source }),
        };
        if !real.is_dir() {
            return Err(CodexHomeError::NotADirectory(path));
        }
        AbsPath::new(real)
            .map(Self)
            .map_err(|_| CodexHomeError::Missing(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 1.codex-home.
    #[test]
    fn without_the_variable_it_is_dot_codex_in_the_home() {
        let home = CodexHome::find(&Env::from_pairs([("HOME", "/h"), ("CODEX_HOME", "")]));
        assert_eq!(
            home.unwrap().config_file().as_path(),
            Path::new("/h/.codex/config.toml")
        );
    }

    /// Row 1.codex-home.
    #[test]
    fn a_variable_that_names_nothing_is_an_error() {
        let error = CodexHome::find(&Env::from_pairs([("CODEX_HOME", "/no/such")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"CODEX_HOME points to "/no/such", but that path does not exist"#
        );
    }

    #[test]
    fn a_variable_that_names_a_file_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = CodexHome::find(&Env::from_pairs([("CODEX_HOME", file.path())])).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("but that path is not a directory")
        );
    }

    #[test]
    fn no_home_at_all_is_an_error() {
        let error = CodexHome::find(&Env::default()).unwrap_err();
        assert_eq!(error.to_string(), "Could not find home directory");
    }
}
