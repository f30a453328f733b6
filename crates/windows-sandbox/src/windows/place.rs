//! Names that do not exist and may not be created: an empty directory holds the place meanwhile.

use std::io;
use std::path::PathBuf;

/// The directories that were made for this command.
#[derive(Debug)]
pub(super) struct Placeholders(Vec<PathBuf>);

impl Placeholders {
    pub(super) fn hold(paths: &[PathBuf]) -> io::Result<Self> {
        let mut held = Self(Vec::new());
        for path in paths {
            match std::fs::create_dir(path) {
                Ok(()) => held.0.push(path.clone()),
                // Something is there by now; it is protected all the same.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    held.release();
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    /// Removes what nobody has filled meanwhile.
    pub(super) fn release(self) {
        for path in self.0 {
            let _ = std::fs::remove_dir(path);
        }
    }
}
