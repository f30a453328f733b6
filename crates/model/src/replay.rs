//! A backend that answers from a recording and never from anything else.
//!
//! The file is read and checked as a whole before the run. Each request is compared with the
//! recorded one; the first difference ends the run, because what follows would answer questions that
//! nobody asked. No network client is built for it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use codex_api_types::ResponseItem;
use codex_protocol::TurnErrorKind;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::recording::marks::Marks;
use crate::recording::{
    Entry, Header, Line, ResponseEnd, Seen, VERSION, kind, map_strings, offered, sha256,
};
use crate::redact::MASK;
use crate::{ErrorOrigin, ModelBackend, ModelError, ModelEvent, ModelStream, Prompt, RetryBudget};

/// What is filled in for the marks of a recording.
#[derive(Debug, Clone)]
pub struct ReplayContext {
    /// Stands for `<<cwd>>`.
    pub cwd: PathBuf,
    /// Stands for `<<home>>`.
    pub home: Option<PathBuf>,
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[error("cannot replay `{}`: {why}", path.display())]
pub struct ReplayError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Answers from a recording.
#[derive(Debug)]
pub struct Replay {
    header: Header,
    steps: Vec<Step>,
    position: Mutex<Position>,
}

/// One recorded request and its answer, marks filled in.
#[derive(Debug)]
struct Step {
    new: Vec<Entry>,
    calls: Vec<String>,
    items: Vec<ResponseItem>,
    end: ResponseEnd,
}

#[derive(Debug, Default)]
struct Position {
    next: usize,
    seen: Seen,
    mismatch: Option<String>,
}

impl Replay {
    /// Reads and checks the whole file.
    pub fn open(path: &Path, context: ReplayContext) -> Result<Self, ReplayError> {
        let failed = |why: String| ReplayError {
            path: path.to_owned(),
            why,
        };
        let text = std::fs::read_to_string(path).map_err(|why| failed(why.to_string()))?;
        let marks = Marks::new(&context.cwd, context.home.as_deref());
        let (header, steps) = parse(&text, &marks).map_err(failed)?;
        Ok(Self {
            header,
            steps,
            position: Mutex::default(),
        })
    }

    /// Returns the model of the recording.
    pub fn model(&self) -> &str {
        &self.header.model
    }

    /// Returns the id of the recording's provider.
    pub fn provider(&self) -> &str {
        &self.header.provider
    }

    /// Returns the recorded prompt of the user: what to send when the caller gives none.
    pub fn prompt(&self) -> Option<&str> {
        let mut entries = self.steps.iter().flat_map(|step| &step.new);
        entries.find_map(|entry| match entry {
            Entry::User { user, .. } => Some(user.as_str()),
            Entry::Call { .. } => None,
        })
    }

    fn answer(&self, prompt: &Prompt) -> Result<&Step, String> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mismatch) = &position.mismatch {
            return Err(mismatch.clone());
        }
        let number = position.next + 1;
        let compared = match self.steps.get(position.next) {
            Some(step) => compare(step, &position.seen.new_entries(prompt), prompt).map(|()| step),
            None => Err(format!(
                "the recording ends after {}",
                requests(self.steps.len())
            )),
        };
        match compared {
            Ok(step) => {
                position.next += 1;
                position.seen.mark(prompt.input.len());
                Ok(step)
            }
            Err(why) => {
                let mismatch = format!("replay mismatch at request {number}: {why}");
                position.mismatch = Some(mismatch.clone());
                Err(mismatch)
            }
        }
    }
}

impl ModelBackend for Replay {
    fn stream(&self, prompt: Prompt, _: RetryBudget, cancel: CancellationToken) -> ModelStream {
        if cancel.is_cancelled() {
            return ModelStream::ready(vec![Err(ModelError::cancelled())]);
        }
        let step = match self.answer(&prompt) {
            Ok(step) => step,
            Err(why) => return ModelStream::ready(vec![Err(mismatch(why))]),
        };
        let mut events = vec![Ok(ModelEvent::Created)];
        events.extend(step.items.iter().cloned().map(ModelEvent::ItemDone).map(Ok));
        events.push(match &step.end {
            ResponseEnd::Completed { usage } => Ok(ModelEvent::Completed {
                usage: (*usage).into(),
            }),
            ResponseEnd::Failed { message, code } => Err(ModelError::new(
                ErrorOrigin::Replay,
                kind(code.as_deref()),
                message.clone(),
            )),
        });
        ModelStream::ready(events)
    }

    fn finish(&self) -> Result<Vec<String>, ModelError> {
        let position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let n_unused = self.steps.len() - position.next;
        match (&position.mismatch, n_unused) {
            // The mismatch was an error of the turn already.
            (Some(_), _) | (None, 0) => Ok(Vec::new()),
            (None, 1) => Err(mismatch("replay ended with 1 unused response".to_owned())),
            (None, n) => Err(mismatch(format!("replay ended with {n} unused responses"))),
        }
    }
}

fn mismatch(message: String) -> ModelError {
    ModelError::new(ErrorOrigin::Replay, TurnErrorKind::ReplayMismatch, message)
}

/// Compares what the contract compares; the first difference counts.
fn compare(step: &Step, now: &[Entry], prompt: &Prompt) -> Result<(), String> {
    for (now, then) in now.iter().zip(&step.new) {
        compare_entry(now, then)?;
    }
    let (n_now, n_then) = (now.len(), step.new.len());
    if n_now != n_then {
        let extra = match n_now > n_then {
            true => now
                .get(n_then)
                .map(|entry| format!("{} came in addition", name(entry))),
            false => step
                .new
                .get(n_now)
                .map(|entry| format!("{} is missing", name(entry))),
        };
        return Err(extra.unwrap_or_default());
    }
    let offered = offered(&prompt.tools);
    match step.calls.iter().find(|call| !offered.contains(call)) {
        Some(call) => Err(not_offered(call)),
        None => Ok(()),
    }
}

