//! The laws that a program can prove, as a list of findings.
//!
//! `floors` reads `cargo metadata`: floors, reasons, houses. `files` reads the repository: heads,
//! words, links, and `rows`, the rules that tests name. The same findings are an ordinary test, so that
//! `cargo test` shows them too.

mod files;
mod floors;
mod rows;

use anyhow::{Result, bail};

/// Checks everything and prints what is wrong.
pub(crate) fn run() -> Result<()> {
    let findings = check()?;
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    match findings.len() {
        0 => println!("tidy: floors, houses, heads, words, links and rows hold"),
        n_findings => bail!("findings: {n_findings}"),
    }
    Ok(())
}

/// Returns everything that is wrong, one sentence each.
pub(crate) fn check() -> Result<Vec<String>> {
    let root = crate::workspace::root();
    let metadata = crate::workspace::metadata()?;
    let mut findings = floors::check(&metadata);
    let architecture = std::fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    findings.extend(floors::check_table(&metadata, &architecture));
    findings.extend(files::check(root)?);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_keeps_its_laws() {
        let findings = super::check().expect("the repository can be read");
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
