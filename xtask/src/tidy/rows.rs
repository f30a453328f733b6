//! Rules and the tests that show them: every row of `crates/config/rows.txt` is named by a test, and
//! every row that a test names is there.
//!
//! A test names rows by `/// Row E4.` or `/// Rows M1, M2.` above it, over several lines if need be, or
//! by a text such as "Row 5.args" in the table that it goes through.

use std::collections::BTreeSet;

/// Where the rows are.
pub(super) const FILE: &str = "crates/config/rows.txt";

/// A row that something names, with the place of the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    place: String,
    row: String,
}

/// Compares the rows with the names of all files.
pub(super) fn check(rows: &str, named: &[Named]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut known = BTreeSet::new();
    for (number, line) in rows.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{FILE}:{}", number + 1);
        let (row, meaning) = line.split_once(' ').unwrap_or((line, ""));
        if meaning.trim().is_empty() {
            findings.push(format!("{place} does not say what `{row}` means"));
        }
        if !known.insert(row) {
            findings.push(format!("{place} has the row `{row}` again"));
        }
        if !named.iter().any(|named| named.row == row) {
            findings.push(format!("{place}: no test names the row `{row}`"));
        }
    }
    let unknown = named
        .iter()
        .filter(|named| !known.contains(named.row.as_str()));
    findings.extend(unknown.map(|Named { place, row }| {
        format!("{place} names the row `{row}`, which is not in {FILE}")
    }));
    findings
}

/// Finds the names in a source file, and comments that name rows above something that is no test.
pub(super) fn find(name: &str, text: &str) -> (Vec<Named>, Vec<String>) {
    let (mut named, mut findings) = (Vec::new(), Vec::new());
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    for (at, line) in lines.iter().enumerate() {
        let place = || format!("{name}:{}", at + 1);
        let mut name_row = |row: &str| {
            named.push(Named {
                place: place(),
                row: row.to_owned(),
            });
        };
        let pieces = line.split("\"Row ").skip(1);
        if !line.starts_with("//") {
            let quoted = pieces.filter_map(|piece| Some(piece.split_once('"')?.0));
            quoted.filter(|row| !row.is_empty()).for_each(&mut name_row);
        }
        let comment = ["/// Row ", "/// Rows "]
            .into_iter()
            .find_map(|start| line.strip_prefix(start));
        let Some(first) = comment.filter(|text| text.starts_with(is_row_start)) else {
            continue;
        };
        let further = lines[at + 1..]
            .iter()
            .map_while(|line| line.strip_prefix("/// "));
        let mut text = String::new();
        for piece in std::iter::once(first).chain(further) {
            text.push_str(piece);
            text.push(' ');
            if piece.ends_with('.') {
                break;
            }
        }
        let list = text.trim_end().trim_end_matches('.');
        list.split(", ")
            .for_each(|row| name_row(row.trim_end_matches(',')));
        let head = lines[at..].iter().take_while(|line| !line.contains("fn "));
        if !head
            .into_iter()
            .any(|line| line.starts_with("#[") && line.contains("test"))
        {
            findings.push(format!("{} names rows, and below it is no test", place()));
        }
    }
    (named, findings)
}

/// `E4` and `10.active`, and not the first word of a sentence.
fn is_row_start(first: char) -> bool {
    first.is_ascii_digit() || first == 'M' || first == 'E'
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "\n#[test]\nfn it_holds() {}\n";

    fn named(text: &str) -> Vec<String> {
        let (named, findings) = find("t.rs", text);
        assert_eq!(findings, [""; 0]);
        named.into_iter().map(|named| named.row).collect()
    }

    #[test]
    fn names_stand_in_comments_and_in_tables() {
        let comment = |text: &str| named(&format!("{text}{TEST}"));
        assert_eq!(comment("/// Row E4."), ["E4"]);
        assert_eq!(comment("    /// Rows 1.no-file, M2."), ["1.no-file", "M2"]);
        assert_eq!(
            comment("/// Rows E1,\n/// E2.\n/// And more."),
            ["E1", "E2"]
        );
        assert_eq!(comment("/// Row by row."), [""; 0]);
        let table = concat!("(\"Row", " 5.args\", 1), (\"Row", " 5.env\", 2)");
        assert_eq!(named(table), ["5.args", "5.env"]);
    }

    #[test]
    fn a_comment_above_something_else_is_found() {
        let (_, findings) = find(
            "t.rs",
            "/// Row E4.\nfn helper() {}\n#[test]\nfn test() {}\n",
        );
        assert_eq!(findings, ["t.rs:1 names rows, and below it is no test"]);
    }

    #[test]
    fn rows_without_a_test_and_tests_without_a_row_are_found() {
        let (named, _) = find("t.rs", &format!("/// Rows E1, E3.{TEST}"));
        let rows = "# Head\nE1  it holds\nE2  it holds too\nE1  again\nE4\n";
        assert_eq!(
            check(rows, &named),
            [
                "crates/config/rows.txt:3: no test names the row `E2`",
                "crates/config/rows.txt:4 has the row `E1` again",
                "crates/config/rows.txt:5 does not say what `E4` means",
                "crates/config/rows.txt:5: no test names the row `E4`",
                "t.rs:1 names the row `E3`, which is not in crates/config/rows.txt",
            ]
        );
    }
}
