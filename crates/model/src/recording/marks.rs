//! `<<cwd>>` and `<<home>>`: a recording names no folder of the machine where it was made.

use std::path::Path;

const CWD: &str = "<<cwd>>";
const HOME: &str = "<<home>>";

/// The folders of this run and their marks.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    /// Longest path first: the working directory is usually within the home directory.
    pairs: Vec<(String, &'static str)>,
}

impl Marks {
    pub(crate) fn new(cwd: &Path, home: Option<&Path>) -> Self {
        let text = |path: &Path| path.to_string_lossy().trim_end_matches('/').to_owned();
        let mut pairs = vec![(text(cwd), CWD)];
        pairs.extend(home.map(|home| (text(home), HOME)));
        // The root folder is everybody's, and stands in every path.
        pairs.retain(|(path, _)| path.len() > 1);
        pairs.sort_by_key(|(path, mark)| (std::cmp::Reverse(path.len()), *mark));
        Self { pairs }
    }

    /// Puts the marks in.
    pub(crate) fn hide(&self, text: &str, is_json_text: bool) -> String {
        let mut hidden = text.to_owned();
        for (path, mark) in &self.pairs {
            hidden = replace_paths(&hidden, &spelled(path, is_json_text), mark);
        }
        hidden
    }

    /// Puts the folders of this run in.
    pub(crate) fn fill(&self, text: &str, is_json_text: bool) -> String {
        let mut filled = text.to_owned();
        for (path, mark) in &self.pairs {
            if filled.contains(mark) {
                filled = filled.replace(mark, &spelled(path, is_json_text));
            }
        }
        filled
    }
}

/// Spells a path as it stands within JSON text.
fn spelled(path: &str, is_json_text: bool) -> String {
    if !is_json_text {
        return path.to_owned();
    }
    let quoted = serde_json::Value::from(path).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Replaces `path` where it stands as a whole path or as the beginning of one: with `/app`, neither
/// `/usr/app` nor `/apple` is touched.
fn replace_paths(text: &str, path: &str, mark: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '.';
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(path) {
        let (before, found) = rest.split_at(start);
        let after = &found[path.len()..];
        let mut last = before.chars().rev();
        let begins = match (last.next(), last.next()) {
            // The `n` of an escaped line end is no letter of a path.
            (Some(_), Some('\\')) | (None, _) => true,
            (Some(c), _) => !is_word(c),
        };
        let is_end = |c: char| !is_word(c) || c == '.';
        let ends = after.chars().next().is_none_or(is_end);
        replaced.push_str(before);
        replaced.push_str(if begins && ends { mark } else { path });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(cwd: &str, home: &str) -> Marks {
        Marks::new(Path::new(cwd), Some(Path::new(home)))
    }

    #[test]
    fn the_longer_folder_goes_first_and_both_come_back() {
        let here = marks("/home/u/app", "/home/u/");
        let text = "/home/u/app/x /home/u/y /home/u.";
        let hidden = here.hide(text, false);
        assert_eq!(hidden, "<<cwd>>/x <<home>>/y <<home>>.");
        assert_eq!(here.fill(&hidden, false), text);
        assert_eq!(marks("/w", "/r").fill(&hidden, false), "/w/x /r/y /r.");
    }

    #[test]
    fn only_whole_folders_are_marked() {
        let here = marks("/app", "/root");
        let text = "/usr/app /apple /app-2 app/app x/app";
        assert_eq!(here.hide(text, false), text);
        assert_eq!(
            here.hide(r#"{"cmd":"ls\n/app"}"#, true),
            r#"{"cmd":"ls\n<<cwd>>"}"#
        );
        assert_eq!(here.hide("file:///app/x", false), "file://<<cwd>>/x");
    }

    #[test]
    fn odd_folders_stay_json_within_json_text() {
        let odd = marks(r#"/a "b""#, "/root");
        let arguments = r#"{"path":"/a \"b\"/x"}"#;
        let hidden = odd.hide(arguments, true);
        assert_eq!(hidden, r#"{"path":"<<cwd>>/x"}"#);
        assert_eq!(odd.fill(&hidden, true), arguments);
    }

    #[test]
    fn the_root_folder_is_never_a_mark() {
        assert_eq!(marks("/", "/").hide("/x / y", false), "/x / y");
    }
}
