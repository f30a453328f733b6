//! What the model is told about a call.
//!
//! An outcome of MCP becomes text (or parts, when a picture is in it) in the order in which the
//! server sent it. Text beyond the budget loses its middle; the whole of it is kept in a private
//! file whose name stands where the middle was. Of a command that writes more than is held in
//! memory, the file has the beginning and the end, and the line there says so.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use codex_api_types::{CallOutput, ContentItem};
use codex_host::PrivateFile;
use codex_process::Kept;
use codex_protocol::McpOutcome;
use serde_json::Value;

/// Budget of an output without `output_token_limit`.
pub(crate) const DEFAULT_TOKEN_LIMIT: usize = 10_000;
/// How a token is counted where no tokenizer is at hand.
const BYTES_PER_TOKEN: usize = 4;
/// How long the texts of a thread are kept after the last of them.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// How many folders of threads are looked at, and removed, by one thread.
const N_LOOKED_AT: usize = 10_000;
const N_REMOVED: usize = 100;
/// Picture types that providers take.
const IMAGE_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// One piece of an outcome, in order.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    /// A `data:` URL.
    Image(String),
}

/// Where the whole text of a cut output goes.
#[derive(Debug, Clone)]
pub(crate) struct Spill {
    /// A folder of the thread, made when it is needed.
    pub(crate) folder: PathBuf,
    /// The call; not trusted as a file name.
    pub(crate) call_id: String,
}

/// Renders an outcome for the model. Blocks when the text has to be spilled.
pub(crate) fn render(
    outcome: &McpOutcome,
    wall_time: Duration,
    token_limit: Option<usize>,
    spill: &Spill,
) -> CallOutput {
    let mut head = format!(
        "Wall time: {:.4} seconds\nOutput:\n",
        wall_time.as_secs_f64()
    );
    if outcome.is_error {
        head.push_str("The tool reported an error.\n");
    }
    let pieces = within_budget(pieces(outcome), budget(token_limit), spill);
    if !pieces.iter().any(|piece| matches!(piece, Piece::Image(_))) {
        for piece in pieces {
            if let Piece::Text(text) = piece {
                head.push_str(&text);
            }
        }
        return CallOutput::Text(head);
    }
    let mut pieces = VecDeque::from(pieces);
    if let Some(Piece::Text(text)) = pieces.front() {
        head.push_str(text);
        pieces.pop_front();
    }
    let rest = pieces.into_iter().map(|piece| match piece {
        Piece::Text(text) => ContentItem::input_text(text),
        Piece::Image(url) => ContentItem::input_image(url),
    });
    CallOutput::Parts(
        std::iter::once(ContentItem::input_text(head))
            .chain(rest)
            .collect(),
    )
}

/// Cuts the middle out of a text that is beyond its limit. Blocks when it has to be spilled.
pub(crate) fn within_limit(text: String, token_limit: Option<usize>, spill: &Spill) -> String {
    let budget = budget(token_limit);
    if text.len() <= budget {
        return text;
    }
    cut_middle(&text, &Kept::default(), budget, spill)
}

/// The same for what was kept of the output of a command, of which some may be lost already.
pub(crate) fn of_command(kept: &Kept, token_limit: Option<usize>, spill: &Spill) -> String {
    let (text, budget) = (kept.text(), budget(token_limit));
    if text.len() <= budget {
        return text;
    }
    cut_middle(&text, kept, budget, spill)
}

fn budget(token_limit: Option<usize>) -> usize {
    let n_tokens = token_limit.unwrap_or(DEFAULT_TOKEN_LIMIT);
    n_tokens.saturating_mul(BYTES_PER_TOKEN)
}

/// Turns the blocks into pieces; neighbouring texts become one, separated by a line end.
fn pieces(outcome: &McpOutcome) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut push = |piece: Piece| match (pieces.last_mut(), piece) {
        (Some(Piece::Text(before)), Piece::Text(text)) => {
            before.push('\n');
            before.push_str(&text);
        }
        (_, piece) => pieces.push(piece),
    };
    outcome.content.iter().map(block).for_each(&mut push);
    if let Some(structured) = &outcome.structured
        && !said_as_text(outcome, structured)
    {
        push(Piece::Text(structured.to_string()));
    }
    pieces
}

/// Whether a text block already says what `structuredContent` says.
fn said_as_text(outcome: &McpOutcome, structured: &Value) -> bool {
    outcome.content.iter().any(|block| {
        kind(block) == "text"
            && text_of(block, "text")
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .is_some_and(|value| value == *structured)
    })
}

fn block(block: &Value) -> Piece {
    let dropped = |what: &str| Piece::Text(format!("[content dropped: {what}]"));
    match kind(block) {
        "text" => match text_of(block, "text") {
            Some(text) => Piece::Text(text.to_owned()),
            None => dropped("text"),
        },
        "image" => image(block, "data").unwrap_or_else(|| dropped(mime_or(block, "image"))),
        "resource_link" => match text_of(block, "uri") {
            Some(uri) => Piece::Text(resource_link(block, uri)),
            None => dropped("resource_link"),
        },
        "resource" => {
            let resource = block.get("resource").unwrap_or(&Value::Null);
            let uri = text_of(resource, "uri").unwrap_or("");
            match text_of(resource, "text") {
                Some(text) => Piece::Text(format!("Resource {uri}:\n{text}")),
                None => image(resource, "blob").unwrap_or_else(|| {
                    dropped(&format!("{} {uri}", mime_or(resource, "resource")))
                }),
            }
        }
        other => dropped(other),
    }
}

