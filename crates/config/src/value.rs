//! One typed value from text, as on the right side of `-c key=value`.

use serde::de::DeserializeOwned;
use toml_edit::de::ValueDeserializer;

/// Reads a TOML value; `None` when the text is not one, and then it is meant as a string.
pub fn parse_value<T: DeserializeOwned>(text: &str) -> Option<T> {
    let value: ValueDeserializer = text.trim().parse().ok()?;
    T::deserialize(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_is_read_and_text_is_not() {
        assert_eq!(parse_value::<i64>(" 0x10 "), Some(16));
        assert_eq!(
            parse_value::<Vec<String>>("[\"a\", 'b']"),
            Some(vec!["a".into(), "b".into()])
        );
        assert_eq!(parse_value::<String>("Europe/Berlin"), None);
        assert_eq!(parse_value::<i64>("1 2"), None);
    }
}
