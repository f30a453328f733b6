//! Who we say we are: the `originator` and `user-agent` headers (contract-model-api 4).

/// Who we say we are to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Value of `originator` and first word of the user agent.
    pub originator: String,
    /// Value of `user-agent`.
    pub user_agent: String,
}

impl ClientIdentity {
    /// Builds both headers.
    ///
    /// `override_originator` is `CODEX_INTERNAL_ORIGINATOR_OVERRIDE`; it wins over `originator` when
    /// it is visible ASCII. `system` is `<os> <os version>; <arch>`, `terminal` the terminal's name.
    pub fn new(
        originator: &str,
        override_originator: Option<&str>,
        version: &str,
        system: &str,
        terminal: &str,
    ) -> Self {
        let is_visible =
            |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let originator = override_originator.filter(is_visible).unwrap_or(originator);
        let user_agent = visible(&format!("{originator}/{version} ({system}) {terminal}"));
        Self {
            originator: visible(originator),
            user_agent: user_agent.trim_end().to_owned(),
        }
    }

    /// Appends the program that drives us: ` (<name>; <version>)`.
    #[must_use]
    pub fn behind_client(mut self, name: &str, version: &str) -> Self {
        self.user_agent = visible(&format!("{} ({name}; {version})", self.user_agent));
        self
    }
}

/// Replaces what may not stand in a header; such words come from the machine, not from a user who
/// could mend them.
fn visible(text: &str) -> String {
    let keep = |c: char| c.is_ascii_graphic() || c == ' ';
    text.chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(override_originator: Option<&str>) -> ClientIdentity {
        ClientIdentity::new(
            "codex_exec",
            override_originator,
            "0.1.0",
            "Linux 6.1; x86_64",
            "xterm-256color",
        )
    }

    #[test]
    fn the_user_agent_begins_with_the_originator() {
        assert_eq!(
            identity(None).behind_client("ide", "2.0").user_agent,
            "codex_exec/0.1.0 (Linux 6.1; x86_64) xterm-256color (ide; 2.0)"
        );
    }

    #[test]
    fn the_override_wins_when_it_is_visible_ascii() {
        assert_eq!(identity(Some("codex_sdk_ts")).originator, "codex_sdk_ts");
        for odd in ["", "two words", "\u{e4}", "a\nb"] {
            assert_eq!(identity(Some(odd)).originator, "codex_exec");
        }
        let sdk = identity(Some("codex_sdk_ts")).user_agent;
        assert!(sdk.starts_with("codex_sdk_ts/0.1.0 "), "{sdk}");
    }

    #[test]
    fn odd_characters_of_the_machine_never_break_a_header() {
        let identity = ClientIdentity::new("codex_exec", None, "1", "Ünix\n1; x", "");
        assert_eq!(identity.user_agent, "codex_exec/1 (_nix_1; x)");
    }
}
