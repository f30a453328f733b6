//! Edits of a TOML text as replacements of byte ranges.
//!
//! Each function gives `None` when the key is spelled in a way it does not know; the caller checks
//! the meaning of every result, so a mistake here costs a refusal and never a file.

use std::ops::Range;

use toml_edit::{Key, Value};

use crate::scan::{Kind, Statement, blank_line_before, comment_start, statements};
use crate::tree::{Node, Table, to_value};

/// Sets one key to a value, in the spelling that its surroundings have.
pub(super) fn set(text: &str, path: &[String], value: &Node) -> Option<String> {
    let found = statements(text)?;
    if let Some((statement, range)) = holder(&found, path) {
        let inner = &path[statement.path.len()..];
        let new = if inner.is_empty() {
            inline(value)
        } else {
            let mut whole: Value = text[range.clone()].parse().ok()?;
            set_inline(&mut whole, inner, value)?;
            whole.to_string().trim().to_owned()
        };
        return Some(replaced(text, range, &new));
    }
    let (key, parent) = path.split_last()?;
    match value.as_table() {
        Some(table) => {
            let is_table = |statement: &Statement| {
                matches!(statement.kind, Kind::Header { .. }) && statement.path.starts_with(path)
            };
            if found.iter().any(is_table) {
                return None;
            }
            if let Some((at, prefix)) = dotted_place(&found, parent) {
                return Some(insert_line(
                    text,
                    at,
                    &format!("{prefix}{} = {}", spell(key), inline(value)),
                ));
            }
            Some(insert_sections(
                text,
                section_place(text, &found, path),
                &sections(path, table),
            ))
        }
        None => insert_pair(text, &found, parent, key, value),
    }
}

/// Removes one key or table, with what belongs to it.
pub(super) fn remove(text: &str, path: &[String]) -> Option<String> {
    let found = statements(text)?;
    if let Some((statement, range)) = holder(&found, path)
        && statement.path.len() < path.len()
    {
        let mut whole: Value = text[range.clone()].parse().ok()?;
        unset_inline(&mut whole, &path[statement.path.len()..])?;
        return Some(replaced(text, range, whole.to_string().trim()));
    }
    let mut gone: Vec<Range<usize>> = Vec::new();
    let mut in_section = false;
    let mut before = 0;
    for statement in &found {
        let ours = statement.path.starts_with(path);
        match statement.kind {
            Kind::Header { .. } => {
                in_section = ours;
                if ours {
                    gone.push(
                        comment_start(text, statement.lines.start, before)..statement.lines.end,
                    );
                }
            }
            Kind::Pair { .. } if in_section => {
                // Comments between the lines of a section go with it.
                if let Some(last) = gone.last_mut() {
                    last.end = statement.lines.end;
                }
            }
            Kind::Pair { .. } if ours => {
                let is_entry = statement.path.len() == path.len() && path.len() == 2;
                let start = match is_entry {
                    true => comment_start(text, statement.lines.start, before),
                    false => statement.lines.start,
                };
                gone.push(start..statement.lines.end);
            }
            Kind::Pair { .. } => {}
        }
        before = statement.lines.end;
    }
    Some(cut(text, &join_over_blanks(text, gone)))
}

/// Finds the `key = value` whose value is, or holds, what the path names.
fn holder<'s>(found: &'s [Statement], path: &[String]) -> Option<(&'s Statement, Range<usize>)> {
    found.iter().find_map(|statement| match &statement.kind {
        Kind::Pair { value, .. } if path.starts_with(&statement.path) => {
            Some((statement, value.clone()))
        }
        Kind::Pair { .. } | Kind::Header { .. } => None,
    })
}

fn insert_pair(
    text: &str,
    found: &[Statement],
    parent: &[String],
    key: &str,
    value: &Node,
) -> Option<String> {
    let line = format!("{} = {}", spell(key), inline(value));
    if parent.is_empty() {
        // Before the first header; a later line would belong to a table.
        let is_header = |statement: &&Statement| matches!(statement.kind, Kind::Header { .. });
        let last_root = found
            .iter()
            .take_while(|statement| !is_header(statement))
            .last();
        let at = last_root.map_or(0, |statement| statement.lines.end);
        return Some(insert_line(text, at, &line));
    }
    let header = found.iter().position(|statement| {
        statement.path == parent && matches!(statement.kind, Kind::Header { array: false })
    });
    if let Some(header) = header {
        let pairs = found[header + 1..].iter();
        let last = pairs
            .take_while(|statement| matches!(statement.kind, Kind::Pair { .. }))
            .last();
        return Some(insert_line(
            text,
            last.unwrap_or(&found[header]).lines.end,
            &line,
        ));
    }
    if let Some((at, prefix)) = dotted_place(found, parent) {
        return Some(insert_line(text, at, &format!("{prefix}{line}")));
    }
    let block = format!("[{}]\n{line}\n", dotted(parent));
    Some(insert_sections(
        text,
        section_place(text, found, parent),
        &block,
    ))
}

