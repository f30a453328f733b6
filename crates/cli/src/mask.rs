//! What must not be shown as it is: secrets and control characters.

use codex_config::mask::masked_url;
pub(crate) use codex_config::mask::{MASK, is_secret_setting, looks_secret};
use codex_host::Secret;

/// Whether configured literals are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// As `*****`.
    Masked,
    /// As they are; asked for by `--show-secrets`.
    Shown,
}

impl Secrets {
    pub(crate) fn from_flag(show: bool) -> Self {
        if show { Self::Shown } else { Self::Masked }
    }

    pub(crate) fn text(self, secret: &Secret) -> &str {
        match self {
            Self::Masked => MASK,
            Self::Shown => secret.expose(),
        }
    }

    pub(crate) fn url(self, url: &str) -> String {
        match self {
            Self::Masked => masked_url(url),
            Self::Shown => url.to_owned(),
        }
    }
}

/// Escapes control characters: what a file says must not move the cursor.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}
