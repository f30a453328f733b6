//! Floors, reasons and houses, from `cargo metadata`.
//!
//! Every edge goes to a strictly lower floor, dev and build dependencies too; so there is no
//! circle, and no search for one is needed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A heavy dependency and the only crates that may name it, those that are still to come included.
/// ARCHITECTURE.md shows who does today, see [`check_table`].
const HOUSES: &[(&str, &[&str])] = &[
    (
        "clap",
        &[
            "codex-cli",
            "codex-exec",
            "codex-tui",
            "codex-utils-cli",
            "xtask",
        ],
    ),
    ("clap_complete", &["codex-cli"]),
    ("crossterm", &["codex-tui"]),
    ("image", &["codex-tools"]),
    ("jsonschema", &["codex-utils-json-schema"]),
    ("serde-saphyr", &["codex-rmcp-client"]),
    ("keyring-core", &["codex-credentials"]),
    ("landlock", &["codex-linux-sandbox"]),
    ("libc", &["xtask"]),
    ("nix", &["codex-process", "codex-linux-sandbox"]),
    ("opentelemetry", &["codex-otel"]),
    ("portable-pty", &["codex-process"]),
    ("ratatui", &["codex-tui"]),
    ("reqwest", &["codex-http"]),
    (
        "rmcp",
        &["codex-rmcp-client", "codex-oauth", "codex-mcp-server"],
    ),
    (
        "rustix",
        &["codex-cli", "codex-host", "codex-test-support", "xtask"],
    ),
    ("rustls", &["codex-http"]),
    ("schemars", &["codex-config", "codex-app-server-protocol"]),
    ("seccompiler", &["codex-linux-sandbox"]),
    ("toml_edit", &["codex-config"]),
    ("tonic", &["codex-otel"]),
    ("tree-sitter", &["codex-tools"]),
    ("windows-sys", &["codex-windows-sandbox"]),
];

pub(super) fn check(metadata: &Value) -> Vec<String> {
    let packages: Vec<&Value> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let floors: BTreeMap<&str, i64> = packages
        .iter()
        .filter_map(|package| {
            Some((
                name(package),
                package["metadata"]["codex"]["floor"].as_i64()?,
            ))
        })
        .collect();
    let mut findings = Vec::new();
    for package in packages {
        let from = name(package);
        let Some(floor) = floors.get(from) else {
            findings.push(format!(
                "`{from}` states no floor in [package.metadata.codex]"
            ));
            continue;
        };
        let reason = package["metadata"]["codex"]["reason"]
            .as_str()
            .unwrap_or_default();
        if reason.trim().is_empty() {
            findings.push(format!(
                "`{from}` states no reason; without one it is a module"
            ));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = name(dependency);
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            if let Some(lower) = floors.get(to).filter(|lower| *lower >= floor) {
                findings.push(format!(
                    "`{from}` (floor {floor}) has a {kind} dependency on `{to}` (floor {lower}); \
                     edges go to lower floors only"
                ));
            }
            if let Some((_, houses)) = HOUSES.iter().find(|(heavy, _)| *heavy == to)
                && !houses.contains(&from)
            {
                findings.push(format!(
                    "`{from}` names `{to}`, which lives only in {houses:?}"
                ));
            }
        }
    }
    findings
}

/// Compares the table of houses in ARCHITECTURE.md with what the crates name.
pub(super) fn check_table(metadata: &Value, architecture: &str) -> Vec<String> {
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if let Some((heavy, _)) = HOUSES.iter().find(|(heavy, _)| *heavy == name(dependency)) {
                named.entry(heavy).or_default().insert(name(package));
            }
        }
    }
    let table = table(architecture);
    let heavy: BTreeSet<&str> = named.keys().chain(table.keys()).copied().collect();
    let differs = heavy
        .into_iter()
        .filter(|heavy| named.get(heavy) != table.get(heavy));
    differs
        .map(|heavy| {
            let by = named.get(heavy).cloned().unwrap_or_default();
            format!(
                "the table of houses in ARCHITECTURE.md is not true for `{heavy}`: {by:?} name it"
            )
        })
        .collect()
}

/// Reads the rows `| a, b | c, d |` of the section about houses.
fn table(architecture: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let sections = architecture.split("\n## ");
    let section = sections.filter(|section| section.starts_with("Houses"));
    let rows = section.flat_map(str::lines).filter_map(|line| {
        let (heavy, houses) = line
            .strip_prefix("| ")?
            .strip_suffix(" |")?
            .split_once(" | ")?;
        (heavy != "dependency").then(|| (heavy, houses.split(", ").collect::<BTreeSet<_>>()))
    });
    rows.flat_map(|(heavy, houses)| heavy.split(", ").map(move |heavy| (heavy, houses.clone())))
        .collect()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn package(name: &str, floor: Value, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<Value> = dependencies
            .iter()
            .map(|(name, kind)| json!({"name": name, "kind": kind}))
            .collect();
        json!({
            "name": name, "dependencies": dependencies,
            "metadata": {"codex": {"floor": floor, "reason": "a trust boundary"}},
        })
    }

    fn findings(packages: &[Value]) -> Vec<String> {
        super::check(&json!({ "packages": packages }))
    }

    #[test]
    fn an_edge_down_is_fine() {
        let low = package("low", json!(0), &[]);
        assert!(findings(&[low, package("high", json!(1), &[("low", None)])]).is_empty());
    }

    #[test]
    fn an_edge_on_the_same_floor_is_found_even_for_tests() {
        let one = package("one", json!(1), &[("two", Some("dev"))]);
        let found = findings(&[one, package("two", json!(1), &[])]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("has a dev dependency on `two`"),
            "{found:?}"
        );
    }

    #[test]
    fn a_crate_without_floor_or_reason_is_found() {
        assert!(findings(&[package("lost", Value::Null, &[])])[0].contains("states no floor"));
        let mut silent = package("silent", json!(0), &[]);
        silent["metadata"]["codex"]["reason"] = json!(" ");
        assert!(findings(&[silent])[0].contains("states no reason"));
    }

    #[test]
    fn a_heavy_dependency_outside_its_house_is_found() {
        let found = findings(&[package("codex-core", json!(5), &[("rmcp", None)])]);
        assert!(found[0].contains("`codex-core` names `rmcp`"), "{found:?}");
    }

    #[test]
    fn a_table_of_houses_that_is_not_true_is_found() {
        let metadata = json!({"packages": [
            package("codex-http", json!(1), &[("reqwest", None), ("rustls", None)]),
            package("codex-process", json!(1), &[("nix", None), ("serde", None)]),
        ]});
        let found = |rows: &str| {
            let head = "# A\n\n## Houses\n\n| dependency | only in |\n|---|---|\n";
            super::check_table(&metadata, &format!("{head}{rows}\n## Next\n\n| x | y |\n"))
        };
        let nix = "| nix | codex-process |\n";
        let http = "| reqwest, rustls | codex-http |\n";
        assert_eq!(found(&format!("{http}{nix}")), [] as [&str; 0]);
        assert!(found(http)[0].contains("`nix`: {\"codex-process\"} name it"));
        let stale = format!("{http}{nix}| clap | codex-cli |\n");
        assert!(found(&stale)[0].contains("`clap`: {} name it"));
    }
}
