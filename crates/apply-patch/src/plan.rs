//! From a patch to the new content of every file it touches.
//!
//! The patch is worked out in order on an overlay of the tree, so that one file may be touched twice;
//! the plan is the difference between the overlay and the tree. A failure of any part plans nothing.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::lines::{Lines, NewLine};
use crate::parse::{FileOp, Hunk, HunkLine, Patch};
use crate::seek::{self, Miss, Scope};

/// The files that a patch may see.
pub trait FileTree {
    /// Why a file cannot be used.
    type Error;

    /// Reads a file; `None` when there is none. The path is absolute, without `.` and `..`.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// What a patch does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Every file whose content differs afterwards, sorted by path.
    pub edits: Vec<FileEdit>,
    /// What the patch said it does, in its order.
    pub changes: Vec<Change>,
}

/// One file before and after; `None` = there is no such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// Absolute path.
    pub path: PathBuf,
    /// The content that was read.
    pub before: Option<Vec<u8>>,
    /// The content that comes.
    pub after: Option<Vec<u8>>,
    /// The file whose permissions a new file takes over, when it was moved.
    pub moved_from: Option<PathBuf>,
}

/// One operation of a patch, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute path.
    pub path: PathBuf,
    /// What happens to it.
    pub kind: ChangeKind,
    /// Where it goes.
    pub moved_to: Option<PathBuf>,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is made.
    Add,
    /// It is removed.
    Delete,
    /// It is changed or moved.
    Update,
}

/// Why a patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError<E> {
    /// The tree does not give the file out.
    #[error("{0}")]
    Tree(E),
    /// A file to be changed or removed is missing.
    #[error("there is no file `{}`", .0.display())]
    Missing(PathBuf),
    /// A file to be made is there.
    #[error("`{}` exists already; use `*** Update File:` to change it", .0.display())]
    Exists(PathBuf),
    /// An anchor is not in the file.
    #[error("`{}` has no line `{anchor}`{}", path.display(), below(*from))]
    NoAnchor {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        anchor: String,
        /// The first line that was looked at, from 0.
        from: usize,
    },
    /// The lines of a hunk are not in the file.
    #[error("the hunk on line {patch_line} of the patch does not fit `{}`: {why}", path.display())]
    NoPlace {
        /// The file.
        path: PathBuf,
        /// The line of the patch on which the hunk begins.
        patch_line: usize,
        /// What was looked for and what was found.
        why: String,
    },
}

/// Works out what a patch does; relative paths are seen from `cwd`.
pub fn plan<T: FileTree>(patch: &Patch, cwd: &Path, tree: &T) -> Result<Plan, PlanError<T::Error>> {
    let mut overlay = Overlay {
        tree,
        files: BTreeMap::new(),
    };
    let mut changes = Vec::with_capacity(patch.ops.len());
    for op in &patch.ops {
        changes.push(overlay.apply(op, cwd)?);
    }
    let edits = overlay.files.into_iter();
    let edits = edits.filter(|(_, file)| file.before != file.after);
    Ok(Plan {
        edits: edits
            .map(|(path, file)| FileEdit {
                path,
                before: file.before,
                after: file.after,
                moved_from: file.moved_from,
            })
            .collect(),
        changes,
    })
}

/// The tree with what the patch has done so far.
struct Overlay<'a, T> {
    tree: &'a T,
    files: BTreeMap<PathBuf, Touched>,
}

struct Touched {
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    moved_from: Option<PathBuf>,
}

impl<T: FileTree> Overlay<'_, T> {
    fn apply(&mut self, op: &FileOp, cwd: &Path) -> Result<Change, PlanError<T::Error>> {
        let (path, kind) = op.subject(cwd);
        let mut moved_to = None;
        let file = self.file(&path)?;
        match op {
            FileOp::Add { lines, .. } => {
                if file.after.is_some() {
                    return Err(PlanError::Exists(path));
                }
                let ended = lines.iter().flat_map(|line| [line.as_str(), "\n"]);
                file.after = Some(ended.collect::<String>().into_bytes());
            }
            FileOp::Delete { .. } => {
                if file.after.take().is_none() {
                    return Err(PlanError::Missing(path));
                }
            }
            FileOp::Update { hunks, .. } => {
                let Some(content) = &file.after else {
                    return Err(PlanError::Missing(path));
                };
                let content = updated(&path, content, hunks)?;
                match op.target(cwd) {
                    Some(target) => {
                        file.after = None;
                        self.place(&path, &target, content)?;
                        moved_to = Some(target);
                    }
                    None => file.after = Some(content),
                }
            }
        }
        Ok(Change {
            path,
            kind,
            moved_to,
        })
    }

    fn place(
        &mut self,
        from: &Path,
        target: &Path,
        content: Vec<u8>,
    ) -> Result<(), PlanError<T::Error>> {
        let file = self.file(target)?;
        if file.after.is_some() {
            return Err(PlanError::Exists(target.to_owned()));
        }
        file.after = Some(content);
        file.moved_from = Some(from.to_owned());
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<&mut Touched, PlanError<T::Error>> {
        match self.files.entry(path.to_owned()) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(free) => {
                let before = self.tree.read(path).map_err(PlanError::Tree)?;
                Ok(free.insert(Touched {
                    after: before.clone(),
                    before,
                    moved_from: None,
                }))
            }
        }
    }
}

