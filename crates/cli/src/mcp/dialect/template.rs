//! Texts with `${…}` in them, from one spelling to another.

use std::fmt::Write;

use super::Dialect;

/// A text, cut at its variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Template(pub(crate) Vec<Piece>);

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Variable {
        name: String,
        default: Option<String>,
    },
}

/// What stands for the folders that editors know by name.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) workspace: String,
    pub(crate) home: Option<String>,
}

impl Template {
    /// Reads the spelling of a client; the error is a reference that has no counterpart here.
    pub(crate) fn of_client(
        text: &str,
        dialect: Dialect,
        folders: &Folders,
    ) -> Result<Self, String> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some((before, inside, after)) = next_reference(rest) {
            template.literal(before);
            rest = after;
            let unsupported = || format!("`${{{inside}}}` is not supported");
            let piece = match inside.split_once(':') {
                Some((name, default)) if default.starts_with('-') && !dialect.is_of_an_editor() => {
                    variable(name, Some(&default[1..]))
                }
                Some(("env", name)) => match name.split_once(":-") {
                    Some((name, default)) => variable(name, Some(default)),
                    None => variable(name, None),
                },
                Some(("input", id)) if dialect == Dialect::Vscode => {
                    variable(&input_name(id), None)
                }
                Some(_) => None,
                None if dialect.is_of_an_editor() => match inside {
                    "workspaceFolder" => Some(Piece::Literal(folders.workspace.clone())),
                    "workspaceFolderBasename" => {
                        let name = folders.workspace.rsplit(['/', '\\']).next();
                        Some(Piece::Literal(name.unwrap_or_default().to_owned()))
                    }
                    "userHome" => folders.home.clone().map(Piece::Literal),
                    "pathSeparator" | "/" => Some(Piece::Literal(std::path::MAIN_SEPARATOR.into())),
                    // In an editor a bare name is one of its own variables.
                    _ => None,
                },
                None => variable(inside, None),
            };
            match piece.ok_or_else(unsupported)? {
                Piece::Literal(text) => template.literal(&text),
                // `$${` is how we write a `${` that is none.
                Piece::Variable { .. } if before.ends_with('$') => {
                    return Err(format!("a `$` before `${{{inside}}}` is not supported"));
                }
                variable => template.0.push(variable),
            }
        }
        template.literal(rest);
        Ok(template)
    }

    /// Reads our own spelling, in an entry with or without `expand_env`.
    pub(crate) fn of_ours(text: &str, expand: bool) -> Self {
        let mut template = Self::default();
        let mut rest = text;
        while expand && let Some((before, inside, after)) = next_reference(rest) {
            if let Some(before) = before.strip_suffix('$') {
                template.literal(before);
                template.literal("${");
                rest = &rest[before.len() + 3..];
                continue;
            }
            template.literal(before);
            rest = after;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (inside, None),
            };
            let name = name.strip_prefix("env:").unwrap_or(name).to_owned();
            template.0.push(Piece::Variable { name, default });
        }
        template.literal(rest);
        template
    }

    fn literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Piece::Literal(before)) => before.push_str(text),
            _ => self.0.push(Piece::Literal(text.to_owned())),
        }
    }

    /// Returns the variable when the text is nothing else and has no default.
    pub(crate) fn only_variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [
                Piece::Variable {
                    name,
                    default: None,
                },
            ] => Some(name),
            _ => None,
        }
    }

    /// Returns the variable of `Bearer ${NAME}`.
    pub(crate) fn bearer_variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [
                Piece::Literal(word),
                Piece::Variable {
                    name,
                    default: None,
                },
            ] if word == "Bearer " => Some(name),
            _ => None,
        }
    }

    pub(crate) fn has_variables(&self) -> bool {
        !self.variables().is_empty()
    }

    /// Returns the names of all variables that have no default.
    pub(crate) fn variables(&self) -> Vec<(&str, bool)> {
        self.0
            .iter()
            .filter_map(|piece| match piece {
                Piece::Variable { name, default } => Some((name.as_str(), default.is_none())),
                Piece::Literal(_) => None,
            })
            .collect()
    }

    /// Spells it for our config, in an entry with or without `expand_env`.
    pub(crate) fn to_ours(&self, expand: bool) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) if expand => text.push_str(&literal.replace("${", "$${")),
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Variable { name, default } => text.push_str(&reference(name, default)),
            }
        }
        text
    }

    /// Spells it for a client; the error says what that client cannot write.
    pub(crate) fn to_client(&self, dialect: Dialect) -> Result<String, &'static str> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) if literal.contains("${") => {
                    return Err("a literal `${` cannot be written there");
                }
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Variable {
                    default: Some(_), ..
                } if dialect.is_of_an_editor() => {
                    return Err("the default of a variable cannot be written there");
                }
                Piece::Variable { name, default } if dialect.is_of_an_editor() => {
                    debug_assert!(default.is_none());
                    // Writing to a String does not fail.
                    let _ = write!(text, "${{env:{name}}}");
                }
                Piece::Variable { name, default } => text.push_str(&reference(name, default)),
            }
        }
        Ok(text)
    }
}

