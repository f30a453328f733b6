//! Commands: started, listened to, typed to.

use std::path::Path;
use std::time::Duration;

use codex_process::{Exit, Kept, Session, Terminal};
use codex_protocol::{ApprovalSubject, ItemId, SandboxPolicy};
use codex_tools::request::{CommandRequest, Patience, WriteRequest};
use codex_tools::{quote, specs};
use serde_json::json;
use tokio::time::Instant;

use super::running::{self, KILL_AFTER, Place, RunningCommand};
use super::{HandCall, workspace};
use crate::approvals::{self, Gate};
use crate::calls::{self, Done, INTERRUPTED};
use crate::conversation::ABORTED;
use crate::output::{self, Spill};
use crate::questions::Answer;
use crate::tools::OWN;

/// What the classic shell tool reports for a command that took too long.
const TIMED_OUT: i32 = 124;

/// What the model hears of a command that a person did not allow.
const DECLINED: &str = "the user declined this command; it did not run";

/// Why a command may not run.
enum Refused {
    By(String),
    /// A person said no.
    Declined,
    Interrupted,
}

/// Runs a command until it ends, or as long as the request waits for it.
pub(super) async fn run(call: &HandCall, request: CommandRequest) -> Done {
    let command = quote::join(&request.argv);
    let events = &call.services.events;
    let place = Place {
        command,
        cwd: call.folder(request.workdir.as_deref()),
    };
    let item = events.started(place.begun()).await;
    if let Err(refused) = permit(call, &request, (&place, item)).await {
        let (details, done) = match refused {
            Refused::By(why) => (place.ended(why.clone(), None), Done::failed(why)),
            Refused::Declined => (place.declined(), Done::failed(DECLINED)),
            Refused::Interrupted => {
                let details = place.ended(INTERRUPTED.to_owned(), None);
                (details, Done::failed(ABORTED))
            }
        };
        events.completed(item, details).await;
        return done;
    }
    let session = match start(call, &request, &place.cwd) {
        Ok(session) => session,
        Err(why) => {
            let details = place.ended(why.clone(), None);
            events.completed(item, details).await;
            return Done::failed(why);
        }
    };
    let begun = Instant::now();
    let running = call.services.hands.running.open(item, place, session);
    let wait = match request.patience {
        Patience::Yield(wait) | Patience::Kill(wait) => wait,
    };
    let heard = match listen(call, &running, wait).await {
        Some(exit) => Heard {
            exit,
            wall_time: begun.elapsed(),
            max_tokens: request.max_output_tokens,
        },
        None => return interrupted(call, &running).await,
    };
    match request.patience {
        Patience::Yield(_) => answer(call, &running, heard).await,
        Patience::Kill(limit) => classic_answer(call, &running, heard, limit).await,
    }
}

/// Types to a running command, or only looks at it.
pub(super) async fn write(call: &HandCall, request: WriteRequest) -> Done {
    let Some(running) = call.services.hands.running.get(request.session_id) else {
        let id = request.session_id;
        return refuse_write(
            call,
            &request,
            format!("there is no session {id}, or it has ended"),
        )
        .await;
    };
    let begun = Instant::now();
    if !request.chars.is_empty()
        && let Err(why) = running.session.write(request.chars.as_bytes()).await
    {
        let hint = match why {
            codex_process::WriteError::NoTerminal => {
                "; run it again with tty = true to type into it"
            }
            _ => "",
        };
        return refuse_write(call, &request, format!("{why}{hint}")).await;
    }
    match listen(call, &running, request.wait).await {
        Some(exit) => {
            let heard = Heard {
                exit,
                wall_time: begun.elapsed(),
                max_tokens: request.max_output_tokens,
            };
            answer(call, &running, heard).await
        }
        None => interrupted(call, &running).await,
    }
}

/// Decides, and asks when somebody has to be asked.
async fn permit(
    call: &HandCall,
    request: &CommandRequest,
    (place, item): (&Place, ItemId),
) -> Result<(), Refused> {
    if call.cancel.is_cancelled() {
        return Err(Refused::Interrupted);
    }
    let (settings, questions) = (call.settings(), &call.services.questions);
    let facts = questions.facts(request, &place.cwd, settings.ground());
    let why = match approvals::decide_command(facts, settings.approval, settings.sandbox) {
        Gate::Allow(by) => {
            call.services.explain(item, by).await;
            return Ok(());
        }
        Gate::Deny(why) => return Err(Refused::By(why)),
        Gate::Ask(why) if questions.can_ask() => why,
        Gate::Ask(why) => return Err(Refused::By(approvals::cannot_ask(why))),
    };
    let subject = ApprovalSubject::Command {
        command: place.command.clone(),
        cwd: place.cwd.clone(),
    };
    let events = &call.services.events;
    match questions
        .ask(events, item, (subject, why), &call.cancel)
        .await
    {
        Answer::Allowed => Ok(()),
        Answer::AllowedForSession => {
            questions.remember_command(request, &place.cwd, settings.ground());
            Ok(())
        }
        Answer::Declined | Answer::Cancelled => Err(Refused::Declined),
        Answer::Interrupted => Err(Refused::Interrupted),
    }
}

