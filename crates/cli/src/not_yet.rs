//! Words of the command line that people know from the reference and that are not here yet.
//!
//! "unrecognized subcommand" would make them look for a typo, and clap's guesses at other words
//! would make it worse. A row leaves when its command arrives.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::CliError;

/// Commands of `codex`.
const COMMANDS: &[&str] = &[
    "a",
    "agents",
    "apply",
    "archive",
    "cloud",
    "debug",
    "delete",
    "exec-server",
    "fork",
    "login",
    "logout",
    "mcp-server",
    "migrate-rollouts",
    "plugin",
    "queue",
    "remote-control",
    "resume",
    "review",
    "unarchive",
    "update",
];

/// Commands of `codex mcp`.
const MCP_COMMANDS: &[&str] = &["logs"];

/// Returns the better answer to a usage error, when there is one.
pub(crate) fn answer(error: &clap::Error) -> Option<CliError> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let in_mcp = usage.is_some_and(|usage| usage.contains("codex mcp "));
    let word = word.as_str();
    if in_mcp {
        let known = MCP_COMMANDS.contains(&word);
        return known.then(|| mcp_command(word));
    }
    if word.contains(char::is_whitespace) {
        // Not a command but a prompt.
        return Some(
            CliError::not_available("the interactive interface")
                .hint("run `codex exec PROMPT` for one turn"),
        );
    }
    COMMANDS.contains(&word).then(|| command(word))
}

fn command(word: &str) -> CliError {
    let error = CliError::not_available(&format!("codex {word}"));
    match word {
        "login" => error.hint("set CODEX_API_KEY or OPENAI_API_KEY to a key of the provider"),
        "resume" => error.hint("`codex exec resume --last PROMPT` goes on with the newest thread"),
        "fork" => error.hint("`codex exec fork` does it without the interface"),
        _ => error,
    }
}

fn mcp_command(word: &str) -> CliError {
    CliError::not_available(&format!("codex mcp {word}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::tree::Cli;

    fn told(words: &str) -> Option<String> {
        let error = Cli::try_parse_from(words.split(' ')).unwrap_err();
        answer(&error).map(|error| error.to_string())
    }

    #[test]
    fn every_word_is_told_at_its_own_level_only() {
        for word in COMMANDS {
            let expected = format!("Error: codex {word} is not available yet\n");
            let said = told(&format!("codex {word} --any x")).unwrap();
            assert!(said.starts_with(&expected), "{said}");
            assert_eq!(told(&format!("codex mcp {word}")), None, "{word}");
        }
        for word in MCP_COMMANDS {
            let expected = format!("Error: codex mcp {word} is not available yet\n");
            let said = told(&format!("codex -c a=1 mcp {word} --any x")).unwrap();
            assert!(said.starts_with(&expected), "{said}");
            assert_eq!(told(&format!("codex {word}")), None, "{word}");
        }
    }

    #[test]
    fn a_slip_of_the_fingers_stays_a_usage_error() {
        assert_eq!(told("codex exce"), None);
        assert_eq!(told("codex mcp lits"), None);
        assert_eq!(told("codex mcp get a --jsn"), None);
    }
}
