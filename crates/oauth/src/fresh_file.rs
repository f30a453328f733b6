//! A file with one token that another program keeps fresh, read anew at each use.
//!
//! Everybody may be able to read it: who it belongs to is not ours to decide.

use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_host::{Readers, Secret, read_named_secret};

/// The largest token.
const MAX_BYTES: u64 = 64 * 1024;

/// A file may lie on a network that is gone.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a file gives no token. The text never quotes its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: `{}` {why}", path.display())]
pub struct FreshFileError {
    /// The key of the config that names the file.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong, as the rest of a sentence about it.
    pub why: String,
}

/// Where a token lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshFile {
    key: &'static str,
    path: PathBuf,
}

impl FreshFile {
    /// Takes the key of the config that names the file, for messages, and the file.
    pub fn new(key: &'static str, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { key, path }
    }

    /// Reads the token that is in the file now.
    pub async fn read(&self) -> Result<Secret, FreshFileError> {
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || read(&path));
        let outcome = match tokio::time::timeout(LIMIT, reading).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("could not be read".to_owned()),
            Err(_) => Err(format!("could not be read within {LIMIT:?}")),
        };
        outcome.map_err(|why| FreshFileError {
            key: self.key,
            path: self.path.clone(),
            why,
        })
    }
}

fn read(path: &Path) -> Result<Secret, String> {
    let text = read_named_secret(path, MAX_BYTES, Readers::Anybody);
    let text = text.map_err(|error| error.to_string())?;
    let token = text.expose().trim();
    if token.is_empty() {
        return Err("is empty".to_owned());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("does not hold one token".to_owned());
    }
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file with this content and mode gives.
    #[expect(
        clippy::disallowed_methods,
        reason = "a file of a test, with a mode of its own"
    )]
    async fn read_back(content: &[u8], mode: u32) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let read = FreshFile::new("oauth.assertion_file", &path).read().await;
        let shown = format!("`oauth.assertion_file`: `{}` ", path.display());
        read.map(|token| token.expose().to_owned())
            .map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[tokio::test]
    async fn a_token_is_read_without_its_line_end_whoever_else_may_read_it() {
        let token = Ok("a.b-c_d".to_owned());
        assert_eq!(read_back(b" a.b-c_d\r\n", 0o600).await, token);
        assert_eq!(read_back(b"a.b-c_d", 0o644).await, token);
    }

    #[tokio::test]
    async fn what_is_no_token_is_named_and_never_quoted() {
        let rows: [(&[u8], u32, &str); 5] = [
            (b"\n", 0o600, "is empty"),
            (b"hunter two", 0o600, "does not hold one token"),
            (b"hunter\xff", 0o600, "does not hold one token"),
            (&[b'a'; 70_000], 0o600, "is larger than 65536 bytes"),
            (
                b"hunter",
                0o646,
                "can be written by everybody; run `chmod o-w` on it",
            ),
        ];
        for (content, mode, why) in rows {
            if cfg!(unix) || mode == 0o600 {
                assert_eq!(read_back(content, mode).await, Err(why.to_owned()));
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path| FreshFile::new("oauth.assertion_file", path);
        let error = at(folder.path().to_owned()).read().await.unwrap_err();
        assert_eq!(error.why, "cannot be read: it is a directory");
        let error = at(folder.path().join("gone")).read().await.unwrap_err();
        assert!(error.why.starts_with("cannot be read: "), "{error}");
    }
}