/// Starts; the error is a sentence for the model and the item.
fn start(call: &HandCall, request: &CommandRequest, cwd: &Path) -> Result<Session, String> {
    let settings = call.settings();
    let policy = match request.is_escalated {
        true => SandboxPolicy::DangerFullAccess,
        false => settings.policy(),
    };
    if !call.services.hands.running.has_room() {
        return Err("too many commands run already; let one end first".to_owned());
    }
    let spec = workspace(settings, &policy)
        .command(&request.argv, cwd)
        .map_err(told)?;
    let terminal = match request.tty {
        true => Terminal::Own,
        false => Terminal::Absent,
    };
    Session::spawn(&spec, terminal).map_err(told)
}

/// Joins an error and its causes.
fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What was heard of a command during a call.
struct Heard {
    /// `None` while it runs.
    exit: Option<Exit>,
    wall_time: Duration,
    max_tokens: Option<usize>,
}

/// Waits for the end of a command, no longer than `wait`; `None` when the call is cancelled.
async fn listen(call: &HandCall, running: &RunningCommand, wait: Duration) -> Option<Option<Exit>> {
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => None,
        exit = running.session.ended() => Some(Some(exit)),
        () = tokio::time::sleep(wait) => Some(None),
    }
}

/// Answers in the layout of sessions.
async fn answer(call: &HandCall, running: &RunningCommand, heard: Heard) -> Done {
    let services = &call.services;
    let state = match heard.exit {
        Some(exit) => {
            if services.hands.running.close(running) {
                running.end_item(&services.events, Some(exit)).await;
            }
            format!("Process exited with code {}", running::code(exit))
        }
        None => format!("Process running with session ID {}", running.id),
    };
    let unread = running.session.take_unread();
    let text = format!(
        "Chunk ID: {:06x}\nWall time: {:.4} seconds\n{state}\nOriginal token count: {}\nOutput:\n{}",
        services.hands.running.next_answer() & 0xff_ffff,
        heard.wall_time.as_secs_f64(),
        unread.n_bytes().div_ceil(4),
        within_budget(call, &unread, heard.max_tokens),
    );
    match heard.exit {
        Some(exit) if !exit.success() => Done::failed(text),
        Some(_) | None => Done::completed(text),
    }
}

/// Answers in the layout of the classic shell tool; a command that still runs is ended.
async fn classic_answer(
    call: &HandCall,
    running: &RunningCommand,
    heard: Heard,
    limit: Duration,
) -> Done {
    let services = &call.services;
    let mut lead = String::new();
    if heard.exit.is_none() {
        running.session.stop(KILL_AFTER).await;
        lead = format!(
            "command timed out after {} milliseconds\n",
            limit.as_millis()
        );
    }
    if services.hands.running.close(running) {
        running.end_item(&services.events, heard.exit).await;
    }
    let code = heard.exit.map_or(TIMED_OUT, running::code);
    let unread = running.session.take_unread();
    let text = format!(
        "Exit code: {code}\nWall time: {:.1} seconds\nOutput:\n{lead}{}",
        heard.wall_time.as_secs_f64(),
        within_budget(call, &unread, heard.max_tokens),
    );
    match code {
        0 => Done::completed(text),
        _ => Done::failed(text),
    }
}

fn within_budget(call: &HandCall, kept: &Kept, max_tokens: Option<usize>) -> String {
    let spill = Spill {
        folder: call.services.spill_folder.clone(),
        call_id: call.call_id.clone(),
    };
    output::of_command(kept, max_tokens, &spill)
}

/// Ends a command whose turn was interrupted.
async fn interrupted(call: &HandCall, running: &RunningCommand) -> Done {
    running.session.stop(KILL_AFTER).await;
    if call.services.hands.running.close(running) {
        running.end_item(&call.services.events, None).await;
    }
    Done::failed(ABORTED)
}

/// Shows and answers words that reached no command.
async fn refuse_write(call: &HandCall, request: &WriteRequest, why: String) -> Done {
    let arguments = json!({"session_id": request.session_id, "chars": request.chars});
    let shown = calls::running(OWN, specs::WRITE_STDIN, arguments);
    let events = &call.services.events;
    let item: ItemId = events
        .started(codex_protocol::ItemDetails::McpToolCall(Box::new(
            shown.clone(),
        )))
        .await;
    calls::end_item(events, item, shown, Err(why.clone())).await;
    Done::failed(why)
}
