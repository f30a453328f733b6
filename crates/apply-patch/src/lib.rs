//! The patch language of models: its parser, and what a patch makes of a tree of files.
//!
//! [`parse`] reads a text, [`plan`] works out the new content of every file through a [`FileTree`];
//! either all of it is possible or nothing is planned. Files are bytes: line ends, a byte order mark,
//! a missing last line end and text that is not UTF-8 stay as they are.
//! **Absent on purpose:** the disk. Which paths may be touched is the tree's affair, and writing a
//! plan as one step is `codex_host`'s.

mod diff;
mod lines;
mod parse;
mod plan;
mod seek;

pub use parse::{FileOp, Hunk, HunkLine, ParseError, Patch, parse};
pub use plan::{Change, ChangeKind, FileEdit, FileTree, Plan, PlanError, plan};

/// The grammar of the language, for providers that take one (`lark`).
pub const GRAMMAR: &str = include_str!("grammar.lark");