fn reference(name: &str, default: &Option<String>) -> String {
    match default {
        Some(default) => format!("${{{name}:-{default}}}"),
        None => format!("${{{name}}}"),
    }
}

/// Cuts a text at its first finished reference: before, inside, after.
fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("${")?;
    let length = text[start + 2..].find('}')?;
    let end = start + 2 + length;
    Some((&text[..start], &text[start + 2..end], &text[end + 1..]))
}

fn variable(name: &str, default: Option<&str>) -> Option<Piece> {
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| Piece::Variable {
        name: name.to_owned(),
        default: default.map(str::to_owned),
    })
}

/// Makes the name of a variable of what a user would be asked for.
fn input_name(id: &str) -> String {
    let name = id.chars().map(|c| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    });
    name.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(text: &str, dialect: Dialect) -> String {
        let folders = Folders {
            workspace: "/w/app".to_owned(),
            home: Some("/home/ada".to_owned()),
        };
        match Template::of_client(text, dialect, &folders) {
            Ok(template) => template.to_ours(template.has_variables()),
            Err(why) => why,
        }
    }

    #[test]
    fn each_spelling_becomes_ours() {
        for (text, dialect, expected) in [
            ("a ${B} c", Dialect::McpJson, "a ${B} c"),
            ("${B:-x}", Dialect::McpJson, "${B:-x}"),
            ("${env:B}", Dialect::Cursor, "${B}"),
            ("${input:api-key}", Dialect::Vscode, "${API_KEY}"),
            ("${workspaceFolder}/x", Dialect::Vscode, "/w/app/x"),
            ("${workspaceFolderBasename}", Dialect::Cursor, "app"),
            ("${userHome}/x", Dialect::Cursor, "/home/ada/x"),
            (
                "${command:x}",
                Dialect::Vscode,
                "`${command:x}` is not supported",
            ),
            ("${BARE}", Dialect::Vscode, "`${BARE}` is not supported"),
            (
                "${input:x}",
                Dialect::Cursor,
                "`${input:x}` is not supported",
            ),
            ("$B ${", Dialect::McpJson, "$B ${"),
            ("${A} ${", Dialect::McpJson, "${A} $${"),
            (
                "$${A}",
                Dialect::McpJson,
                "a `$` before `${A}` is not supported",
            ),
        ] {
            assert_eq!(ours(text, dialect), expected, "{text}");
        }
    }

    #[test]
    fn our_own_spelling_is_read_as_it_is_expanded() {
        let literal = Template::of_ours("${A}", false);
        assert_eq!(literal.0, [Piece::Literal("${A}".to_owned())]);
        let escaped = Template::of_ours("$${A} ${env:B:-c}", true);
        assert_eq!(
            escaped.0,
            [
                Piece::Literal("${A} ".to_owned()),
                Piece::Variable {
                    name: "B".to_owned(),
                    default: Some("c".to_owned())
                }
            ]
        );
        assert_eq!(escaped.to_ours(true), "$${A} ${B:-c}");
        assert!(escaped.to_client(Dialect::McpJson).is_err());
    }
}
