//! Questions to the user: read leniently, answered with the defaults of their form.

use serde_json::{Map, Value, json};

use crate::{Elicitation, ElicitationReply};

/// Reads the parameters of `elicitation/create`.
pub(crate) fn parse(params: &Value) -> Result<Elicitation, String> {
    let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").unwrap_or_default();
    match text("mode").as_deref() {
        None | Some("form") => {
            let schema = params.get("requestedSchema").cloned();
            Ok(Elicitation::Form {
                message,
                schema: schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} })),
            })
        }
        Some("url") => Ok(Elicitation::Url {
            message,
            url: text("url").ok_or("an elicitation of mode `url` needs `url`")?,
            id: text("elicitationId"),
        }),
        Some(other) => Err(format!("unknown elicitation mode `{other}`")),
    }
}

/// Writes the result of `elicitation/create`.
pub(crate) fn result(reply: ElicitationReply, schema: Option<&Value>) -> Value {
    match (reply, schema) {
        (ElicitationReply::Accept(content), Some(schema)) => {
            json!({ "action": "accept", "content": with_defaults(content, schema) })
        }
        // The answer to a URL has no content.
        (ElicitationReply::Accept(_), None) => json!({ "action": "accept" }),
        (ElicitationReply::Decline, _) => json!({ "action": "decline" }),
        (ElicitationReply::Cancel, _) => json!({ "action": "cancel" }),
    }
}

/// The content that the defaults of a form make, when every required field has one.
pub(crate) fn default_content(schema: &Value) -> Option<Map<String, Value>> {
    let content = with_defaults(Map::new(), schema);
    let required = schema.get("required").and_then(Value::as_array);
    let mut required = required.into_iter().flatten().filter_map(Value::as_str);
    required
        .all(|field| content.contains_key(field))
        .then_some(content)
}

fn with_defaults(mut content: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(default) = property.get("default")
            && !content.contains_key(name)
        {
            content.insert(name.clone(), default.clone());
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_without_a_schema_is_an_empty_form() {
        let Ok(Elicitation::Form { message, schema }) = parse(&json!({ "message": "ok?" })) else {
            panic!("a form");
        };
        assert_eq!(message, "ok?");
        assert_eq!(default_content(&schema), Some(Map::new()));
    }

    #[test]
    fn a_url_question_without_a_url_is_refused() {
        assert!(parse(&json!({ "mode": "url" })).is_err());
        assert_eq!(
            parse(&json!({ "mode": "url", "message": "m", "url": "https://a.example" })),
            Ok(Elicitation::Url {
                message: "m".to_owned(),
                url: "https://a.example".to_owned(),
                id: None
            })
        );
    }

    #[test]
    fn defaults_fill_only_what_was_left_out() {
        let schema = json!({ "properties": {
            "name": { "type": "string", "default": "Ada" },
            "age": { "type": "integer", "default": 36 },
            "mail": { "type": "string" },
        } });
        let mut content = Map::new();
        content.insert("name".to_owned(), json!("Bob"));
        assert_eq!(
            result(ElicitationReply::Accept(content), Some(&schema)),
            json!({ "action": "accept", "content": { "name": "Bob", "age": 36 } })
        );
    }

    #[test]
    fn a_required_field_without_a_default_needs_the_user() {
        let schema = json!({ "properties": { "mail": {} }, "required": ["mail"] });
        assert_eq!(default_content(&schema), None);
    }
}
