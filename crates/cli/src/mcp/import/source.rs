//! Where the other client's file is, and its text, whatever lies there.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use codex_host::read_bounded;

use crate::error::CliError;

/// Such files have a few kilobytes; more than this is a mistake.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Where clients keep the servers of a project.
const PLACES: [&str; 3] = [".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"];

/// A file, read.
pub(super) struct Source {
    /// As it was typed or found.
    pub(super) name: String,
    /// `None` for stdin.
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
}

/// Returns the nearest folder with `.git`, else the working directory.
pub(super) fn project_root(cwd: &Path) -> PathBuf {
    let found = cwd.ancestors().find(|folder| folder.join(".git").exists());
    found.unwrap_or(cwd).to_owned()
}

/// Finds the file and reads it.
pub(super) fn read(typed: Option<&Path>, cwd: &Path, root: &Path) -> Result<Source, CliError> {
    let (name, path) = match typed {
        Some(path) if path == Path::new("-") => ("stdin".to_owned(), None),
        Some(path) => (path.display().to_string(), Some(cwd.join(path))),
        None => {
            let place = only_place(root)?;
            (place.to_owned(), Some(root.join(place)))
        }
    };
    let failed = |why: String| CliError::new(format!("cannot read `{name}`")).cause(why);
    let bytes = match &path {
        None => stdin(),
        Some(path) => file(path),
    };
    let bytes = bytes.map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        failed(format!("line {line} is not valid UTF-8"))
    })?;
    Ok(Source { name, path, text })
}

/// Reads the file of variables that an entry names. What is copied from it stands in our config
/// afterwards and goes to the entry's program, so no project may name a file that is not its own.
pub(super) fn env_file(path: &Path, root: &Path) -> Result<String, String> {
    let told = |why: &str| format!("envFile `{}`: {why}", path.display());
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(|error| told(&error.to_string()))
    };
    let (found, root) = (real(path)?, real(root)?);
    if !found.starts_with(&root) {
        let root = root.display();
        return Err(told(&format!(
            "it is outside of the project `{root}`; put what the server needs into `env`"
        )));
    }
    let bytes = file(&found).map_err(|error| told(&error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| told("it is not UTF-8"))
}

fn only_place(root: &Path) -> Result<&'static str, CliError> {
    let found: Vec<&str> = PLACES
        .into_iter()
        .filter(|place| root.join(place).is_file())
        .collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(CliError::new(format!(
            "there is no {} in `{}`",
            PLACES.join(", "),
            root.display()
        ))
        .hint("name the file: `codex mcp import PATH`")),
        several => {
            let names = several.join(", ");
            Err(CliError::usage(format!("this project has {names}"))
                .hint("name the one to import from"))
        }
    }
}

fn file(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(path, MAX_BYTES)?.ok_or_else(|| io::Error::other("No such file or directory"))
}

fn stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let stdin = io::stdin().lock();
    stdin.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other("the input is larger than 4 MiB")),
        false => Ok(bytes),
    }
}
