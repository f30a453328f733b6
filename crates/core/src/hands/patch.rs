//! Patches: read, decided, applied whole or not at all.

use codex_apply_patch::ChangeKind;
use codex_protocol::{FileChange, ItemDetails, ItemStatus, PatchChange, PatchChangeKind};
use codex_tools::patch::{self, PatchError};
use codex_tools::request::PatchRequest;
use tokio::time::Instant;

use super::{HandCall, workspace};
use crate::approvals::{self, AllowedBy, Gate};
use crate::calls::{Done, INTERRUPTED};

/// Applies a patch and shows it as one item, which has an end and no beginning on every wire.
pub(super) async fn run(call: &HandCall, request: PatchRequest) -> Done {
    let begun = Instant::now();
    // A file system may hang, and the patch must not be cut in the middle: it has a thread of its
    // own, and the turn waits for it.
    let job = Job {
        cwd: call.folder(request.workdir.as_deref()),
        text: request.text,
        call: call.services.clone(),
    };
    let failed = |why: &str| Applied {
        changes: Vec::new(),
        allowed: None,
        result: Err(why.to_owned()),
    };
    let Applied {
        changes,
        allowed,
        result,
    } = match call.cancel.is_cancelled() {
        true => failed(INTERRUPTED),
        false => tokio::task::spawn_blocking(move || job.run())
            .await
            .unwrap_or_else(|_| failed("the patch stopped unexpectedly")),
    };
    let (status, error, done) = match result {
        Ok(summary) => {
            let seconds = begun.elapsed().as_secs_f64();
            let text = format!("Exit code: 0\nWall time: {seconds:.1} seconds\nOutput:\n{summary}");
            (ItemStatus::Completed, None, Done::completed(text))
        }
        Err(why) => (ItemStatus::Failed, Some(why.clone()), Done::failed(why)),
    };
    let events = &call.services.events;
    let item = events.new_item();
    if let Some(by) = allowed {
        call.services.explain(item, by).await;
    }
    let details = ItemDetails::FileChange(FileChange {
        changes,
        status,
        error,
    });
    events.completed(item, details).await;
    done
}

struct Job {
    cwd: std::path::PathBuf,
    text: String,
    call: crate::calls::CallServices,
}

/// How a patch went.
struct Applied {
    /// What it was about; empty when it could not be read.
    changes: Vec<PatchChange>,
    /// The rule that let it be applied.
    allowed: Option<AllowedBy>,
    result: Result<String, String>,
}

impl Job {
    fn run(self) -> Applied {
        let patch = match codex_apply_patch::parse(&self.text) {
            Ok(patch) => patch,
            Err(error) => {
                return Applied {
                    changes: Vec::new(),
                    allowed: None,
                    result: Err(PatchError::from(error).to_string()),
                };
            }
        };
        let mut changes = named(&patch, &self.cwd);
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        let decided = self.decide();
        Applied {
            changes,
            allowed: decided.as_ref().ok().copied(),
            result: decided.and_then(|_| self.apply(&patch)),
        }
    }

    fn decide(&self) -> Result<AllowedBy, String> {
        let settings = &self.call.settings;
        match approvals::decide_patch(settings.approval, settings.sandbox) {
            Gate::Allow(by) => Ok(by),
            Gate::Ask(why) => Err(approvals::cannot_ask(why)),
            Gate::Deny(why) => Err(why),
        }
    }

    fn apply(&self, patch: &codex_apply_patch::Patch) -> Result<String, String> {
        let settings = &self.call.settings;
        let policy = settings.policy();
        let fence = workspace(settings, &policy).fence();
        let fence = fence.map_err(|error| error.to_string())?;
        let plan = patch::plan(patch, &self.cwd, &fence).map_err(|error| error.to_string())?;
        patch::apply(&plan, &fence, &self.call.hands.journals)
            .map_err(|error| error.to_string())?;
        Ok(patch::summary(&plan, &self.cwd))
    }
}

/// Returns the files that a patch is about, whether or not it can be applied.
fn named(patch: &codex_apply_patch::Patch, cwd: &std::path::Path) -> Vec<PatchChange> {
    let changes = patch.ops.iter().map(|op| {
        let (path, kind) = op.subject(cwd);
        PatchChange {
            path,
            kind: match kind {
                ChangeKind::Add => PatchChangeKind::Add,
                ChangeKind::Delete => PatchChangeKind::Delete,
                ChangeKind::Update => PatchChangeKind::Update,
            },
        }
    });
    changes.collect()
}
