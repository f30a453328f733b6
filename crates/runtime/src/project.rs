//! What the user says about the project of a run.

use std::path::PathBuf;

use codex_config::{ConfigFile, Project, TrustLevel};

use crate::Loaded;

/// Why trust was not saved.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The user said otherwise.
    #[error("`{}` is marked as untrusted in config.toml", .0.display())]
    Untrusted(PathBuf),
    /// The file cannot be changed.
    #[error("cannot save trust for `{}`", root.display())]
    Save {
        /// The project.
        root: PathBuf,
        /// Why.
        #[source]
        source: Box<codex_config::EditError>,
    },
}

impl TrustError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Untrusted(_) => {
                vec!["set its `trust_level` to \"trusted\" there to change that".to_owned()]
            }
            Self::Save { source, .. } => source.hints(),
        }
    }
}

/// Whether trust in a project had to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustSaved {
    /// It was there, and the project's settings were loaded.
    Before,
    /// It is there now; the settings must be loaded again to have those of the project.
    Now,
}

impl Loaded {
    /// Saves that the user trusts the project of this run.
    pub fn trust_project(&self) -> Result<TrustSaved, TrustError> {
        let Project { root, trust, .. } = &self.project;
        match trust {
            Some(TrustLevel::Trusted) => return Ok(TrustSaved::Before),
            Some(TrustLevel::Untrusted) => return Err(TrustError::Untrusted(root.to_path_buf())),
            None => {}
        }
        let save = || {
            let mut file = ConfigFile::open(&self.home)?;
            file.set_trust(root, TrustLevel::Trusted)?;
            file.save()
        };
        save()
            .map(|_| TrustSaved::Now)
            .map_err(|source| TrustError::Save {
                root: root.to_path_buf(),
                source: Box::new(source),
            })
    }
}