impl FileOp {
    /// Returns the absolute path that it is about, and what happens to it.
    pub fn subject(&self, cwd: &Path) -> (PathBuf, ChangeKind) {
        let (path, kind) = match self {
            Self::Add { path, .. } => (path, ChangeKind::Add),
            Self::Delete { path } => (path, ChangeKind::Delete),
            Self::Update { path, .. } => (path, ChangeKind::Update),
        };
        (resolve(cwd, path), kind)
    }

    /// Returns the absolute path to which it moves its file; a move to where it is is none.
    pub fn target(&self, cwd: &Path) -> Option<PathBuf> {
        let Self::Update { path, move_to, .. } = self else {
            return None;
        };
        let target = resolve(cwd, move_to.as_deref()?);
        (target != resolve(cwd, path)).then_some(target)
    }
}

/// Makes a path absolute by its letters alone: `a/../b` is `b`, whatever `a` is.
fn resolve(cwd: &Path, path: &Path) -> PathBuf {
    let mut absolute = PathBuf::new();
    for component in cwd.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                absolute.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                absolute.push(component);
            }
        }
    }
    absolute
}

/// Returns the content of a file with its hunks applied, from top to end.
fn updated<E>(path: &Path, content: &[u8], hunks: &[Hunk]) -> Result<Vec<u8>, PlanError<E>> {
    let mut lines = Lines::read(content);
    let mut cursor = 0;
    for hunk in hunks {
        for anchor in &hunk.anchors {
            let scope = Scope {
                from: cursor,
                at_end: false,
            };
            let found = seek::find(lines.all(), &[anchor], scope);
            // Of several lines that merely look like the anchor the first one is meant, too.
            cursor = match found {
                Ok(line) => line + 1,
                Err(Miss::Ambiguous(places)) => places.first().copied().unwrap_or(cursor) + 1,
                Err(Miss::Nowhere { .. }) => {
                    return Err(PlanError::NoAnchor {
                        path: path.to_owned(),
                        anchor: anchor.clone(),
                        from: cursor,
                    });
                }
            };
        }
        cursor = apply_hunk(path, &mut lines, hunk, cursor)?;
    }
    Ok(lines.write())
}

/// Applies a hunk below `cursor` and returns the line below it.
fn apply_hunk<E>(
    path: &Path,
    lines: &mut Lines,
    hunk: &Hunk,
    cursor: usize,
) -> Result<usize, PlanError<E>> {
    let old = hunk.lines.iter().filter_map(|line| match line {
        HunkLine::Keep(text) | HunkLine::Remove(text) => Some(text.as_str()),
        HunkLine::Insert(_) => None,
    });
    let old: Vec<&str> = old.collect();
    let place = match (old.is_empty(), hunk.anchors.is_empty() || hunk.at_end) {
        // Lines without a neighbour go below the anchor, or to the end.
        (true, false) => cursor,
        (true, true) => lines.all().len(),
        (false, _) => {
            let scope = Scope {
                from: cursor,
                at_end: hunk.at_end,
            };
            seek::find(lines.all(), &old, scope).map_err(|miss| PlanError::NoPlace {
                path: path.to_owned(),
                patch_line: hunk.patch_line,
                why: describe(&miss, &old, scope),
            })?
        }
    };
    let mut n_passed = 0;
    let mut new = Vec::with_capacity(hunk.lines.len());
    for line in &hunk.lines {
        match line {
            HunkLine::Keep(_) => {
                new.push(NewLine::Old(n_passed));
                n_passed += 1;
            }
            HunkLine::Remove(_) => n_passed += 1,
            HunkLine::Insert(text) => new.push(NewLine::Text(text.clone().into_bytes())),
        }
    }
    let below = place + new.len();
    lines.splice(place, n_passed, new);
    Ok(below)
}

fn describe(miss: &Miss, old: &[&str], scope: Scope) -> String {
    let first = old.iter().find(|line| !line.trim().is_empty());
    let first = first.or(old.first()).copied().unwrap_or_default();
    let (lines, are, stand) = match old.len() {
        1 => (format!("the line `{first}`"), "is", "stands"),
        n => (format!("the {n} lines around `{first}`"), "are", "stand"),
    };
    match miss {
        Miss::Ambiguous(places) => {
            let places: Vec<String> = places.iter().map(|line| (line + 1).to_string()).collect();
            let places = places.join(", ");
            format!("{lines} could be on line {places}; name the place with `@@` or more lines")
        }
        Miss::Nowhere { above: Some(line) } if !scope.at_end => format!(
            "{lines} {stand} on line {}, above an earlier hunk or anchor; hunks go from top to end",
            line + 1
        ),
        Miss::Nowhere { .. } if scope.at_end => {
            format!("{lines} {are} not at the end of the file")
        }
        Miss::Nowhere { .. } => {
            format!("{lines} {are} not there{}", below(scope.from))
        }
    }
}

fn below(from: usize) -> String {
    match from {
        0 => String::new(),
        line => format!(" below line {line}"),
    }
}

#[cfg(test)]
mod tests;
