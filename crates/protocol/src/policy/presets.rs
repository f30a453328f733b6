//! The pairs of approval policy and sandbox mode that have a name.
//!
//! A frontend offers these; a pair that is none of them stays possible by its two settings.

use super::{AskForApproval, SandboxMode};

/// An approval policy and a sandbox mode that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalPreset {
    /// Its word, for wires and tests.
    pub id: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What it means, in a sentence.
    pub description: &'static str,
    /// When a person is asked.
    pub approval: AskForApproval,
    /// What commands may touch.
    pub sandbox: SandboxMode,
}

impl ApprovalPreset {
    /// Looks around and asks before anything else.
    pub const READ_ONLY: Self = Self {
        id: "read-only",
        label: "Read only",
        description: "Reads files and answers; asks before it leaves the sandbox.",
        approval: AskForApproval::OnRequest,
        sandbox: SandboxMode::ReadOnly,
    };
    /// Works in the workspace.
    pub const AUTO: Self = Self {
        id: "auto",
        label: "Auto",
        description: "Writes and runs commands in the workspace, without network; asks before it leaves them.",
        approval: AskForApproval::OnRequest,
        sandbox: SandboxMode::WorkspaceWrite,
    };
    /// No sandbox, no questions.
    pub const FULL_ACCESS: Self = Self {
        id: "full-access",
        label: "Full access",
        description: "Writes anywhere and uses the network, and never asks.",
        approval: AskForApproval::Never,
        sandbox: SandboxMode::DangerFullAccess,
    };
    /// All of them, the careful first.
    pub const ALL: [Self; 3] = [Self::READ_ONLY, Self::AUTO, Self::FULL_ACCESS];

    /// Returns the preset that two settings make.
    pub fn of(approval: AskForApproval, sandbox: SandboxMode) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.approval == approval && preset.sandbox == sandbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_is_found_by_its_settings_and_other_pairs_are_none() {
        for preset in ApprovalPreset::ALL {
            let found = ApprovalPreset::of(preset.approval, preset.sandbox);
            assert_eq!(found, Some(preset));
        }
        for (approval, sandbox) in [
            (AskForApproval::Never, SandboxMode::WorkspaceWrite),
            (AskForApproval::OnRequest, SandboxMode::DangerFullAccess),
            (AskForApproval::Untrusted, SandboxMode::ReadOnly),
        ] {
            assert_eq!(ApprovalPreset::of(approval, sandbox), None);
        }
    }
}
