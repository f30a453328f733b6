//! The schema of the final message: read before anything else, checked after everything else.

use std::fs::File;
use std::path::Path;

use codex_utils_json_schema::JsonSchema;
use serde_json::Value;

use crate::failure::Failure;
use crate::input::read_at_most;

/// Far more than any provider takes.
const LIMIT_MIB: u64 = 4;

/// Reads the schema file. Its content goes to the provider as it is.
pub(crate) fn read(file: &Path, cwd: &Path) -> Result<Value, Failure> {
    let shown = file.display();
    let text = File::open(cwd.join(file))
        .and_then(|file| read_at_most(file, LIMIT_MIB))
        .map_err(|error| {
            Failure::bare(format!(
                "Failed to read output schema file {shown}: {error}"
            ))
        })?;
    serde_json::from_slice(&text).map_err(|error| {
        Failure::bare(format!(
            "Output schema file {shown} is not valid JSON: {error}"
        ))
    })
}

/// Returns a notice when the final message is not what the schema asks for.
pub(crate) fn mismatch(schema: &Value, message: Option<&str>) -> Option<String> {
    let mismatch = |pointer: &str, why: &str| {
        // The pointer of the whole document is the empty string, which nobody could read.
        let pointer = if pointer.is_empty() { "/" } else { pointer };
        Some(format!(
            "final message does not match the output schema: {pointer}: {why}"
        ))
    };
    let Some(message) = message else {
        return mismatch("", "there is no message");
    };
    let value: Value = match serde_json::from_str(message) {
        Ok(value) => value,
        Err(error) => return mismatch("", &format!("not JSON: {error}")),
    };
    match JsonSchema::compile(schema) {
        Ok(schema) => schema
            .validate(&value)
            .err()
            .and_then(|fault| mismatch(&fault.pointer, &fault.why)),
        Err(error) => Some(format!(
            "final message was not checked against the output schema: {error}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(message: &str) -> String {
        let schema =
            json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        mismatch(&schema, Some(message)).unwrap_or_else(|| "fits".to_owned())
    }

    #[test]
    fn a_message_that_fits_is_not_mentioned() {
        assert_eq!(checked(r#"{"n": 1}"#), "fits");
    }

    #[test]
    fn a_mismatch_names_the_place() {
        let notice = checked(r#"{"n": "x"}"#);
        assert!(
            notice.starts_with("final message does not match the output schema: /n: "),
            "{notice}"
        );
    }

    #[test]
    fn text_that_is_no_json_is_a_mismatch_of_the_whole() {
        let notice = checked("hello");
        assert!(
            notice.starts_with("final message does not match the output schema: /: not JSON: "),
            "{notice}"
        );
    }
}
