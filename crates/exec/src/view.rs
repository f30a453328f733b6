//! The two ways to tell a run, behind one set of deeds.
//!
//! Notices that arise before the thread exists wait for it, because `thread.started` is the first
//! line of a stream and the banner the first of a terminal.

use std::io::IsTerminal;

use codex_host::Env;
use codex_process::Output;
use codex_protocol::{EventKind, ThreadId, TokenUsage};
use codex_runtime::Summary;

use crate::args::Color;
use crate::failure::{Failure, Lead};
use crate::human::{FinalMessage, Human, Paint};
use crate::json::JsonLines;

/// Tells a run to whoever reads it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    out: &'a Output,
    style: Style,
    /// Notices of the time before the thread.
    early: Vec<String>,
    thread_told: bool,
}

#[derive(Debug)]
enum Style {
    Json(JsonLines),
    Human(Human),
}

impl<'a> View<'a> {
    /// Tells in JSON lines.
    pub(crate) fn json(out: &'a Output) -> Self {
        Self::new(out, Style::Json(JsonLines::default()))
    }

    /// Tells in text.
    pub(crate) fn human(out: &'a Output, color: Color, env: &Env) -> Self {
        Self::new(out, Style::Human(Human::new(paint(color, env))))
    }

    fn new(out: &'a Output, style: Style) -> Self {
        Self {
            out,
            style,
            early: Vec::new(),
            thread_told: false,
        }
    }

    /// Tells the thread, then what waited for it.
    pub(crate) async fn thread_started(&mut self, id: ThreadId, summary: &Summary, prompt: &str) {
        match &mut self.style {
            Style::Json(lines) => self.out.data(lines.thread_started(id)).await,
            Style::Human(human) => self.out.talk(&human.banner(summary, id, prompt)).await,
        }
        self.thread_told = true;
        for notice in std::mem::take(&mut self.early) {
            self.notice(notice).await;
        }
    }

    /// Tells something that the run survives.
    pub(crate) async fn notice(&mut self, text: String) {
        if !self.thread_told {
            self.early.push(text);
            return;
        }
        match &mut self.style {
            Style::Json(lines) => self.out.data(lines.notice(&on_the_wire(&text))).await,
            Style::Human(human) => self.out.talk(&human.notice(&text)).await,
        }
    }

    /// Tells one event; the end of a turn that went well is told by [`View::completed`].
    pub(crate) async fn event(&mut self, kind: &EventKind) {
        match &mut self.style {
            Style::Json(lines) => {
                self.out.data(lines.event(kind)).await;
                // Programs show their users the whole stderr of a run that failed.
                if let EventKind::TurnFailed(_) = kind {
                    self.out.talk(&Human::new(Paint::Plain).event(kind)).await;
                }
            }
            Style::Human(human) => self.out.talk(&human.event(kind)).await,
        }
    }

    /// Tells that the turn ended well, and in text its final message.
    pub(crate) async fn completed(&mut self, usage: TokenUsage, final_message: Option<&str>) {
        match &mut self.style {
            Style::Json(lines) => {
                self.out
                    .data(lines.event(&EventKind::TurnCompleted { usage }))
                    .await;
            }
            Style::Human(human) => {
                let shown = match std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
                {
                    true => FinalMessage::StdoutOnly,
                    false => FinalMessage::Everywhere,
                };
                self.out.talk(&human.finish(usage, shown)).await;
                if let Some(message) = final_message {
                    self.out.data(format!("{message}\n").into_bytes()).await;
                }
            }
        }
    }

    /// Tells that the run was interrupted, unless the turn's end is told already.
    pub(crate) async fn interrupted(&mut self) {
        match &mut self.style {
            Style::Json(lines) => self.out.data(lines.interrupted()).await,
            Style::Human(human) => {
                self.out
                    .talk(&human.event(&EventKind::TurnInterrupted))
                    .await;
            }
        }
    }

    /// Tells a failure that ends the run. People see it on stderr in both styles.
    pub(crate) async fn fatal(&mut self, failure: &Failure) {
        let text = match (&mut self.style, failure.lead) {
            (Style::Json(lines), _) => {
                self.out.data(lines.fatal(&failure.sentence())).await;
                told(&mut Human::new(Paint::Plain), failure)
            }
            (Style::Human(human), _) => {
                let mut text = String::new();
                for notice in std::mem::take(&mut self.early) {
                    text.push_str(&human.notice(&notice));
                }
                text + &told(human, failure)
            }
        };
        self.out.talk(&text).await;
    }
}

fn told(human: &mut Human, failure: &Failure) -> String {
    match failure.lead {
        Lead::Error => human.fatal(&failure.message, &failure.causes, &failure.hints),
        Lead::Nothing => {
            let hints = failure.hints.iter().map(|hint| format!("hint: {hint}\n"));
            format!("{}\n{}", failure.message, hints.collect::<String>())
        }
    }
}

/// Returns a notice as the wire tells it: without a lead, and a deprecation, which says on a second
/// line what to do, as one sentence.
fn on_the_wire(text: &str) -> String {
    if let Some(text) = text.strip_prefix("deprecated: ") {
        return match text.split_once('\n') {
            Some((what, todo)) => format!("{what} ({todo})"),
            None => text.to_owned(),
        };
    }
    text.strip_prefix("note: ").unwrap_or(text).to_owned()
}

fn paint(color: Color, env: &Env) -> Paint {
    let wanted = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            env.non_empty("NO_COLOR").is_none()
                && env.get("TERM") != Some("dumb")
                && std::io::stderr().is_terminal()
        }
    };
    if wanted { Paint::Colours } else { Paint::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deprecation_is_one_sentence_on_the_wire_and_other_texts_stay() {
        let rows = [
            ("deprecated: a is old.\nUse b.", "a is old. (Use b.)"),
            ("note: a", "a"),
            ("two keys\n  a\n  b", "two keys\n  a\n  b"),
            ("one key\n  a", "one key\n  a"),
        ];
        for (text, expected) in rows {
            assert_eq!(on_the_wire(text), expected);
        }
    }
}
