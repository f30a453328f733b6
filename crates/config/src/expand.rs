//! `${NAME}` in an entry with `expand_env = true`.
//!
//! Forms: `${NAME}`, `${env:NAME}`, `${NAME:-default}`, and `$${` for a literal `${`. Bare `$NAME` is
//! never touched, nothing nests, and a value that came in is never expanded again.

use codex_host::Env;

/// Expands a text, or returns the name of the variable that is not set.
pub fn expand(text: &str, env: &Env) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = (&rest[..start], &rest[start + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = reference;
            continue;
        }
        expanded.push_str(before);
        let Some(end) = reference.find('}') else {
            // An unfinished reference is text.
            expanded.push_str("${");
            rest = reference;
            continue;
        };
        let (name, default) = match reference[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&reference[..end], None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        match (env.get(name), default) {
            (Some(""), Some(default)) | (None, Some(default)) => expanded.push_str(default),
            (Some(value), _) => expanded.push_str(value),
            (None, None) => return Err(name.to_owned()),
        }
        rest = &reference[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let env = Env::from_pairs([("A", "1"), ("EMPTY", ""), ("NESTED", "${A}")]);
        expand(text, &env).unwrap_or_else(|name| format!("unset: {name}"))
    }

    /// Row 11.forms.
    #[test]
    fn every_form_of_the_contract_works_and_nothing_else() {
        for (text, result) in [
            ("plain", "plain"),
            ("${A}", "1"),
            ("${env:A}", "1"),
            ("x${A}y${A}z", "x1y1z"),
            ("${NO:-d}", "d"),
            ("${env:NO:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY}", ""),
            ("${NO:-}", ""),
            ("${NO}", "unset: NO"),
            ("$${A}", "${A}"),
            ("$A $", "$A $"),
            ("${A", "${A"),
            ("${NESTED}", "${A}"),
        ] {
            assert_eq!(expanded(text), result, "{text}");
        }
    }
}
