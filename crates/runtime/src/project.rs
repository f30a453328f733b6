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

impl Loaded {
    /// Saves that the user trusts the project of this run.
    pub fn trust_project(&self) -> Result<(), TrustError> {
        let Project { root, trust, .. } = &self.project;
        match trust {
            Some(TrustLevel::Trusted) => return Ok(()),
            Some(TrustLevel::Untrusted) => return Err(TrustError::Untrusted(root.to_path_buf())),
            None => {}
        }
        let save = || {
            let mut file = ConfigFile::open(&self.home)?;
            file.set_trust(root, TrustLevel::Trusted)?;
            file.save()
        };
        save().map(|_| ()).map_err(|source| TrustError::Save {
            root: root.to_path_buf(),
            source: Box::new(source),
        })
    }
}
