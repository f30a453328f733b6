//! A backend that writes down what another one answers.
//!
//! Request and response are written when the answer is complete, because the request names the tools
//! that the response calls. An answer that broke off without a call is no line of its own: its items
//! stand at the beginning of the next answer, and a replay gives them in one piece.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_api_types::ResponseItem;
use codex_host::PrivateFile;
use codex_protocol::{TokenUsage, TurnErrorKind};
use futures_util::stream;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::recording::marks::Marks;
use crate::recording::{
    EndLine, Entry, Header, Line, RequestLine, ResponseEnd, ResponseLine, Seen, VERSION, called,
    code, map_strings, offered, sha256,
};
use crate::{
    ErrorOrigin, ModelBackend, ModelError, ModelEvent, ModelStream, Prompt, RedactionRules,
    RetryBudget,
};

/// What a recording says about its run, and what must not stand in it.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// Version of this program.
    pub codex: String,
    /// When the run began.
    pub created_at: jiff::Timestamp,
    /// Slug of the model.
    pub model: String,
    /// Id of the provider.
    pub provider: String,
    /// Secrets of the run.
    pub redaction: RedactionRules,
    /// Becomes `<<cwd>>`.
    pub cwd: PathBuf,
    /// Becomes `<<home>>`.
    pub home: Option<PathBuf>,
}

/// Why a recording cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot record to `{}`: {why}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Writes down what another backend answers.
#[derive(Debug)]
pub struct Recorder {
    inner: Arc<dyn ModelBackend>,
    tape: Arc<Mutex<Tape>>,
}

/// The file and what was written to it.
#[derive(Debug)]
struct Tape {
    path: PathBuf,
    file: File,
    header: Header,
    cleaner: Cleaner,
    seen: Seen,
    n_requests: usize,
    /// Items of an answer that broke off without a call.
    carried: Vec<ResponseItem>,
    finished: bool,
}

/// Takes out what must not stand in the file, and remembers where.
#[derive(Debug)]
struct Cleaner {
    rules: RedactionRules,
    marks: Marks,
    n_redacted: usize,
    changed_calls: Vec<String>,
}

impl Recorder {
    /// Creates the file, which must not exist, and writes its first line.
    pub fn create(
        path: &Path,
        inner: Arc<dyn ModelBackend>,
        settings: RecordSettings,
    ) -> Result<Self, RecordError> {
        let failed = |why: String| RecordError {
            path: path.to_owned(),
            why,
        };
        let mut cleaner = Cleaner {
            marks: Marks::new(&settings.cwd, settings.home.as_deref()),
            rules: settings.redaction,
            n_redacted: 0,
            changed_calls: Vec::new(),
        };
        let header = Header {
            version: VERSION,
            codex: settings.codex,
            created_at: settings.created_at,
            model: cleaner.clean(&settings.model, false),
            provider: cleaner.clean(&settings.provider, false),
            redacted: 0,
        };
        let file = PrivateFile::create_new(path).map_err(|why| match why.kind() {
            std::io::ErrorKind::AlreadyExists => {
                failed("the file exists, and a recording never overwrites one: remove it, or name another file".to_owned())
            }
            _ => failed(why.to_string()),
        })?;
        let mut tape = Tape {
            path: path.to_owned(),
            file,
            header: header.clone(),
            cleaner,
            seen: Seen::default(),
            n_requests: 0,
            carried: Vec::new(),
            finished: false,
        };
        tape.write(&[Line::Recording(header)]).map_err(failed)?;
        Ok(Self {
            inner,
            tape: Arc::new(Mutex::new(tape)),
        })
    }
}

impl ModelBackend for Recorder {
    fn stream(
        &self,
        prompt: Prompt,
        budget: RetryBudget,
        cancel: CancellationToken,
    ) -> ModelStream {
        let take = Take {
            backend: self.inner.clone(),
            tape: self.tape.clone(),
            new: lock(&self.tape).seen.new_entries(&prompt),
            n_input: prompt.input.len(),
            offered: offered(&prompt.tools),
            items: Vec::new(),
        };
        let inner = self.inner.stream(prompt, budget, cancel);
        ModelStream::new(stream::unfold(
            (inner, take),
            |(mut inner, mut take)| async {
                let event = inner.next().await?;
                Some((take.pass(event), (inner, take)))
            },
        ))
    }

    fn finish(&self) -> Result<Vec<String>, ModelError> {
        let mut notices = self.inner.finish()?;
        notices.extend(lock(&self.tape).finish()?);
        Ok(notices)
    }
}

/// One answer that is being written down.
struct Take {
    backend: Arc<dyn ModelBackend>,
    tape: Arc<Mutex<Tape>>,
    new: Vec<Entry>,
    n_input: usize,
    offered: Vec<String>,
    items: Vec<ResponseItem>,
}

