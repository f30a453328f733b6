//! What is known about models by their slug.

/// Returns how many tokens of a request and its answer the model can hold.
pub(crate) fn context_window(slug: &str) -> u64 {
    match is_known(slug) {
        // 95 % of what the model has: the rest is the provider's own.
        true => 272_000 * 95 / 100,
        false => 128_000,
    }
}

/// Returns the reasoning effort that is sent when the user set none; `None` = nothing is sent.
pub(crate) fn default_effort(slug: &str) -> Option<&'static str> {
    is_known(slug).then_some("medium")
}

/// Whether the model was made to write a tool's input in a grammar.
pub(crate) fn knows_grammars(slug: &str) -> bool {
    is_known(slug)
}

fn is_known(slug: &str) -> bool {
    let prefixes = ["gpt-5", "gpt-6", "codex-"];
    prefixes.iter().any(|prefix| slug.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_are_known_to_reason_are_told_how_much() {
        assert_eq!(default_effort("gpt-5.5"), Some("medium"));
        assert_eq!(default_effort("codex-mini"), Some("medium"));
        assert_eq!(default_effort("gpt-4.1"), None);
        assert_eq!(default_effort("llama"), None);
    }
}
