//! How each case of the public SDKs ended, as their suite noted it.
//!
//! The suite (`crates/cli/tests/public_sdks`) leaves a file per case, named `PACKAGE CASE`, that says
//! `FAILED` until the case has passed; so a case whose process was ended is not lost.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};

/// Prints every case by its name and result, and how many passed with each package.
pub(crate) fn print(transcripts: &Path) -> Result<()> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (package, case, result) in noted(transcripts)? {
        println!("{result:<7} {package:<11} {}", case.replace('_', " "));
        let (n_passed, n_cases) = counts.entry(package).or_default();
        *n_passed += usize::from(result == "ok");
        *n_cases += 1;
    }
    // Packages that are there and a suite that says nothing prove nothing.
    ensure!(
        !counts.is_empty(),
        "the suite of the public SDKs noted no case"
    );
    for (package, (n_passed, n_cases)) in counts {
        println!("{package}: {n_passed} of {n_cases} cases passed");
    }
    Ok(())
}

fn noted(transcripts: &Path) -> Result<Vec<(String, String, String)>> {
    let Ok(files) = transcripts.join("public-sdks").read_dir() else {
        return Ok(Vec::new());
    };
    let mut cases = Vec::new();
    for file in files {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if let Some((package, case)) = name.split_once(' ') {
            let result = std::fs::read_to_string(file.path())?;
            cases.push((package.to_owned(), case.to_owned(), result));
        }
    }
    cases.sort();
    Ok(cases)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test writes its own notes")]
mod tests {
    use super::*;

    #[test]
    fn cases_are_told_in_order_and_silence_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        assert!(print(folder.path()).is_err());
        let notes = folder.path().join("public-sdks");
        std::fs::create_dir(&notes).unwrap();
        for (name, word) in [("TypeScript b_c", "ok"), ("Python a", "FAILED")] {
            std::fs::write(notes.join(name), word).unwrap();
        }
        let told = noted(folder.path()).unwrap();
        let lines: Vec<_> = told
            .iter()
            .map(|(package, case, result)| format!("{package} {case}: {result}"))
            .collect();
        assert_eq!(lines, ["Python a: FAILED", "TypeScript b_c: ok"]);
        assert!(print(folder.path()).is_ok());
    }
}
