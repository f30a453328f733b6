//! A small file that a setting names: a token, a key, certificates.
//!
//! One rule for all of them: it is a regular file of a bounded size, and not everybody can write it, for
//! its writer would choose who we are or whom we trust. Everybody may be able to *read* it, unless the
//! caller says otherwise: Kubernetes mounts its short-lived tokens with 0644.

use std::fs::Metadata;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::{Secret, open_regular};

/// Who may read a file beside its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the file lets.
    Anybody,
    /// Nobody: the secret in it is for life.
    OwnerOnly,
}

/// Why a file gives no secret, as the rest of a sentence about it. The text never quotes its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamedSecretError {
    /// The operating system says no.
    #[error("cannot be read: {}", plain_io_text(.0))]
    Io(io::Error),
    /// It is more than the secret can be.
    #[error("is larger than {limit} bytes")]
    TooLarge {
        /// So many it may have.
        limit: u64,
    },
    /// Everybody can write it.
    #[error("can be written by everybody; run `chmod o-w` on it")]
    Writable,
    /// Others can read or write it.
    #[error("is open to other users; run `chmod 600` on it")]
    Open,
}

/// Reads a text that may be a secret; bytes that are no UTF-8 are replaced. Blocks.
pub fn read_named_secret(
    path: &Path,
    limit: u64,
    readers: Readers,
) -> Result<Secret, NamedSecretError> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file or directory");
    let file = open_regular(path).map_err(NamedSecretError::Io)?;
    let file = file.ok_or_else(|| NamedSecretError::Io(missing()))?;
    let found = file.metadata().map_err(NamedSecretError::Io)?;
    check_access(&found, readers)?;
    let too_large = NamedSecretError::TooLarge { limit };
    if found.len() > limit {
        return Err(too_large);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    // It may have grown since it was asked for its size.
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    match read.map_err(NamedSecretError::Io)? as u64 > limit {
        true => Err(too_large),
        false => Ok(Secret::new(String::from_utf8_lossy(&bytes))),
    }
}

#[cfg(unix)]
fn check_access(found: &Metadata, readers: Readers) -> Result<(), NamedSecretError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = found.permissions().mode();
    match readers {
        Readers::OwnerOnly if mode & 0o077 != 0 => Err(NamedSecretError::Open),
        _ if mode & 0o002 != 0 => Err(NamedSecretError::Writable),
        Readers::OwnerOnly | Readers::Anybody => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_access(_found: &Metadata, _readers: Readers) -> Result<(), NamedSecretError> {
    Ok(())
}

/// Returns `connection reset by peer` instead of `Connection reset by peer (os error 104)`.
pub fn plain_io_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a file of a test, with a mode of its own"
    )]
    fn read(content: &[u8], mode: u32, readers: Readers) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        match read_named_secret(&path, 8, readers) {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => format!("it {error}"),
        }
    }

    #[test]
    fn who_can_write_a_file_decides_whether_it_is_believed() {
        use Readers::{Anybody, OwnerOnly};
        let open = "it is open to other users; run `chmod 600` on it";
        let writable = "it can be written by everybody; run `chmod o-w` on it";
        for (mode, readers, expected) in [
            (0o600, OwnerOnly, "key"),
            (0o400, OwnerOnly, "key"),
            (0o640, OwnerOnly, open),
            (0o644, OwnerOnly, open),
            (0o644, Anybody, "key"),
            (0o664, Anybody, "key"),
            (0o646, Anybody, writable),
            (0o666, OwnerOnly, open),
        ] {
            assert_eq!(read(b"key", mode, readers), expected, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_small_file_is_named_and_never_quoted() {
        let large = read(b"123456789", 0o600, Readers::OwnerOnly);
        assert_eq!(large, "it is larger than 8 bytes");
        assert_eq!(read(b"a\xffb", 0o600, Readers::OwnerOnly), "a\u{fffd}b");
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &Path| {
            let error = read_named_secret(path, 8, Readers::Anybody).unwrap_err();
            error.to_string()
        };
        assert_eq!(at(folder.path()), "cannot be read: it is a directory");
        let gone = at(&folder.path().join("gone"));
        assert_eq!(gone, "cannot be read: no such file or directory");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert_eq!(at(&pipe), "cannot be read: it is no regular file");
    }
}
