//! Reads a whole file that somebody else may have put there: nothing about it can hold us.
//!
//! The file is opened without blocking and judged on the open descriptor, so that a pipe or a device
//! swapped in between is refused too. Trap: a network mount that hangs still hangs us.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file, for those that are too large to be read whole; `None` when there is none.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if found.is_dir() {
        let kind = io::ErrorKind::IsADirectory;
        return Err(io::Error::new(kind, "it is a directory"));
    }
    match found.is_file() {
        true => Ok(Some(file)),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Reads a regular file of at most `limit` bytes; `None` when there is none.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open_regular(path)? else {
        return Ok(None);
    };
    let too_large = || io::Error::other(format!("the file is larger than {}", size(limit)));
    if file.metadata()?.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // It may have grown since it was asked for its size.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

fn size(limit: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match limit % MIB {
        0 => format!("{} MiB", limit / MIB),
        _ => format!("{limit} bytes"),
    }
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    // NONBLOCK: opening a pipe must not wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateFile;

    fn said(path: &Path) -> String {
        read_bounded(path, 1024 * 1024).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(read_bounded(&path, 3).unwrap(), None);
        PrivateFile::replace(&path, b"abc").unwrap();
        assert_eq!(read_bounded(&path, 3).unwrap().unwrap(), b"abc");
        let error = read_bounded(&path, 2).unwrap_err();
        assert_eq!(error.to_string(), "the file is larger than 2 bytes");
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(said(dir.path()), "it is a directory");
        assert_eq!(said(Path::new("/dev/zero")), "it is no regular file");
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert_eq!(said(&pipe), "it is no regular file");
    }
}
