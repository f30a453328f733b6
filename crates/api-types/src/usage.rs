//! Tokens as the provider counts them.

use serde::Deserialize;

/// Tokens of one response; everything that a provider leaves out or writes as null is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "Wire")]
pub struct Usage {
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Those of them that came from the provider's cache.
    pub cached_input_tokens: u64,
    /// Those of them that were written to the provider's cache.
    pub cache_write_input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Those of them spent on reasoning.
    pub reasoning_output_tokens: u64,
}

#[derive(Deserialize)]
struct Wire {
    input_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    #[serde(alias = "cache_write_tokens")]
    cache_creation_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<Wire> for Usage {
    fn from(wire: Wire) -> Self {
        let input = wire.input_tokens_details.unwrap_or_default();
        let output = wire.output_tokens_details.unwrap_or_default();
        Self {
            input_tokens: wire.input_tokens.unwrap_or_default(),
            cached_input_tokens: input.cached_tokens.unwrap_or_default(),
            cache_write_input_tokens: input.cache_creation_tokens.unwrap_or_default(),
            output_tokens: wire.output_tokens.unwrap_or_default(),
            reasoning_output_tokens: output.reasoning_tokens.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_absent_ones_are_zero() {
        let usage: Usage = serde_json::from_str(
            r#"{"input_tokens":200,"input_tokens_details":{"cached_tokens":80},"output_tokens":14,
                "output_tokens_details":{"reasoning_tokens":6},"total_tokens":214}"#,
        )
        .unwrap();
        let expected = Usage {
            input_tokens: 200,
            cached_input_tokens: 80,
            cache_write_input_tokens: 0,
            output_tokens: 14,
            reasoning_output_tokens: 6,
        };
        assert_eq!(usage, expected);
        let empty: Usage =
            serde_json::from_str(r#"{"input_tokens":null,"input_tokens_details":null}"#).unwrap();
        assert_eq!(empty, Usage::default());
    }
}