/// Says which tool is missing; the name of an MCP tool begins with that of its server.
fn not_offered(call: &str) -> String {
    let words = call
        .strip_prefix("mcp__")
        .and_then(|rest| rest.split_once("__"));
    match words {
        Some((server, tool)) => format!(
            "tool `{tool}` of MCP server `{server}` is not offered now; the server must be configured \
             and running as it was when recorded (`codex mcp tools {server}` shows its tools)"
        ),
        None => format!("tool `{call}` is not offered now; it may be turned off in `features`"),
    }
}

fn compare_entry(now: &Entry, then: &Entry) -> Result<(), String> {
    match (now, then) {
        (
            Entry::User { user, images },
            Entry::User {
                user: recorded,
                images: recorded_images,
            },
        ) => {
            if !matches_masked(user, recorded) {
                return Err(format!(
                    "the prompt is `{}` now, `{}` when recorded",
                    excerpt(user),
                    excerpt(recorded)
                ));
            }
            match images == recorded_images {
                true => Ok(()),
                false => Err("other images now than when recorded".to_owned()),
            }
        }
        (
            Entry::Call { call, status, .. },
            Entry::Call {
                call: recorded,
                status: recorded_status,
                ..
            },
        ) if call == recorded => match status == recorded_status {
            true => Ok(()),
            false => Err(format!(
                "{call} {} now, {} when recorded",
                status.as_str(),
                recorded_status.as_str()
            )),
        },
        (Entry::User { .. } | Entry::Call { .. }, then) => {
            Err(format!("{} now, {} when recorded", name(now), name(then)))
        }
    }
}

fn name(entry: &Entry) -> String {
    match entry {
        Entry::User { user, .. } => format!("prompt `{}`", excerpt(user)),
        Entry::Call { call, .. } => format!("output of {call}"),
    }
}

/// Whether a text is the recorded one, where a mask stands for any text.
fn matches_masked(now: &str, recorded: &str) -> bool {
    let mut pieces = recorded.split(MASK);
    let Some(mut rest) = pieces.next().and_then(|first| now.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(start) => rest = &rest[start + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn requests(n: usize) -> String {
    match n {
        1 => "1 request".to_owned(),
        n => format!("{n} requests"),
    }
}

/// Reads all lines in their fixed order: recording, then request and response in turn, then end.
fn parse(text: &str, marks: &Marks) -> Result<(Header, Vec<Step>), String> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !line.trim().is_empty() {
            let parsed = parse_line(line).map_err(|why| format!("line {}: {why}", index + 1))?;
            lines.push((index + 1, start, parsed));
        }
        start += line.len();
    }
    let Some((_, end_start, Line::End(end))) = lines.pop() else {
        return Err("it has no `end` line: the recording is cut off".to_owned());
    };
    if let Some(expected) = end.sha256 {
        let actual = sha256(&text.as_bytes()[..end_start]);
        if !expected.eq_ignore_ascii_case(&actual) {
            return Err("it was changed after it was recorded (the hash of its `end` line differs); remove `sha256` there to use it as it is".to_owned());
        }
    }
    let mut lines = lines.into_iter();
    let Some((_, _, Line::Recording(header))) = lines.next() else {
        return Err("line 1: a `recording` line is expected".to_owned());
    };
    let mut steps = Vec::new();
    while let Some((number, _, line)) = lines.next() {
        let expected = steps.len() + 1;
        let (Line::Request(request), Some((_, _, Line::Response(response)))) = (line, lines.next())
        else {
            return Err(format!(
                "line {number}: a `request` and its `response` are expected"
            ));
        };
        if request.seq != expected || response.seq != expected {
            return Err(format!("line {number}: seq {expected} is expected"));
        }
        steps.push(Step {
            new: request
                .new
                .into_iter()
                .map(|entry| fill_entry(entry, marks))
                .collect(),
            calls: request.calls,
            items: response
                .items
                .into_iter()
                .map(|item| fill_item(item, marks))
                .collect(),
            end: response.end,
        });
    }
    match steps.len() == end.requests {
        true => Ok((header, steps)),
        false => Err(format!(
            "its `end` line speaks of {}, there are {}",
            requests(end.requests),
            steps.len()
        )),
    }
}

fn parse_line(line: &str) -> Result<Line, String> {
    let value: Value = serde_json::from_str(line).map_err(|why| why.to_string())?;
    // The version is looked at first: another one may have another shape.
    let version = value.get("version").and_then(Value::as_u64);
    if value.get("type").and_then(Value::as_str) == Some("recording")
        && version != Some(VERSION.into())
    {
        let found = version.map_or("no version".to_owned(), |v| format!("version {v}"));
        return Err(format!("{found} is not supported, only version {VERSION}"));
    }
    serde_json::from_value(value).map_err(|why| why.to_string())
}

fn fill_entry(entry: Entry, marks: &Marks) -> Entry {
    match entry {
        Entry::User { user, images } => Entry::User {
            user: marks.fill(&user, false),
            images,
        },
        call @ Entry::Call { .. } => call,
    }
}

fn fill_item(mut item: Value, marks: &Marks) -> ResponseItem {
    map_strings(&mut item, &mut |text, is_json_text| {
        *text = marks.fill(text, is_json_text);
    });
    ResponseItem::from(item)
}

#[cfg(test)]
mod tests;