impl Take {
    /// Writes the answer down when this is its last event.
    fn pass(&mut self, event: Result<ModelEvent, ModelError>) -> Result<ModelEvent, ModelError> {
        let end = match &event {
            Ok(ModelEvent::ItemDone(item)) => {
                self.items.push(item.clone());
                return event;
            }
            Ok(ModelEvent::Completed { usage }) => completed(*usage),
            Ok(ModelEvent::Interrupted(_)) => {
                if self.items.iter().all(|item| item.pending_call().is_none()) {
                    let items = std::mem::take(&mut self.items);
                    lock(&self.tape).carried.extend(items);
                    return event;
                }
                completed(TokenUsage::default())
            }
            Err(error) if !error.is_cancelled() => ResponseEnd::Failed {
                message: error.message.clone(),
                code: Some(code(error.kind).to_owned()),
            },
            _ => return event,
        };
        let learned = self.backend.learned_secrets();
        let mut tape = lock(&self.tape);
        tape.cleaner.rules.learn(learned);
        tape.record(self, end).map_err(|why| tape.failed(&why))?;
        event
    }
}

fn completed(usage: TokenUsage) -> ResponseEnd {
    ResponseEnd::Completed {
        usage: usage.into(),
    }
}

impl Tape {
    fn record(&mut self, take: &Take, end: ResponseEnd) -> Result<(), String> {
        let mut items = std::mem::take(&mut self.carried);
        items.extend(take.items.iter().cloned());
        let called = items.iter().filter_map(called);
        let mut calls: Vec<String> = called.filter(|name| take.offered.contains(name)).collect();
        calls.dedup();
        self.n_requests += 1;
        self.seen.mark(take.n_input);
        let seq = self.n_requests;
        let new = take
            .new
            .iter()
            .map(|entry| self.cleaner.entry(entry))
            .collect();
        let items = items
            .into_iter()
            .map(|item| self.cleaner.item(item))
            .collect();
        let end = match end {
            ResponseEnd::Failed { message, code } => ResponseEnd::Failed {
                message: self.cleaner.clean(&message, false),
                code,
            },
            completed @ ResponseEnd::Completed { .. } => completed,
        };
        self.write(&[
            Line::Request(RequestLine { seq, new, calls }),
            Line::Response(ResponseLine { seq, items, end }),
        ])
    }

    fn write(&mut self, lines: &[Line]) -> Result<(), String> {
        for line in lines {
            let text = line.to_text().map_err(|why| why.to_string())?;
            self.file
                .write_all(text.as_bytes())
                .map_err(|why| why.to_string())?;
        }
        self.file.flush().map_err(|why| why.to_string())
    }

    /// Writes the last line. The number of redacted values stands in the first one, so a recording
    /// with such values is written anew.
    fn finish(&mut self) -> Result<Vec<String>, ModelError> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(Vec::new());
        }
        self.write_end().map_err(|why| self.failed(&why))?;
        let Cleaner {
            n_redacted,
            changed_calls,
            ..
        } = &self.cleaner;
        if changed_calls.is_empty() {
            return Ok(Vec::new());
        }
        let calls = changed_calls.join(", ");
        Ok(vec![format!(
            "{n_redacted} values were redacted in the recording; a replay runs call {calls} with the redacted text"
        )])
    }

    fn write_end(&mut self) -> Result<(), String> {
        let say = |why: &dyn std::fmt::Display| why.to_string();
        let text = std::fs::read_to_string(&self.path).map_err(|why| say(&why))?;
        let end = |content: &str| {
            Line::End(EndLine {
                requests: self.n_requests,
                sha256: Some(sha256(content.as_bytes())),
            })
        };
        if self.cleaner.n_redacted == 0 {
            let end = end(&text);
            return self.write(&[end]);
        }
        self.header.redacted = self.cleaner.n_redacted;
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        let first = Line::Recording(self.header.clone())
            .to_text()
            .map_err(|why| say(&why))?;
        let mut content = first + rest;
        let last = end(&content).to_text().map_err(|why| say(&why))?;
        content.push_str(&last);
        PrivateFile::replace(&self.path, content.as_bytes()).map_err(|why| say(&why))
    }

    fn failed(&self, why: &str) -> ModelError {
        let error = RecordError {
            path: self.path.clone(),
            why: why.to_owned(),
        };
        ModelError::new(ErrorOrigin::Local, TurnErrorKind::Other, error.to_string())
    }
}

impl Cleaner {
    fn clean(&mut self, text: &str, is_json_text: bool) -> String {
        let (redacted, n_found) = self.rules.redact(text);
        self.n_redacted += n_found;
        self.marks.hide(&redacted, is_json_text)
    }

    fn entry(&mut self, entry: &Entry) -> Entry {
        match entry {
            Entry::User { user, images } => Entry::User {
                user: self.clean(user, false),
                images: images.clone(),
            },
            Entry::Call {
                call,
                status,
                output,
            } => Entry::Call {
                call: call.clone(),
                status: *status,
                output: self.clean(output, false),
            },
        }
    }

    fn item(&mut self, mut item: ResponseItem) -> Value {
        let call = item.pending_call().map(str::to_owned);
        if let ResponseItem::Reasoning(reasoning) = &mut item {
            reasoning.encrypted_content = None;
        }
        let before = self.n_redacted;
        let mut value = serde_json::to_value(&item).unwrap_or_default();
        map_strings(&mut value, &mut |text, is_json_text| {
            *text = self.clean(text, is_json_text);
        });
        if let Some(call) = call.filter(|_| self.n_redacted > before) {
            self.changed_calls.push(call);
        }
        value
    }
}

/// A tape whose writer panicked is still the tape.
fn lock(tape: &Mutex<Tape>) -> MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
