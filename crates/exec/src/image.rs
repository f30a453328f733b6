//! Pictures given with `-i`: which files are meant, and what they are on the wire.
//!
//! They are read and checked before any request, because a picture that cannot be read would otherwise
//! become a sentence in the prompt that nobody asked for.

use std::path::{Path, PathBuf};

use codex_protocol::UserInput;
use codex_tools::picture::{self, PictureError};

/// Why a picture cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot read image `{}`: {why}", path.display())]
pub(crate) struct ImageError {
    path: PathBuf,
    why: PictureError,
}

/// Reads the pictures that `-i` names, in the order of argv. Paths are taken as seen from `cwd`.
pub(crate) fn read_all(values: &[String], cwd: &Path) -> Result<Vec<UserInput>, ImageError> {
    values
        .iter()
        .flat_map(|value| files(value, cwd))
        .map(|name| read(&name, cwd))
        .collect()
}

/// A comma separates files unless a file of the whole name exists.
fn files(value: &str, cwd: &Path) -> Vec<String> {
    if !value.contains(',') || cwd.join(value).exists() {
        return vec![value.to_owned()];
    }
    let parts = value.split(',').filter(|part| !part.is_empty());
    let names: Vec<String> = parts.map(str::to_owned).collect();
    match names.is_empty() {
        // Nothing is named, and that is said of what was typed.
        true => vec![value.to_owned()],
        false => names,
    }
}

fn read(name: &str, cwd: &Path) -> Result<UserInput, ImageError> {
    let path = cwd.join(name);
    match picture::data_url(&path) {
        Ok(data_url) => Ok(UserInput::Image { path, data_url }),
        Err(why) => Err(ImageError {
            path: PathBuf::from(name),
            why,
        }),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare files directly")]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use codex_tools::picture::LIMIT_MIB;

    use super::*;

    /// One transparent pixel.
    const PNG: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), PNG).unwrap();
        }
        dir
    }

    fn names(values: &[&str], dir: &Path) -> Vec<String> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let name = |input: UserInput| match input {
            UserInput::Image { path, .. } => {
                path.file_name().unwrap().to_string_lossy().into_owned()
            }
            UserInput::Text(text) => text,
        };
        read_all(&values, dir)
            .unwrap()
            .into_iter()
            .map(name)
            .collect()
    }

    fn error(name: &str, dir: &Path) -> String {
        read_all(&[name.to_owned()], dir).unwrap_err().to_string()
    }

    #[test]
    fn a_comma_separates_files() {
        let dir = folder(&["a.png", "b.png", "c.png"]);
        assert_eq!(
            names(&["c.png", "a.png,b.png"], dir.path()),
            ["c.png", "a.png", "b.png"]
        );
    }

    #[test]
    fn a_file_of_the_whole_name_wins() {
        let dir = folder(&["a.png", "b.png", "a.png,b.png"]);
        assert_eq!(names(&["a.png,b.png"], dir.path()), ["a.png,b.png"]);
    }

    #[test]
    fn the_data_url_holds_the_bytes() {
        let dir = folder(&["a.png"]);
        let read = read_all(&["a.png".to_owned()], dir.path()).unwrap();
        let [UserInput::Image { data_url, .. }] = &read[..] else {
            panic!("{read:?}")
        };
        assert_eq!(
            *data_url,
            format!("data:image/png;base64,{}", STANDARD.encode(PNG))
        );
    }

    #[test]
    fn every_fault_names_the_file_as_typed() {
        let dir = folder(&[]);
        std::fs::write(dir.path().join("text.png"), "hello, this is no picture").unwrap();
        std::fs::write(dir.path().join("cut.png"), &PNG[..12]).unwrap();
        std::fs::create_dir(dir.path().join("dir.png")).unwrap();
        let big = std::fs::File::create(dir.path().join("big.png")).unwrap();
        big.set_len(LIMIT_MIB * 1024 * 1024 + 1).unwrap();
        assert!(
            error("none.png", dir.path()).starts_with("cannot read image `none.png`: No such file")
        );
        assert_eq!(
            error("text.png", dir.path()),
            "cannot read image `text.png`: not a PNG, JPEG, GIF or WebP picture"
        );
        assert!(error("cut.png", dir.path()).starts_with("cannot read image `cut.png`: "));
        assert!(error(",", dir.path()).starts_with("cannot read image `,`: "));
        assert_eq!(
            error("dir.png", dir.path()),
            "cannot read image `dir.png`: not a regular file"
        );
        assert_eq!(
            error("big.png", dir.path()),
            "cannot read image `big.png`: more than 20 MiB"
        );
    }
}
