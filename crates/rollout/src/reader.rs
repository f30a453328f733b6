//! Reads a thread file, whatever a killed writer left in it.
//!
//! A line that is no JSON object of ours is skipped and counted: it is the torn end of a killed
//! run. A last line without its newline counts when it is whole, because no proper beginning of
//! an object is an object.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::{RolloutError, RolloutLine, ThreadMeta};

/// A line longer than this is skipped: no line that we write comes near it.
const LINE_LIMIT: u64 = 256 * 1024 * 1024;

/// The whole of a thread file.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The file.
    pub path: PathBuf,
    /// What the thread is.
    pub meta: ThreadMeta,
    /// Everything after the first line, in order.
    pub lines: Vec<RolloutLine>,
    /// How many lines could not be read.
    pub n_damaged: usize,
}

/// Reads thread files.
#[derive(Debug)]
pub struct RolloutReader {
    path: PathBuf,
    input: BufReader<File>,
    n_damaged: usize,
    buffer: Vec<u8>,
}

impl RolloutReader {
    /// Reads a whole file.
    pub fn read(path: &Path) -> Result<Recorded, RolloutError> {
        let mut reader = Self::open(path)?;
        let meta = reader.meta()?;
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            lines.push(line);
        }
        Ok(Recorded {
            path: reader.path,
            meta,
            lines,
            n_damaged: reader.n_damaged,
        })
    }

    /// Reads the first line only.
    pub fn read_meta(path: &Path) -> Result<ThreadMeta, RolloutError> {
        Self::open(path)?.meta()
    }

    fn open(path: &Path) -> Result<Self, RolloutError> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            input: BufReader::new(file),
            n_damaged: 0,
            buffer: Vec::new(),
        })
    }

    fn meta(&mut self) -> Result<ThreadMeta, RolloutError> {
        match self.next_line()? {
            Some(RolloutLine::Meta(meta)) if self.n_damaged == 0 => Ok(meta),
            _ => Err(RolloutError::NoMeta {
                path: self.path.clone(),
            }),
        }
    }

    /// Returns the next whole line, `None` at the end.
    fn next_line(&mut self) -> Result<Option<RolloutLine>, RolloutError> {
        loop {
            self.buffer.clear();
            let n_read = (&mut self.input)
                .take(LINE_LIMIT)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|error| unreadable(&self.path, &error))?;
            if n_read == 0 {
                return Ok(None);
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice(&self.buffer) {
                Ok(line) => return Ok(Some(line)),
                Err(_) => self.n_damaged += 1,
            }
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> RolloutError {
    RolloutError::Read {
        path: path.to_owned(),
        why: error.to_string(),
    }
}
