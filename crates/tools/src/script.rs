//! What a shell script says, read from its syntax tree.
//!
//! [`Script::parse`] finds every command of a script, wherever it stands. A script is *plain* when it
//! is nothing but commands of literal words joined by `&&`, `||`, `;` and `|`: then the words say
//! exactly what will run. Traps: an unquoted `*` may expand to a name that looks like an option, so
//! such a script is not plain; and the grammar is bash's, which is close enough for sh and zsh
//! because whatever it does not understand is not plain either.

use tree_sitter::{Node, Parser, Tree};

/// Longer scripts are not read.
pub(crate) const LIMIT: usize = 256 * 1024;

/// Nodes that a plain script may have.
const PLAIN: &[&str] = &[
    "program",
    "list",
    "pipeline",
    "command",
    "command_name",
    "word",
    "number",
    "string",
    "string_content",
    "raw_string",
    "concatenation",
    "&&",
    "||",
    ";",
    "|",
    "\"",
    "\n",
];

/// Nodes that a sequence may have: nothing that makes a command depend on more than a `cd` before it.
const SEQUENCE: &[&str] = &[
    "program",
    "list",
    "command",
    "command_name",
    "word",
    "number",
    "string",
    "string_content",
    "raw_string",
    "concatenation",
    "redirected_statement",
    "heredoc_redirect",
    "heredoc_start",
    "heredoc_body",
    "heredoc_content",
    "heredoc_end",
    "comment",
    "&&",
    "<<",
    "\"",
    "\n",
];

/// A script as far as it was understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Every command in the order of the text.
    pub commands: Vec<Command>,
    /// Whether the commands say exactly what runs.
    pub is_plain: bool,
    /// Whether it is nothing but commands joined by `&&`, with here-documents or without.
    pub is_sequence: bool,
    /// A here-document, when there is exactly one and the shell takes it literally.
    pub here_document: Option<String>,
}

/// One command; `None` for a word that is only known when it runs.
pub type Command = Vec<Option<String>>;

impl Script {
    /// Reads a script.
    pub fn parse(text: &str) -> Self {
        if text.len() > LIMIT {
            return Self::default();
        }
        let Some(tree) = tree(text) else {
            return Self::default();
        };
        let mut script = Self {
            is_plain: !tree.root_node().has_error(),
            is_sequence: !tree.root_node().has_error(),
            ..Self::default()
        };
        let (mut n_here_documents, mut is_literal, mut n_joints) = (0, false, 0);
        let mut pending = vec![tree.root_node()];
        while let Some(node) = pending.pop() {
            script.is_plain &= PLAIN.contains(&node.kind());
            script.is_sequence &= SEQUENCE.contains(&node.kind());
            match node.kind() {
                "command" => script.commands.push(command(node, text)),
                "&&" => n_joints += 1,
                "heredoc_redirect" => n_here_documents += 1,
                "heredoc_start" => is_literal = slice(node, text).starts_with(['\'', '"']),
                "heredoc_body" => script.here_document = Some(slice(node, text).to_owned()),
                "word" | "number" => {
                    let expands = slice(node, text).contains(['*', '?', '[', '{', '~', '\\']);
                    script.is_plain &= !expands;
                    script.is_sequence &= !expands;
                }
                _ => {}
            }
            let mut cursor = node.walk();
            let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
            pending.extend(children.into_iter().rev());
        }
        script.is_sequence &= n_joints + 1 == script.commands.len();
        let expands = |body: &String| body.contains(['$', '`', '\\']);
        if tree.root_node().has_error()
            || n_here_documents != 1
            || (!is_literal && script.here_document.as_ref().is_some_and(expands))
        {
            script.here_document = None;
        }
        script
    }

    /// Returns the literal words of the commands; `None` when the script is not plain.
    pub fn plain_commands(&self) -> Option<Vec<Vec<&str>>> {
        if !self.is_plain || self.commands.is_empty() {
            return None;
        }
        self.commands.iter().map(words).collect()
    }
}

fn words(command: &Command) -> Option<Vec<&str>> {
    command.iter().map(Option::as_deref).collect()
}

fn tree(text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_bash::LANGUAGE.into())
        .ok()?;
    parser.parse(text, None)
}

fn slice<'a>(node: Node<'_>, text: &'a str) -> &'a str {
    text.get(node.byte_range()).unwrap_or_default()
}

