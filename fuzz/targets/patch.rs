//! Any patch on any file: it is read, refused or planned, and what is planned is what the law says.
//!
//! Input: the content of the file `f`, the byte 0xFF (which no UTF-8 text holds), the patch.
#![no_main]

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use codex_apply_patch::{FileTree, parse, plan};
use libfuzzer_sys::fuzz_target;

/// One file.
struct One<'a>(&'a [u8]);

impl FileTree for One<'_> {
    type Error = Infallible;

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Infallible> {
        Ok((path == Path::new("/f")).then(|| self.0.to_vec()))
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0xFF);
    let content = parts.next().unwrap_or_default();
    let Ok(text) = std::str::from_utf8(parts.next().unwrap_or_default()) else {
        return;
    };
    let patch = match parse(text) {
        Ok(patch) => patch,
        Err(error) => {
            assert!(
                (1..=text.split('\n').count()).contains(&error.line),
                "{error}"
            );
            return;
        }
    };
    assert!(!patch.ops.is_empty());
    let Ok(planned) = plan(&patch, Path::new("/"), &One(content)) else {
        return;
    };
    assert_eq!(planned.changes.len(), patch.ops.len());
    let paths: Vec<&PathBuf> = planned.edits.iter().map(|edit| &edit.path).collect();
    assert!(paths.is_sorted() && paths.iter().all(|path| path.is_absolute()));
    for edit in &planned.edits {
        assert_ne!(edit.before, edit.after);
        assert_eq!(edit.before.is_some(), edit.path == Path::new("/f"));
    }
});
