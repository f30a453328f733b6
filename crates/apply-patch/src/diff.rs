//! A patch as people read it: what comes and goes in one file.

use crate::parse::{FileOp, Hunk, HunkLine};

impl FileOp {
    /// Returns the content of an added file, or the hunks of a changed one as a unified diff has them,
    /// with the lines above a hunk in the place of line numbers. Of a removed file the patch knows
    /// nothing.
    pub fn diff(&self) -> Option<String> {
        match self {
            Self::Add { lines, .. } => Some(lines.iter().map(|line| format!("{line}\n")).collect()),
            Self::Delete { .. } => None,
            Self::Update { hunks, .. } => Some(hunks.iter().map(hunk).collect()),
        }
    }
}

fn hunk(hunk: &Hunk) -> String {
    let mut text = match hunk.anchors.is_empty() {
        true => "@@\n".to_owned(),
        false => hunk
            .anchors
            .iter()
            .map(|line| format!("@@ {line}\n"))
            .collect(),
    };
    for line in &hunk.lines {
        let (sign, line) = match line {
            HunkLine::Keep(line) => (' ', line),
            HunkLine::Remove(line) => ('-', line),
            HunkLine::Insert(line) => ('+', line),
        };
        text.push_str(&format!("{sign}{line}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_diff_shows_what_comes_and_goes() {
        let text = "*** Begin Patch\n*** Add File: a\n+x\n+y\n*** Update File: b\n@@ fn f()\n keep\n-old\n+new\n*** Delete File: c\n*** End Patch";
        let patch = crate::parse(text).unwrap();
        let diffs: Vec<Option<String>> = patch.ops.iter().map(super::FileOp::diff).collect();
        assert_eq!(
            diffs,
            [
                Some("x\ny\n".to_owned()),
                Some("@@ fn f()\n keep\n-old\n+new\n".to_owned()),
                None,
            ]
        );
    }
}
