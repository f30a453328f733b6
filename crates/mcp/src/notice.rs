//! What a user must hear of, in the words of the contract for `exec`.

use std::fmt;

use codex_protocol::ServerName;

/// Longest piece of a server's own words within a notice.
const MAX_QUOTED_CHARS: usize = 200;

/// Longest reason; the end of a server's stderr fits into it.
const MAX_SHOWN_CHARS: usize = 3_000;

/// One sentence about one server or several; it is survived, never fatal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct McpNotice {
    /// The server it is about; `None` when it is about several.
    pub server: Option<ServerName>,
    /// The tool of that server it is about, by its raw name.
    pub tool: Option<String>,
    /// The sentence.
    pub text: String,
    /// What the user can do now.
    pub hints: Vec<String>,
}

impl McpNotice {
    pub(crate) fn about(server: &ServerName, text: String) -> Self {
        Self {
            server: Some(server.clone()),
            tool: None,
            text,
            hints: Vec::new(),
        }
    }

    pub(crate) fn of_tool(mut self, tool: &str) -> Self {
        self.tool = Some(tool.to_owned());
        self
    }

    pub(crate) fn failed_to_start(server: &ServerName, why: &str, hints: Vec<String>) -> Self {
        let text = format!("MCP server `{server}` failed to start: {why}");
        Self {
            hints,
            ..Self::about(server, text)
        }
    }

    pub(crate) fn unreachable(server: &ServerName, reason: &str, hints: Vec<String>) -> Self {
        let text = format!(
            "The {server} MCP server could not be reached: {}",
            plain(reason)
        );
        Self {
            hints,
            ..Self::about(server, text)
        }
    }

    pub(crate) fn ended(server: &ServerName, status: &str) -> Self {
        let text = format!("MCP server `{server}` ended unexpectedly ({status}); restarting");
        Self::about(server, text)
    }

    pub(crate) fn declined(server: &ServerName, message: &str, why: &str) -> Self {
        let message = quoted(message);
        let text =
            format!("MCP server `{server}` asked for input (\"{message}\"); declined, {why}");
        Self::about(server, text)
    }

    pub(crate) fn waiting(servers: &[&ServerName]) -> Self {
        Self {
            server: None,
            tool: None,
            text: format!("Waiting for MCP servers: {}", join(servers)),
            hints: Vec::new(),
        }
    }

    pub(crate) fn still_starting(servers: &[&ServerName]) -> Self {
        let names = join(servers);
        let text =
            format!("MCP servers still starting: {names}; their tools join when they are ready");
        Self {
            server: None,
            tool: None,
            text,
            hints: Vec::new(),
        }
    }
}

impl fmt::Display for McpNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn join(servers: &[&ServerName]) -> String {
    servers
        .iter()
        .map(|server| server.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Makes a text with a server's words in it fit to be shown: lines stay, other control characters and
/// what is beyond [`MAX_SHOWN_CHARS`] do not.
pub(crate) fn plain(text: &str) -> String {
    let shown = text.chars().take(MAX_SHOWN_CHARS);
    let mut plain: String = shown
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        plain.push('…');
    }
    plain
}

/// Makes a server's words fit for one line: no control characters, not too long.
pub(crate) fn quoted(text: &str) -> String {
    let mut line = String::new();
    for (n_chars, c) in text.trim().chars().enumerate() {
        if n_chars == MAX_QUOTED_CHARS {
            line.push('…');
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServerName {
        ServerName::from_config(text)
    }

    #[test]
    fn the_texts_are_those_of_the_contract() {
        let (a, b) = (name("a"), name("b"));
        let texts = [
            McpNotice::failed_to_start(&a, "no such program", Vec::new()),
            McpNotice::unreachable(&a, "connection refused", Vec::new()),
            McpNotice::ended(&a, "exit status 3"),
            McpNotice::declined(&a, "Your\nname?", "exec cannot ask"),
            McpNotice::waiting(&[&a, &b]),
            McpNotice::still_starting(&[&a, &b]),
        ];
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        MCP server `a` failed to start: no such program
        The a MCP server could not be reached: connection refused
        MCP server `a` ended unexpectedly (exit status 3); restarting
        MCP server `a` asked for input ("Your name?"); declined, exec cannot ask
        Waiting for MCP servers: a, b
        MCP servers still starting: a, b; their tools join when they are ready
        "#);
    }

    #[test]
    fn a_reason_is_bounded_and_moves_no_cursor() {
        assert_eq!(plain("no\u{1b}[2J\nkey\r"), "no [2J\nkey ");
        assert_eq!(
            plain(&"x".repeat(9_000)).chars().count(),
            MAX_SHOWN_CHARS + 1
        );
    }

    #[test]
    fn long_words_of_a_server_are_cut() {
        assert_eq!(
            quoted(&"x".repeat(10_000)).chars().count(),
            MAX_QUOTED_CHARS + 1
        );
    }
}