fn resource_link(block: &Value, uri: &str) -> String {
    let words: Vec<&str> = ["title", "name", "description", "mimeType"]
        .into_iter()
        .filter_map(|key| text_of(block, key))
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return format!("Resource link: {uri}");
    }
    format!("Resource link: {uri} ({})", words.join(", "))
}

fn image(block: &Value, data_key: &str) -> Option<Piece> {
    let mime_type = text_of(block, "mimeType")?;
    let data = text_of(block, data_key)?;
    IMAGE_TYPES
        .contains(&mime_type)
        .then(|| Piece::Image(format!("data:{mime_type};base64,{data}")))
}

fn kind(block: &Value) -> &str {
    text_of(block, "type").unwrap_or("unknown")
}

fn mime_or<'a>(block: &'a Value, otherwise: &'a str) -> &'a str {
    text_of(block, "mimeType").unwrap_or(otherwise)
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// Cuts the middle out of too much text; pictures then follow the text.
fn within_budget(pieces: Vec<Piece>, budget: usize, spill: &Spill) -> Vec<Piece> {
    let n_bytes: usize = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Image(_) => 0,
        })
        .sum();
    if n_bytes <= budget {
        return pieces;
    }
    let mut text = String::with_capacity(n_bytes + 16);
    let mut images = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(part) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&part);
            }
            Piece::Image(_) => images.push(piece),
        }
    }
    let mut kept = vec![Piece::Text(cut_middle(
        &text,
        &Kept::default(),
        budget,
        spill,
    ))];
    kept.extend(images);
    kept
}

/// Cuts a text, of which some may be missing in the middle already.
fn cut_middle(text: &str, kept: &Kept, budget: usize, spill: &Spill) -> String {
    let half = match kept.n_dropped {
        0 => budget / 2,
        // The line that stands for what is missing goes with the middle, whatever the budget is.
        _ => (budget / 2).min(kept.head.len()).min(kept.tail.len()),
    };
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    let gap = kept.gap().len();
    let n_omitted = ((tail - head).saturating_sub(gap) as u64).saturating_add(kept.n_dropped);
    let whole = match (spill.write(text), kept.n_dropped) {
        (Ok(path), 0) => format!("the whole text is in {}", path.display()),
        (Ok(path), _) => format!(
            "its beginning and its end, {} bytes, are in {}",
            text.len() - gap,
            path.display()
        ),
        (Err(error), _) => format!("the whole text could not be kept: {error}"),
    };
    format!(
        "{}\n… {n_omitted} bytes omitted; {whole} …\n{}",
        &text[..head],
        &text[tail..]
    )
}

impl Spill {
    /// Writes the whole text to a new file, 0600.
    fn write(&self, text: &str) -> std::io::Result<PathBuf> {
        let is_first = !self.folder.exists();
        PrivateFile::create_dir(&self.folder)?;
        if is_first {
            self.remove_old_neighbours();
        }
        let name: String = self
            .call_id
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                    c
                } else {
                    '_'
                }
            })
            .take(100)
            .collect();
        // A call id may come again in a resumed thread; an earlier text stays what it was.
        let mut path = self.folder.join(format!("{name}.txt"));
        for n_tries in 2..1000 {
            match PrivateFile::create_new(&path) {
                Ok(mut file) => {
                    return file.write_all(text.as_bytes()).map(|()| path);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    path = self.folder.join(format!("{name}-{n_tries}.txt"));
                }
                Err(error) => return Err(error),
            }
        }
        Err(std::io::ErrorKind::AlreadyExists.into())
    }

    /// Removes the folders of threads that kept nothing for long; one that stays is no reason to fail.
    /// What counts as now is when the own folder was made, by the clock of the same disk.
    fn remove_old_neighbours(&self) {
        let is_old = |path: &Path, now: SystemTime| {
            let age = std::fs::symlink_metadata(path).and_then(|found| found.modified());
            let age = age.ok().and_then(|last| now.duration_since(last).ok());
            age.is_some_and(|age| age > KEPT_FOR)
        };
        let made = std::fs::metadata(&self.folder).and_then(|found| found.modified());
        let (Some(parent), Ok(now)) = (self.folder.parent(), made) else {
            return;
        };
        let Ok(entries) = std::fs::read_dir(parent) else {
            return;
        };
        let old = entries
            .flatten()
            .take(N_LOOKED_AT)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter(|entry| is_thread(&entry.file_name()))
            .map(|entry| entry.path())
            .filter(|path| is_old(path, now));
        for path in old.take(N_REMOVED) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

fn is_thread(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.parse::<codex_protocol::ThreadId>().is_ok())
}

/// Returns where the long outputs of a thread are kept.
pub(crate) fn spill_folder(home: &Path, thread: codex_protocol::ThreadId) -> PathBuf {
    home.join("tool-outputs").join(thread.to_string())
}

#[cfg(test)]
mod tests;
