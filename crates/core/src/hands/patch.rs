//! Patches: read, decided, applied whole or not at all.
//!
//! Reading, asking and applying are three steps, so that whoever is asked sees the patch and nothing
//! on the disk waits for a person.

use std::path::{Path, PathBuf};

use codex_apply_patch::{ChangeKind, FileOp, Patch};
use codex_protocol::{
    ApprovalSubject, FileChange, ItemDetails, ItemId, ItemStatus, PatchChange, PatchChangeKind,
};
use codex_tools::patch::{self, PatchError};
use codex_tools::request::PatchRequest;
use tokio::time::Instant;

use super::{HandCall, workspace};
use crate::approvals::{self, AllowedBy, Gate};
use crate::calls::{Done, INTERRUPTED};
use crate::conversation::ABORTED;
use crate::questions::Answer;

/// What the model hears of a patch that a person did not allow.
const DECLINED: &str = "the user declined this patch; no file was changed";
/// The largest removed file whose content is shown.
const SHOWN_LIMIT: u64 = 1024 * 1024;

/// How a patch went.
enum Outcome {
    Applied(String),
    Failed(String),
    Declined,
    Interrupted,
}

/// Applies a patch and shows it as one item.
pub(super) async fn run(call: &HandCall, request: PatchRequest) -> Done {
    let cwd = call.folder(request.workdir.as_deref());
    let begun = Instant::now();
    let read = match call.cancel.is_cancelled() {
        true => Err(INTERRUPTED.to_owned()),
        false => in_thread(move || read(&request.text, cwd))
            .await
            .and_then(|read| read),
    };
    let events = &call.services.events;
    let shown = FileChange {
        // Of what cannot be read no file is known.
        changes: read
            .as_ref()
            .map_or_else(|_| Vec::new(), |read| read.changes.clone()),
        status: ItemStatus::InProgress,
        error: None,
    };
    let item = events.started(ItemDetails::FileChange(shown.clone())).await;
    let outcome = match read {
        Err(why) => Outcome::Failed(why),
        Ok(read) => apply(call, read, item).await,
    };
    let (status, error, done) = match outcome {
        Outcome::Applied(summary) => {
            let seconds = begun.elapsed().as_secs_f64();
            let text = format!("Exit code: 0\nWall time: {seconds:.1} seconds\nOutput:\n{summary}");
            (ItemStatus::Completed, None, Done::completed(text))
        }
        Outcome::Failed(why) => (ItemStatus::Failed, Some(why.clone()), Done::failed(why)),
        Outcome::Declined => (ItemStatus::Declined, None, Done::failed(DECLINED)),
        Outcome::Interrupted => {
            let why = Some(INTERRUPTED.to_owned());
            (ItemStatus::Failed, why, Done::failed(ABORTED))
        }
    };
    let details = ItemDetails::FileChange(FileChange {
        status,
        error,
        ..shown
    });
    events.completed(item, details).await;
    done
}

/// A patch that was read, and what it is about.
struct Read {
    patch: Patch,
    cwd: PathBuf,
    changes: Vec<PatchChange>,
}

/// Reads a patch. Blocks.
fn read(text: &str, cwd: PathBuf) -> Result<Read, String> {
    let patch =
        codex_apply_patch::parse(text).map_err(|error| PatchError::from(error).to_string())?;
    let mut changes: Vec<PatchChange> = patch.ops.iter().map(|op| named(op, &cwd)).collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Read {
        patch,
        cwd,
        changes,
    })
}

/// Says which file is meant, whether or not the patch can be applied.
fn named(op: &FileOp, cwd: &Path) -> PatchChange {
    let (path, kind) = op.subject(cwd);
    let moved_to = op.target(cwd);
    let mut diff = op.diff().unwrap_or_else(|| removed(&path));
    if let Some(target) = &moved_to {
        // No line of a hunk begins like this.
        diff.push_str(&format!("\nMoved to: {}", target.display()));
    }
    PatchChange {
        diff,
        path,
        moved_to,
        kind: match kind {
            ChangeKind::Add => PatchChangeKind::Add,
            ChangeKind::Delete => PatchChangeKind::Delete,
            ChangeKind::Update => PatchChangeKind::Update,
        },
    }
}

/// Every path that a change writes to or takes away.
fn touched(change: &PatchChange) -> impl Iterator<Item = &Path> {
    std::iter::once(change.path.as_path()).chain(change.moved_to.as_deref())
}

/// The content of a file that is to go; nothing when it is none that can be shown.
fn removed(path: &Path) -> String {
    match codex_host::read_bounded(path, SHOWN_LIMIT) {
        Ok(Some(bytes)) => String::from_utf8(bytes).unwrap_or_default(),
        Ok(None) | Err(_) => String::new(),
    }
}

/// Decides, asks when somebody has to be asked, and applies.
async fn apply(call: &HandCall, read: Read, item: ItemId) -> Outcome {
    let (settings, questions) = (call.settings(), &call.services.questions);
    let ground = settings.ground();
    let files = || read.changes.iter().flat_map(touched);
    match approvals::decide_patch(settings.approval, settings.sandbox) {
        Gate::Allow(by) => call.services.explain(item, by).await,
        Gate::Ask(_) if questions.holds_files(&ground, files()) => {
            call.services.explain(item, AllowedBy::Remembered).await;
        }
        Gate::Ask(why) if questions.can_ask() => {
            let subject = (ApprovalSubject::Patch, why);
            let events = &call.services.events;
            match questions.ask(events, item, subject, &call.cancel).await {
                Answer::Allowed => {}
                Answer::AllowedForSession => questions.remember_files(ground, files()),
                Answer::Declined | Answer::Cancelled => return Outcome::Declined,
                Answer::Interrupted => return Outcome::Interrupted,
            }
        }
        Gate::Ask(why) => return Outcome::Failed(approvals::cannot_ask(why)),
        Gate::Deny(why) => return Outcome::Failed(why),
    }
    // A file system may hang, and the patch must not be cut in the middle: it has a thread of its
    // own, and the turn waits for it.
    let services = call.services.clone();
    let applied = in_thread(move || {
        let policy = services.settings.policy();
        let fence = workspace(&services.settings, &policy).fence();
        let fence = fence.map_err(|error| error.to_string())?;
        let plan =
            patch::plan(&read.patch, &read.cwd, &fence).map_err(|error| error.to_string())?;
        patch::apply(&plan, &fence, &services.hands.journals).map_err(|error| error.to_string())?;
        Ok(patch::summary(&plan, &read.cwd))
    });
    match applied.await.and_then(|applied| applied) {
        Ok(summary) => Outcome::Applied(summary),
        Err(why) => Outcome::Failed(why),
    }
}

async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| "the patch stopped unexpectedly".to_owned())
}
