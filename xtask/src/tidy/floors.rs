//! Floors, reasons and houses, from `cargo metadata`.
//!
//! Every edge goes to a strictly lower floor, dev and build dependencies too; so there is no
//! circle, and no search for one is needed.

use std::collections::BTreeMap;

use serde_json::Value;

/// A heavy dependency and the only crates that may name it. ARCHITECTURE.md has the same table.
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
    ("keyring-core", &["codex-credentials"]),
    ("landlock", &["codex-linux-sandbox"]),
    ("libc", &["xtask"]),
    ("nix", &["codex-process"]),
    ("opentelemetry", &["codex-otel"]),
    ("portable-pty", &["codex-process"]),
    ("ratatui", &["codex-tui"]),
    ("reqwest", &["codex-http"]),
    (
        "rmcp",
        &["codex-rmcp-client", "codex-oauth", "codex-mcp-server"],
    ),
    ("rustix", &["codex-host", "codex-test-support", "xtask"]),
    ("rustls", &["codex-http"]),
    ("schemars", &["codex-config", "codex-app-server-protocol"]),
    ("seccompiler", &["codex-linux-sandbox"]),
    ("toml_edit", &["codex-config"]),
    ("tonic", &["codex-otel"]),
    ("tree-sitter", &["codex-tools"]),
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
}
