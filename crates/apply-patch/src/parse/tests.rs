//! Good texts, texts that are nearly good, and what is said of bad ones.

use super::*;

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn every_part_of_the_language_is_read() {
    let text = "*** Begin Patch\n*** Add File: a b.txt\n+one\n+\n*** Delete File: old\n\
                *** Update File: src/x.rs\n*** Move to: src/y.rs\n@@ class A\n@@ fn f\n keep\n\
                -gone\n+new\n\n@@\n+last\n*** End of File\n*** End Patch\n";
    let keep = |text: &str| HunkLine::Keep(text.to_owned());
    assert_eq!(
        parse(text).unwrap().ops,
        [
            FileOp::Add {
                path: "a b.txt".into(),
                lines: vec!["one".to_owned(), String::new()]
            },
            FileOp::Delete { path: "old".into() },
            FileOp::Update {
                path: "src/x.rs".into(),
                move_to: Some("src/y.rs".into()),
                hunks: vec![
                    Hunk {
                        anchors: vec!["class A".to_owned(), "fn f".to_owned()],
                        lines: vec![
                            keep("keep"),
                            HunkLine::Remove("gone".to_owned()),
                            HunkLine::Insert("new".to_owned()),
                            keep(""),
                        ],
                        at_end: false,
                        patch_line: 8,
                    },
                    Hunk {
                        anchors: Vec::new(),
                        lines: vec![HunkLine::Insert("last".to_owned())],
                        at_end: true,
                        patch_line: 14,
                    },
                ],
            },
        ]
    );
}

#[test]
fn what_models_put_around_a_patch_is_taken_off() {
    let bare = "*** Begin Patch\n*** Delete File: a\n*** End Patch";
    let expected = parse(bare).unwrap();
    for text in [
        format!("\n  \n{bare}\n\n"),
        format!("<<'EOF'\n{bare}\nEOF\n"),
        format!("<<\"END\"\n{bare}\nEND"),
        format!("<<-EOF\n{bare}\n"),
        bare.replace('\n', "\r\n"),
        format!("{bare}\n").replace('\n', "\r\n"),
        bare.replace("Patch\n", "Patch  \n"),
        bare.replace("a\n", "a\n\n"),
    ] {
        assert_eq!(parse(&text).as_ref(), Ok(&expected), "{text:?}");
    }
}

#[test]
fn line_numbers_of_a_diff_are_no_anchor() {
    for header in ["@@", "@@ ", "@@ -1,3 +1,4 @@", "@@ -1 +1 @@ fn f"] {
        let text = format!("*** Begin Patch\n*** Update File: a\n{header}\n-x\n*** End Patch");
        let FileOp::Update { hunks, .. } = &parse(&text).unwrap().ops[0] else {
            panic!("{text}")
        };
        assert_eq!(hunks[0].anchors, [""; 0], "{header}");
    }
}

#[test]
fn a_bad_patch_is_told_with_its_line() {
    let begin = "*** Begin Patch\n";
    let rows = [
        (
            "",
            "line 1 of the patch: a patch begins with `*** Begin Patch`",
        ),
        (
            "hello",
            "line 1 of the patch: a patch begins with `*** Begin Patch`",
        ),
        (
            "*** End Patch",
            "line 2 of the patch: the patch names no file",
        ),
        (
            "*** Delete File: a",
            "line 2 of the patch: the patch ends without `*** End Patch`",
        ),
        (
            "*** Delete File: a\n*** End Patch\nls",
            "line 4 of the patch: nothing may follow `*** End Patch`",
        ),
        (
            "*** Add File:\n*** End Patch",
            "line 2 of the patch: `*** Add File:` needs a path",
        ),
        (
            "*** Add File: a\nx\n*** End Patch",
            "line 3 of the patch: every line of an added file begins with `+`, found `x`",
        ),
        (
            "*** Update File: a\n*** End Patch",
            "line 3 of the patch: `*** Update File: a` has neither a hunk nor `*** Move to:`",
        ),
        (
            "*** Update File: a\n@@\n x\n*** End Patch",
            "line 5 of the patch: the hunk changes nothing: it needs lines that begin with `-` or `+`",
        ),
        (
            "*** Update File: a\n-x\n\tx\n*** End Patch",
            "line 4 of the patch: a line of a hunk begins with ` `, `-`, `+` or `@@`, found `\\tx`",
        ),
        (
            "*** Update File: a\n-x\n*** End of File\n+x\n*** End Patch",
            "line 5 of the patch: after `*** End of File` a new hunk begins with `@@`",
        ),
    ];
    for (text, expected) in rows {
        let text = match text.starts_with("***") {
            true => format!("{begin}{text}"),
            false => text.to_owned(),
        };
        assert_eq!(error(&text), expected, "{text}");
    }
    assert!(
        error(&format!("{begin}*** Rename: a\n*** End Patch")).contains("found `*** Rename: a`")
    );
}
