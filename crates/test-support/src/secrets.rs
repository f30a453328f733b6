//! Secrets that tests hand out, and the search for them in what the program leaves behind.
//!
//! What is secret is known in three ways: our own servers mark what they issue ([`MARK`]), they note
//! what clients show them ([`learn`]), and what lies in the stores of a home is one. Nothing of it may
//! stand in an output of `codex`, or in a file of its home beside the stores. With
//! `CODEX_TEST_TRANSCRIPTS=<folder>` outputs and secrets are kept there too: `cargo xtask test` searches
//! all of them for all of these, and what the test harness printed as well ([`SecretSearch`]). A server
//! that nobody here wrote tells what it issues ([`crate::PartServer`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

/// Part of every secret that a server of ours issues, and of nothing else.
pub const MARK: &str = "-canary";

const STORES: [&str; 2] = [".credentials", ".mcp-clients"];
/// Fields of JSON whose values are secrets: those of the stores, and of what servers tell.
const FIELDS: [&str; 8] = [
    "access_token",
    "refresh_token",
    "client_secret",
    "dpop_key",
    "code",
    "code_verifier",
    "device_code",
    "assertion",
];
/// Shorter ones are words of a test that stand elsewhere too.
const MIN_LENGTH: usize = 16;

static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes a secret.
pub(crate) fn learn(secret: &str) {
    if secret.len() >= MIN_LENGTH && !secret.contains(MARK) {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert(secret.to_owned()) {
            transcribe("secrets", secret);
        }
    }
}

/// The files of a home as they are now, so that what a run wrote can be told.
#[derive(Debug)]
pub(crate) struct Before(BTreeSet<(PathBuf, u64, Option<SystemTime>)>);

impl Before {
    pub(crate) fn look(codex_home: &Path) -> Self {
        Self(files(codex_home).into_iter().map(state).collect())
    }
}

fn state(file: PathBuf) -> (PathBuf, u64, Option<SystemTime>) {
    match file.metadata() {
        Ok(data) => (file, data.len(), data.modified().ok()),
        Err(_) => (file, 0, None),
    }
}

/// Notes what lies in the stores of a home.
pub(crate) fn learn_from_stores(codex_home: &Path) {
    for file in files(codex_home).iter().filter(|file| is_store(file)) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        learn_from(&serde_json::from_str(&text).unwrap_or_default());
    }
}

fn learn_from(json: &Value) {
    for_each_secret(json, &mut |secret| learn(secret));
}

fn for_each_secret(json: &Value, found: &mut impl FnMut(&str)) {
    for value in json.as_array().into_iter().flatten() {
        for_each_secret(value, found);
    }
    for (name, value) in json.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(secret) if FIELDS.contains(&name.as_str()) => found(secret),
            _ => for_each_secret(value, found),
        }
    }
}

/// Panics when a run shows a secret, or left one in a file that it wrote.
pub(crate) fn assert_none(what: &str, codex_home: &Path, before: &Before, shown: &[&str]) {
    transcribe("outputs", &format!("{what}\n{}", shown.join("\n")));
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for text in shown {
        if let Some(line) = line_with_secret(text, &known) {
            panic!("{what} shows a secret: {line}");
        }
    }
    for file in files(codex_home).iter().filter(|file| !is_store(file)) {
        // What lay there before is the test's.
        if before.0.contains(&state(file.clone())) {
            continue;
        }
        let bytes = std::fs::read(file).unwrap_or_default();
        if let Some(line) = line_with_secret(&String::from_utf8_lossy(&bytes), &known) {
            panic!("{what} leaves a secret in {}: {line}", file.display());
        }
    }
}

/// The secrets of a whole run, and the search for them. What is marked is always searched for.
#[derive(Debug, Default)]
pub struct SecretSearch {
    known: BTreeSet<String>,
}

impl SecretSearch {
    /// Takes the secrets that tests noted in a folder of transcripts.
    pub fn noted(transcripts: &Path) -> Result<Self, String> {
        let noted = files(&transcripts.join("secrets"));
        let known: Result<_, String> = noted.iter().map(read).collect();
        Ok(Self { known: known? })
    }