/// Returns where a sibling of dotted lines goes, and what stands before its key.
fn dotted_place(found: &[Statement], parent: &[String]) -> Option<(usize, String)> {
    let sibling = found
        .iter()
        .rev()
        .find_map(|statement| match statement.kind {
            Kind::Pair { header_keys, .. }
                if statement.path.len() > parent.len()
                    && header_keys < parent.len()
                    && statement.path.starts_with(parent) =>
            {
                Some((statement, header_keys))
            }
            Kind::Pair { .. } | Kind::Header { .. } => None,
        });
    let (statement, header_keys) = sibling?;
    Some((
        statement.lines.end,
        format!("{}.", dotted(&parent[header_keys..])),
    ))
}

/// Returns where new tables of an entry go: behind the entry's other tables, else at the end.
fn section_place(text: &str, found: &[Statement], path: &[String]) -> usize {
    let entry = &path[..path.len().min(2)];
    let mut last = None;
    let mut in_entry = false;
    for statement in found {
        if let Kind::Header { .. } = statement.kind {
            in_entry = statement.path.starts_with(entry);
        }
        if in_entry {
            last = Some(statement.lines.end);
        }
    }
    last.unwrap_or(text.len())
}

/// Spells a table as a header, its plain values, then its tables.
fn sections(path: &[String], table: &Table) -> String {
    let (tables, plain): (Vec<_>, Vec<_>) = table
        .0
        .iter()
        .partition(|entry| entry.node.as_table().is_some());
    let mut block = String::new();
    if !plain.is_empty() || tables.is_empty() {
        block.push_str(&format!("[{}]\n", dotted(path)));
    }
    for entry in plain {
        block.push_str(&format!(
            "{} = {}\n",
            spell(&entry.key),
            inline(&entry.node)
        ));
    }
    for entry in tables {
        let inner: Vec<String> = path.iter().cloned().chain([entry.key.clone()]).collect();
        if let Some(table) = entry.node.as_table() {
            if !block.is_empty() {
                block.push('\n');
            }
            block.push_str(&sections(&inner, table));
        }
    }
    block
}

fn insert_line(text: &str, at: usize, line: &str) -> String {
    if at > 0 && !text[..at].ends_with('\n') {
        // The last line has no end: it gets one, and the new last line has none.
        return inserted(text, at, &format!("\n{line}"));
    }
    inserted(text, at, &format!("{line}\n"))
}

/// Inserts whole tables with an empty line on both sides.
fn insert_sections(text: &str, at: usize, block: &str) -> String {
    let mut new = String::new();
    let unfinished = at > 0 && !text[..at].ends_with('\n');
    if unfinished {
        new.push('\n');
    }
    if at > 0 && (unfinished || blank_line_before(text, at).is_none()) {
        new.push('\n');
    }
    new.push_str(block);
    if unfinished {
        new.truncate(new.trim_end_matches('\n').len());
    }
    let next_line = text[at..].lines().next();
    if next_line.is_some_and(|line| !line.trim().is_empty()) {
        new.push('\n');
    }
    inserted(text, at, &new)
}

fn inserted(text: &str, at: usize, new: &str) -> String {
    replaced(text, at..at, new)
}

/// Replaces a range; new line ends are spelled like those of the text.
fn replaced(text: &str, range: Range<usize>, new: &str) -> String {
    let windows = text
        .find('\n')
        .is_some_and(|newline| text[..newline].ends_with('\r'));
    let new = if windows {
        new.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        new.to_owned()
    };
    format!("{}{new}{}", &text[..range.start], &text[range.end..])
}

/// Ranges with nothing but blank lines between them become one.
fn join_over_blanks(text: &str, ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if text[last.end..range.start].trim().is_empty() => last.end = range.end,
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

/// Cuts the ranges out; the empty line above goes too when another one, or nothing, follows.
fn cut(text: &str, ranges: &[Range<usize>]) -> String {
    let mut kept = text.to_owned();
    for range in ranges.iter().rev() {
        let next_line = text[range.end..].lines().next();
        let alone = next_line.is_none_or(|line| line.trim().is_empty());
        let start = match blank_line_before(text, range.start) {
            Some(blank) if alone => blank,
            Some(_) | None => range.start,
        };
        kept.replace_range(start..range.end, "");
    }
    kept
}

fn set_inline(value: &mut Value, path: &[String], new: &Node) -> Option<()> {
    let table = value.as_inline_table_mut()?;
    let (key, rest) = path.split_first()?;
    if rest.is_empty() {
        match table.get_mut(key) {
            Some(old) => *old = to_value(new).decorated(" ", ""),
            None => {
                table.insert(key, to_value(new));
            }
        }
        return Some(());
    }
    if table.get(key).is_none() {
        table.insert(key, Value::InlineTable(toml_edit::InlineTable::new()));
    }
    set_inline(table.get_mut(key)?, rest, new)
}

fn unset_inline(value: &mut Value, path: &[String]) -> Option<()> {
    let table = value.as_inline_table_mut()?;
    let (key, rest) = path.split_first()?;
    if rest.is_empty() {
        table.remove(key)?;
        return Some(());
    }
    unset_inline(table.get_mut(key)?, rest)
}

fn inline(value: &Node) -> String {
    to_value(value).to_string().trim().to_owned()
}

fn spell(key: &str) -> String {
    Key::new(key).display_repr().into_owned()
}

fn dotted(path: &[String]) -> String {
    path.iter()
        .map(|key| spell(key))
        .collect::<Vec<_>>()
        .join(".")
}
