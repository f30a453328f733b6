//! Keys that were probably meant to be a known one.
//!
//! A restriction that is misspelt must not vanish: whoever wrote it believes that it holds. So the net is
//! wide here, wider than for "did you mean" elsewhere: letters only, in any case, and a part of a name
//! counts like the name.

use super::{APPROVALS, FEATURES, SANDBOXES};
use crate::features;

/// Restrictions of every thread, and the names of the settings that they restrict.
const RESTRICTIONS: &[(&str, &str)] = &[
    (FEATURES, FEATURES),
    (APPROVALS, APPROVALS),
    (APPROVALS, "approval_policy"),
    (SANDBOXES, SANDBOXES),
    (SANDBOXES, "sandbox_mode"),
];
/// A shorter part of a name says nothing.
const LEAST: usize = 4;

/// Returns the restriction that an unknown key was probably meant to be.
pub(super) fn restriction(key: &str) -> Option<&'static str> {
    let key = letters(key);
    let is_near = |name: &str| {
        let name = letters(name);
        let is_part = key.len() >= LEAST && (name.contains(&key) || key.contains(&name));
        is_part || codex_utils_fuzzy_match::nearest(&key, [name.as_str()]).is_some()
    };
    let mut rows = RESTRICTIONS.iter();
    rows.find(|(_, name)| is_near(name))
        .map(|(known, _)| *known)
}

/// Returns the feature that an unknown one was probably meant to be.
pub(super) fn feature(key: &str) -> Option<&'static str> {
    let key = letters(key);
    let mut rows = features::KEYS.iter().copied();
    rows.find(|row| codex_utils_fuzzy_match::nearest(&key, [letters(row).as_str()]).is_some())
}

/// `allowedSandboxModes`, `Allowed-sandbox-modes` and `allowed_sandbox_modes` are one word.
fn letters(key: &str) -> String {
    let letters = key.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}