    /// Returns the outputs that were kept in a folder of transcripts.
    pub fn outputs(transcripts: &Path) -> Vec<PathBuf> {
        files(&transcripts.join("outputs"))
    }

    /// Learns the secrets that stand in a JSON text, by the names of their fields.
    pub fn learn(&mut self, json: &Value) {
        for_each_secret(json, &mut |secret| {
            if secret.len() >= MIN_LENGTH {
                self.known.insert(secret.to_owned());
            }
        });
    }

    /// Returns how many secrets are known, beside the marked ones.
    pub fn n_known(&self) -> usize {
        self.known.len()
    }

    /// Searches files; an error says which one shows a secret.
    pub fn search(&self, files: &[PathBuf]) -> Result<(), String> {
        for file in files {
            if let Some(line) = line_with_secret(&read(file)?, &self.known) {
                return Err(format!("{} shows a secret: {line}", file.display()));
            }
        }
        Ok(())
    }
}

fn read(file: &PathBuf) -> Result<String, String> {
    let bytes = std::fs::read(file).map_err(|why| format!("{}: {why}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the first line that holds a secret, with the secret blackened.
fn line_with_secret(text: &str, known: &BTreeSet<String>) -> Option<String> {
    let found = known.iter().find(|secret| text.contains(secret.as_str()));
    let found = found.map_or(MARK, String::as_str);
    let line = text.lines().find(|line| line.contains(found))?;
    Some(line.replace(found, "[SECRET]"))
}

fn is_store(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    STORES.iter().any(|store| name.starts_with(store))
}

/// Returns every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

/// Keeps a text for the search after the run, if one is wanted.
fn transcribe(kind: &str, text: &str) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Our own tests show secrets on purpose.
    let wanted = std::env::var_os("CODEX_TEST_TRANSCRIPTS").filter(|_| !cfg!(test));
    let Some(folder) = wanted else {
        return;
    };
    let folder = Path::new(&folder).join(kind);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::fs::create_dir_all(&folder).expect("the folder of the transcripts can be made");
    let file = folder.join(format!("{}-{count}", std::process::id()));
    std::fs::write(file, text).expect("the folder of the transcripts can be written");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> BTreeSet<String> {
        BTreeSet::from(["a-token-of-a-real-server".to_owned()])
    }

    #[test]
    fn a_secret_is_found_and_not_shown_again() {
        let text = "fine\nthe a-token-of-a-real-server is there\n";
        let line = line_with_secret(text, &known());
        assert_eq!(line.as_deref(), Some("the [SECRET] is there"));
        assert_eq!(line_with_secret("fine\n", &known()), None);
        assert!(line_with_secret("access-canary-7", &BTreeSet::new()).is_some());
    }

    #[test]
    fn the_search_of_a_whole_run_finds_what_one_file_shows() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            file
        };
        write("secrets/1-0", "a-token-of-a-real-server");
        write("outputs/1-1", "codex mcp list\nNothing.");
        let report = write("report.xml", "all is well");
        let mut secrets = SecretSearch::noted(folder.path()).unwrap();
        let outputs = SecretSearch::outputs(folder.path());
        assert_eq!((secrets.n_known(), outputs.len()), (1, 1));
        assert_eq!(secrets.search(&outputs), Ok(()));
        assert_eq!(secrets.search(std::slice::from_ref(&report)), Ok(()));
        write("report.xml", "<out>a-token-of-a-real-server</out>");
        let error = secrets.search(&[report]).unwrap_err();
        assert!(
            error.ends_with("report.xml shows a secret: <out>[SECRET]</out>"),
            "{error}"
        );
        let marked = write("outputs/1-2", "Bearer access-canary-1");
        assert!(secrets.search(&[marked]).is_err());
        let told = write("stderr.txt", "sent the-verifier-of-one-login");
        assert_eq!(secrets.search(std::slice::from_ref(&told)), Ok(()));
        let checks = json!([{"details": {"body": {"code_verifier": "the-verifier-of-one-login"}}}]);
        secrets.learn(&checks);
        assert!(secrets.search(&[told]).is_err());
    }
}
