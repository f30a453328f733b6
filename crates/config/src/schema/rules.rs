//! The rules of docs/config.md that are no types against the lists that the loader goes by: which layers
//! may not set a key, what a project may do to a server, and the table of features.

use std::collections::BTreeSet;

use super::docs::{DOCS, Row, files, rows};
use crate::Feature;
use crate::config_raw::SECURITY_KEYS;
use crate::merge::project;
use crate::sources::{
    NOT_FOR_PROFILES, NOT_FOR_PROJECTS, NOT_FOR_PROJECTS_PREFIX, is_not_for_projects,
};

/// Returns the words between backticks from the start of a sentence to an end of it.
fn words(start: &str, end: &str) -> BTreeSet<String> {
    let (_, rest) = DOCS.split_once(start).expect("the sentence is there");
    let (sentence, _) = rest.split_once(end).expect("it ends");
    let words = sentence.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// The layers that may not set a key, as the loader sees it. A profile and the command line are held to
/// the same list.
fn closed_layers(path: &str) -> &'static str {
    let root = path.split('.').next().unwrap_or_default();
    match (NOT_FOR_PROFILES.contains(&root), is_not_for_projects(root)) {
        (true, true) => "3, 4, 5",
        (true, false) => "3, 5",
        (false, true) => "4",
        (false, false) => "",
    }
}

/// The layers that may not set a key, as the docs see it: by its row, or by the line of its section.
fn closed_layers_of_docs<'d>(row: &'d Row, section: &'d str) -> &'d str {
    let by_section = || {
        let mut lines = section.lines();
        lines.find_map(|line| line.strip_prefix("Not in layer ")?.strip_suffix('.'))
    };
    let by_row = row.cell("not in");
    by_row.or_else(by_section).unwrap_or_default()
}

/// Row 13.layers.
#[test]
fn the_docs_say_of_each_key_which_layers_may_not_set_it() {
    let (docs, _) = files();
    let mut n_closed = 0;
    for section in docs.split("\n#") {
        for row in rows(&format!("#{section}")) {
            if row.section == "features" {
                continue;
            }
            let closed = closed_layers(&row.path);
            assert_eq!(closed_layers_of_docs(&row, section), closed, "{}", row.path);
            n_closed += usize::from(!closed.is_empty());
        }
    }
    assert!(n_closed > 10, "only {n_closed} keys are closed to a layer");
    let mut projects = set(NOT_FOR_PROJECTS);
    projects.insert(format!("{NOT_FOR_PROJECTS_PREFIX}*"));
    assert_eq!(
        words("A project's file may not set", "; they are"),
        projects
    );
    assert_eq!(words("A profile may not set", "."), set(NOT_FOR_PROFILES));
    assert_eq!(words("Where safety hangs on it (", ")"), set(SECURITY_KEYS));
}

/// Row 13.layers.
#[test]
fn the_docs_say_of_each_key_of_a_server_what_a_project_may_do_with_it() {
    let (docs, _) = files();
    let mut words = BTreeSet::new();
    for row in rows(&docs) {
        // The tables below have the rule of their table.
        let Some(key) = row.path.strip_prefix("mcp_servers.*.") else {
            continue;
        };
        if row.section != "mcp_servers.*" {
            continue;
        }
        let rule = project::rule_of(key);
        assert_eq!(row.cell("project"), Some(rule.as_str()), "{key}");
        words.extend(rule.split(", ").map(str::to_owned));
    }
    assert_eq!(words, set(&["", "asks", "lost", "new", "tighter", "way"]));
}

/// Row 13.features.
#[test]
fn the_table_of_features_is_that_of_the_docs() {
    let (docs, _) = files();
    let rows = rows(&docs).into_iter();
    let told = rows.filter(|row| row.section == "features").map(|row| {
        let cell = |title| row.cell(title).unwrap_or("no such column").to_owned();
        ["key", "stage", "default", "older spellings"].map(cell)
    });
    let quoted = |text: &str| format!("`{text}`");
    let known = Feature::table().iter().map(|row| {
        let aliases = row.aliases().iter().map(|key| format!("`features.{key}`"));
        let legacy = Feature::legacy_keys().filter(|(_, key)| *key == row.key);
        let older = aliases.chain(legacy.map(|(path, _)| quoted(&path.join("."))));
        [
            quoted(row.key),
            row.stage.as_str().to_owned(),
            quoted(&row.default.to_string()),
            older.collect::<Vec<_>>().join(", "),
        ]
    });
    assert_eq!(told.collect::<Vec<_>>(), known.collect::<Vec<_>>());
}
