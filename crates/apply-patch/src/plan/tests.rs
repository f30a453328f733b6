//! What patches make of files, and why some do not fit.

use std::convert::Infallible;

use super::*;
use crate::parse;

/// A tree in memory, below `/w`.
struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl FileTree for Files {
    type Error = Infallible;

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(path).cloned())
    }
}

fn files(files: &[(&str, &str)]) -> Files {
    let files = files
        .iter()
        .map(|(path, text)| (Path::new("/w").join(path), text.as_bytes().to_vec()));
    Files(files.collect())
}

fn planned(tree: &Files, body: &str) -> Result<Plan, String> {
    let patch = parse(&format!("*** Begin Patch\n{body}\n*** End Patch")).unwrap();
    plan(&patch, Path::new("/w"), tree).map_err(|error| error.to_string())
}

/// Updates the file `f` and returns its new content, or why not.
fn update(content: &str, hunks: &str) -> String {
    match planned(
        &files(&[("f", content)]),
        &format!("*** Update File: f\n{hunks}"),
    ) {
        Ok(plan) => match plan.edits.as_slice() {
            [edit] => String::from_utf8(edit.after.clone().unwrap()).unwrap(),
            [] => content.to_owned(),
            edits => panic!("{edits:?}"),
        },
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn hunks_find_their_place() {
    let rows = [
        // content, hunks, expected
        ("a\nb\nc\n", "@@\n a\n-b\n+B\n c", "a\nB\nc\n"),
        ("a\nb\nc\n", "-b", "a\nc\n"),
        ("a\nb\n", "@@ a\n+x", "a\nx\nb\n"),
        ("a\nb\n", "+x", "a\nb\nx\n"),
        ("", "+x", "x\n"),
        ("a\n", "-a", ""),
        ("x\na\nx\n", "@@ a\n-x\n+y", "x\na\ny\n"),
        ("x\nx\n", "-x\n+y", "y\nx\n"),
        ("x\nx\n", "@@\n-x\n+y\n*** End of File", "x\ny\n"),
        ("f:\n 1\ng:\n 1\n", "@@ g:\n- 1\n+ 2", "f:\n 1\ng:\n 2\n"),
        (
            "a:\nb:\n x\nc:\nb:\n x\n",
            "@@ c:\n@@ b:\n- x\n+ y",
            "a:\nb:\n x\nc:\nb:\n y\n",
        ),
        (
            "1\n2\n3\n4\n",
            "@@\n-1\n+one\n@@\n-4\n+four",
            "one\n2\n3\nfour\n",
        ),
        ("a\n\nb\n", " a\n\n-b\n+c", "a\n\nc\n"),
    ];
    for (content, hunks, expected) in rows {
        assert_eq!(update(content, hunks), expected, "{content:?} {hunks:?}");
    }
}

#[test]
fn line_ends_and_marks_of_a_file_stay() {
    let rows = [
        ("a\r\nb\r\n", "@@\n-b\n+c\n+d", "a\r\nc\r\nd\r\n"),
        ("a\r\nb\r\n", "@@\n-b\n+c\r", "a\r\nc\r\n"),
        ("a\nb\r\nc\n", "@@\n b\n+x\n c", "a\nb\r\nx\r\nc\n"),
        ("a\nb", "@@\n-b\n+c", "a\nc"),
        ("a\nb", "@@\n b\n+c", "a\nb\nc"),
        ("a\r\nb", "@@\n b\n+c", "a\r\nb\r\nc"),
        ("a\nb", "@@\n-b", "a"),
        ("\u{feff}a\nb\n", "@@\n-a\n+A", "\u{feff}A\nb\n"),
        (
            "grüße\n→ „x“\n",
            "@@\n grüße\n-→ „x“\n+← „ÿ“",
            "grüße\n← „ÿ“\n",
        ),
    ];
    for (content, hunks, expected) in rows {
        assert_eq!(update(content, hunks), expected, "{content:?} {hunks:?}");
    }
}

#[test]
fn what_is_copied_nearly_right_is_found_and_kept_lines_stay_as_they_are() {
    let rows = [
        ("a  \nb\n", "@@\n a\n-b\n+c", "a  \nc\n"),
        (
            "\tif x:\n\t\ty\n",
            "@@\n if x:\n-y\n+\t\tz",
            "\tif x:\n\t\tz\n",
        ),
        (
            "say “hi” – now\nb\n",
            "@@\n say \"hi\" - now\n-b\n+c",
            "say “hi” – now\nc\n",
        ),
    ];
    for (content, hunks, expected) in rows {
        assert_eq!(update(content, hunks), expected, "{content:?} {hunks:?}");
    }
}

#[test]
fn what_does_not_fit_says_where_it_was_sought() {
    let rows = [
        (
            "a\nb\n",
            "@@\n-c\n+d",
            "the hunk on line 3 of the patch does not fit `/w/f`: the line `c` is not there",
        ),
        ("a\nb\n", "@@ nowhere\n-b", "`/w/f` has no line `nowhere`"),
        (
            "1\n2\n",
            "@@\n-2\n+two\n@@\n-1\n+one",
            "the hunk on line 6 of the patch does not fit `/w/f`: the line `1` stands on line 1, above an earlier hunk or anchor; hunks go from top to end",
        ),
        (
            "  x\n\tx\n",
            "@@\n-x\n+y",
            "the hunk on line 3 of the patch does not fit `/w/f`: the line `x` could be on line 1, 2; name the place with `@@` or more lines",
        ),
        (
            "x\ny\n",
            "@@\n-x\n*** End of File",
            "the hunk on line 3 of the patch does not fit `/w/f`: the line `x` is not at the end of the file",
        ),
    ];
    for (content, hunks, expected) in rows {
        let told = update(content, hunks);
        assert_eq!(told, format!("error: {expected}"), "{content:?} {hunks:?}");
    }
}

#[test]
fn files_are_made_moved_and_removed() {
    let tree = files(&[("old", "1\n"), ("gone", "x"), ("f", "a\n")]);
    let plan = planned(
        &tree,
        "*** Add File: new/n\n+x\n*** Add File: empty\n*** Delete File: gone\n\
         *** Update File: old\n*** Move to: moved\n@@\n-1\n+2\n*** Update File: f\n-a\n+b\n\
         *** Update File: /w/./x/../f\n-b\n+c",
    )
    .unwrap();
    let text = |content: &Option<Vec<u8>>| {
        content
            .as_ref()
            .map(|it| String::from_utf8(it.clone()).unwrap())
    };
    let edits = plan.edits.iter().map(|edit| {
        format!(
            "{} {:?} {:?}",
            edit.path.display(),
            text(&edit.before),
            text(&edit.after)
        )
    });
    assert_eq!(
        edits.collect::<Vec<_>>(),
        [
            r#"/w/empty None Some("")"#,
            r#"/w/f Some("a\n") Some("c\n")"#,
            r#"/w/gone Some("x") None"#,
            r#"/w/moved None Some("2\n")"#,
            r#"/w/new/n None Some("x\n")"#,
            r#"/w/old Some("1\n") None"#,
        ]
    );
    assert_eq!(
        plan.edits[3].moved_from.as_deref(),
        Some(Path::new("/w/old"))
    );
    assert_eq!(plan.changes.len(), 6);
    assert_eq!(
        plan.changes[3].moved_to.as_deref(),
        Some(Path::new("/w/moved"))
    );
}

#[test]
fn a_file_may_be_removed_and_made_again() {
    let plan = planned(
        &files(&[("f", "a")]),
        "*** Delete File: f\n*** Add File: f\n+b",
    )
    .unwrap();
    assert_eq!(plan.edits.len(), 1);
    assert_eq!(plan.edits[0].after.as_deref(), Some(&b"b\n"[..]));
}

#[test]
fn a_missing_file_and_one_in_the_way_plan_nothing() {
    let tree = files(&[("f", "a\n"), ("g", "b\n")]);
    let rows = [
        ("*** Delete File: x", "there is no file `/w/x`"),
        ("*** Update File: x\n+a", "there is no file `/w/x`"),
        (
            "*** Add File: f\n+a",
            "`/w/f` exists already; use `*** Update File:` to change it",
        ),
        (
            "*** Update File: f\n*** Move to: g",
            "`/w/g` exists already; use `*** Update File:` to change it",
        ),
        (
            "*** Delete File: g\n*** Delete File: g",
            "there is no file `/w/g`",
        ),
    ];
    for (body, expected) in rows {
        assert_eq!(planned(&tree, body), Err(expected.to_owned()), "{body}");
    }
}
