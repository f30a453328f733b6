//! Patches that nobody wrote by hand: malformed ones, and pairs of files.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use codex_apply_patch::{FileTree, parse, plan};

struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl FileTree for Files {
    type Error = Infallible;

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(path).cloned())
    }
}

/// Numbers that are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit
    }
}

const GOOD: &[&str] = &[
    "*** Begin Patch\n*** Add File: a\n+x\n+y\n*** End Patch",
    "*** Begin Patch\n*** Delete File: a\n*** Delete File: b\n*** End Patch",
    "*** Begin Patch\n*** Update File: a\n*** Move to: b\n@@ fn f\n x\n-y\n+z\n*** End Patch",
    "*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n@@ g\n-z\n*** End of File\n*** End Patch",
    "*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n-x\n*** Delete File: c\n*** End Patch",
];

/// Lines that stand nowhere in a patch, wherever they are put between its first and last line.
const WRONG_LINES: &[&str] = &[
    "*** Rename File: a",
    "*** Begin Patch",
    "*** Add File:",
    "*** Update File:  ",
    "*** Delete File: a\0b",
    "*** Move to: x",
    "text without a sign",
    "\ttab",
    "=======",
    "~x",
    "*** end patch",
];

#[test]
fn two_hundred_malformed_patches_are_refused_with_a_line_that_is_there() {
    let mut malformed = BTreeSet::new();
    for good in GOOD {
        parse(good).unwrap();
        let lines: Vec<&str> = good.split('\n').collect();
        for end in 0..lines.len() {
            malformed.insert(lines[..end].join("\n"));
            malformed.insert(lines[end + 1..].join("\n"));
        }
        for wrong in WRONG_LINES {
            for place in 1..lines.len() {
                // `*** Move to:` has one place where it is right.
                if *wrong == "*** Move to: x" && lines[place - 1].starts_with("*** Update") {
                    continue;
                }
                let mut lines = lines.clone();
                lines.insert(place, wrong);
                malformed.insert(lines.join("\n"));
            }
        }
        malformed.insert(format!("{good}\nrm -rf x"));
        malformed.insert(format!("sure:\n{good}"));
        malformed.insert(good.replace("*** End Patch", "*** End Patch *** End Patch"));
        malformed.insert(good.to_lowercase());
    }
    assert!(malformed.len() >= 200, "{}", malformed.len());
    for text in malformed {
        let error = match parse(&text) {
            Err(error) => error,
            Ok(patch) => panic!("{text:?} was read as {patch:?}"),
        };
        assert!(
            (1..=text.split('\n').count()).contains(&error.line),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn noise_never_panics() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let bits = [
        "*** Begin Patch\n",
        "*** End Patch\n",
        "*** Update File: f\n",
        "*** Add File: g\n",
        "*** Delete File: f\n",
        "*** Move to: h\n",
        "@@",
        "@@ ä\n",
        "+",
        "-",
        " ",
        "\n",
        "\r\n",
        "x",
        "ä\n",
        "*** End of File\n",
        "<<EOF\n",
        "EOF\n",
        "\u{feff}",
        "\0",
    ];
    let tree = Files([(PathBuf::from("/f"), b"x\n\xff\n\xc3\xa4".to_vec())].into());
    for _ in 0..20_000 {
        let n_bits = dice.below(14);
        let noise: String = (0..n_bits).map(|_| bits[dice.below(bits.len())]).collect();
        let text = format!("*** Begin Patch\n{noise}*** End Patch");
        if let Ok(patch) = parse(&text) {
            let _ = plan(&patch, Path::new("/"), &tree);
        }
    }
}

/// Writes the patch that turns `old` into `new`, in one hunk.
fn patch_between(old: &[String], new: &[String], n_context: usize) -> Option<String> {
    let same = |a: &String, b: &String| a == b;
    let n_start = old.iter().zip(new).take_while(|(a, b)| same(a, b)).count();
    let (old_rest, new_rest) = (&old[n_start..], &new[n_start..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let n_end = ends.take_while(|(a, b)| same(a, b)).count();
    let removed = &old_rest[..old_rest.len() - n_end];
    let inserted = &new_rest[..new_rest.len() - n_end];
    if removed.is_empty() && inserted.is_empty() {
        return None;
    }
    let before = &old[n_start.saturating_sub(n_context)..n_start];
    let after_from = n_start + removed.len();
    let after = &old[after_from..(after_from + n_context).min(old.len())];
    let mut text = "*** Begin Patch\n*** Update File: f\n@@\n".to_owned();
    for (sign, lines) in [(' ', before), ('-', removed), ('+', inserted), (' ', after)] {
        for line in lines {
            text.push_str(&format!("{sign}{line}\n"));
        }
    }
    text.push_str("*** End Patch\n");
    Some(text)
}

#[test]
fn a_patch_made_from_two_files_turns_one_into_the_other() {
    let mut dice = Dice(7);
    let mut n_patches = 0;
    for round in 0..4_000 {
        // Each line is unlike all others, so that a patch has one meaning.
        let n_lines = dice.below(30);
        let old: Vec<String> = (0..n_lines)
            .map(|n| format!("line {n} ü{}", "\t".repeat(n % 3)))
            .collect();
        let mut new = old.clone();
        for n_edit in 0..1 + dice.below(3) {
            let place = dice.below(new.len() + 1);
            match dice.below(3) {
                0 if place < new.len() => drop(new.remove(place)),
                1 if place < new.len() => new[place] = format!("  changed {round} {n_edit}"),
                _ => new.insert(place, format!("new {round} {n_edit}")),
            }
        }
        let (end, has_last_end) = (["\n", "\r\n"][dice.below(2)], dice.below(2) == 0);
        let content = |lines: &[String]| {
            let mut text = lines.join(end);
            if has_last_end && !lines.is_empty() {
                text.push_str(end);
            }
            text
        };
        // A file without any line end does not say which one it would use.
        let n_context = 1 + dice.below(4);
        if old.is_empty() || new.is_empty() || (old.len() == 1 && !has_last_end) {
            continue;
        }
        let Some(text) = patch_between(&old, &new, n_context) else {
            continue;
        };
        let tree = Files([(PathBuf::from("/f"), content(&old).into_bytes())].into());
        let plan = plan(&parse(&text).unwrap(), Path::new("/"), &tree).unwrap();
        let after = plan.edits[0].after.clone().unwrap();
        assert_eq!(String::from_utf8(after).unwrap(), content(&new), "{text}");
        n_patches += 1;
    }
    assert!(n_patches > 3_000, "{n_patches}");
}