fn command(node: Node<'_>, text: &str) -> Command {
    let mut cursor = node.walk();
    let words = node.named_children(&mut cursor).filter(|child| {
        // What is written in front of a command is not one of its words.
        !matches!(
            child.kind(),
            "variable_assignment" | "file_redirect" | "herestring_redirect"
        )
    });
    let words: Vec<Node<'_>> = words.collect();
    words.into_iter().map(|word| literal(word, text)).collect()
}

/// Returns what a word is when it is always the same.
fn literal(node: Node<'_>, text: &str) -> Option<String> {
    let inner = || {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        children
    };
    match node.kind() {
        "command_name" => literal(*inner().first()?, text),
        "word" | "number" => {
            let word = slice(node, text);
            (!word.contains('\\')).then(|| word.to_owned())
        }
        "raw_string" => {
            let quoted = slice(node, text);
            Some(quoted.get(1..quoted.len().checked_sub(1)?)?.to_owned())
        }
        "string" => {
            let parts = inner();
            if parts.iter().any(|part| part.kind() != "string_content") {
                return None;
            }
            let quoted = slice(node, text);
            let content = quoted.get(1..quoted.len().checked_sub(1)?)?;
            (!content.contains('\\')).then(|| content.to_owned())
        }
        "concatenation" => {
            let parts = inner();
            parts.into_iter().map(|part| literal(part, text)).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        match Script::parse(text).plain_commands() {
            Some(commands) => format!("{commands:?}"),
            None => "not plain".to_owned(),
        }
    }

    #[test]
    fn only_literal_commands_are_plain() {
        let rows = [
            ("ls -la src", r#"[["ls", "-la", "src"]]"#),
            (
                "ls && cat 'a b' | wc -l; pwd",
                r#"[["ls"], ["cat", "a b"], ["wc", "-l"], ["pwd"]]"#,
            ),
            ("grep \"a b\" x\"y\"'z'", r#"[["grep", "a b", "xyz"]]"#),
            ("ls\npwd", r#"[["ls"], ["pwd"]]"#),
            ("head -n 5 f", r#"[["head", "-n", "5", "f"]]"#),
            ("", "not plain"),
            ("ls *", "not plain"),
            ("ls > f", "not plain"),
            ("ls $X", "not plain"),
            ("ls $(rm f)", "not plain"),
            ("ls `rm f`", "not plain"),
            ("(ls)", "not plain"),
            ("ls &", "not plain"),
            ("X=1 ls", "not plain"),
            ("ls <(rm f)", "not plain"),
            ("echo \"$(rm f)\"", "not plain"),
            ("echo a\\ b", "not plain"),
            ("! ls", "not plain"),
            ("if true; then ls; fi", "not plain"),
            ("ls 'unclosed", "not plain"),
            ("function ls { rm f; }; ls", "not plain"),
            ("cat <<EOF\nx\nEOF", "not plain"),
            ("# only a remark", "not plain"),
        ];
        for (text, expected) in rows {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn commands_are_found_wherever_they_stand() {
        let script = Script::parse("if x; then X=1 rm -rf \"$d\" >f; fi; echo $(git push)");
        let names: Vec<_> = script
            .commands
            .iter()
            .map(|command| command[0].clone())
            .collect();
        let names: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        assert_eq!(names, ["x", "rm", "echo", "git"]);
        let rm = &script.commands[1];
        assert_eq!(rm[1..], [Some("-rf".to_owned()), None]);
    }

    #[test]
    fn a_here_document_is_taken_only_when_the_shell_takes_it_literally() {
        let body = |text: &str| Script::parse(text).here_document;
        assert_eq!(
            body("cat <<'EOF'\n$x\ny\nEOF\n").as_deref(),
            Some("$x\ny\n")
        );
        assert_eq!(body("cat <<EOF\nx\nEOF").as_deref(), Some("x\n"));
        assert_eq!(body("cat <<EOF\n$x\nEOF"), None);
        assert_eq!(body("cat <<'A' <<'B'\nx\nA\ny\nB\n"), None);
        assert_eq!(body("cat f"), None);
    }

    #[test]
    fn a_deep_script_does_not_exhaust_the_stack() {
        let depth = 20_000;
        let text = format!("{}ls{}", "(".repeat(depth), ")".repeat(depth));
        assert!(!Script::parse(&text).is_plain);
    }
}
