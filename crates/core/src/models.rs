//! What is known about models by their slug.

/// Returns the reasoning effort that is sent when the user set none; `None` = nothing is sent.
pub(crate) fn default_effort(slug: &str) -> Option<&'static str> {
    let reasons = ["gpt-5", "gpt-6", "codex-"]
        .iter()
        .any(|prefix| slug.starts_with(prefix));
    reasons.then_some("medium")
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
