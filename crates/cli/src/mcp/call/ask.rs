//! Questions of a server, put on the terminal.
//!
//! The text of a question is the server's, so it is escaped and named as such. A page is never opened
//! from here: its whole URL is shown and the user decides.

use std::io;

use codex_mcp::{Elicitation, ElicitationReply, ElicitationRequest};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::mask::printable;
use crate::mcp::live::LiveContext;

/// Asks the user and answers the server.
pub(super) async fn answer(
    request: ElicitationRequest,
    context: &mut LiveContext<'_>,
) -> io::Result<()> {
    let ElicitationRequest {
        server,
        question,
        reply,
    } = request;
    let answer = match &question {
        Elicitation::Form { message, schema } => {
            writeln!(
                context.err,
                "MCP server '{server}' asks: {}",
                printable(message)
            )?;
            fill(schema, context).await?
        }
        Elicitation::Url { message, url, .. } => {
            writeln!(
                context.err,
                "MCP server '{server}' asks: {}",
                printable(message)
            )?;
            writeln!(
                context.err,
                "It wants you to visit this page (nothing is opened for you):\n  {}",
                printable(url)
            )?;
            match line("Done? [y/N] ", context)
                .await?
                .as_deref()
                .map(str::trim)
            {
                Some("y" | "Y" | "yes") => ElicitationReply::Accept(Map::new()),
                Some(_) => ElicitationReply::Decline,
                None => ElicitationReply::Cancel,
            }
        }
        _ => {
            writeln!(
                context.err,
                "MCP server '{server}' asked something that this version cannot show; declined"
            )?;
            ElicitationReply::Decline
        }
    };
    // The server may have withdrawn its question meanwhile.
    let _ = reply.send(answer);
    Ok(())
}

async fn fill(schema: &Value, context: &mut LiveContext<'_>) -> io::Result<ElicitationReply> {
    let mut content = Map::new();
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    if properties.is_empty() {
        return Ok(
            match line("Accept? [y/N] ", context)
                .await?
                .as_deref()
                .map(str::trim)
            {
                Some("y" | "Y" | "yes") => ElicitationReply::Accept(content),
                Some(_) => ElicitationReply::Decline,
                None => ElicitationReply::Cancel,
            },
        );
    }
    writeln!(
        context.err,
        "Empty takes the default or leaves the field out; `!` declines; end of input cancels."
    )?;
    for (name, field) in properties {
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|other| other == name));
        loop {
            let Some(typed) = line(&prompt(name, field, required), context).await? else {
                return Ok(ElicitationReply::Cancel);
            };
            let typed = typed.trim();
            if typed == "!" {
                return Ok(ElicitationReply::Decline);
            }
            if typed.is_empty() {
                match field.get("default") {
                    Some(default) => drop(content.insert(name.clone(), default.clone())),
                    None if required => continue,
                    None => {}
                }
                break;
            }
            match typed_value(field, typed) {
                Ok(value) => drop(content.insert(name.clone(), value)),
                Err(why) => {
                    writeln!(context.err, "  {why}")?;
                    continue;
                }
            }
            break;
        }
    }
    Ok(ElicitationReply::Accept(content))
}

fn prompt(name: &str, field: &Value, required: bool) -> String {
    let title = field["title"].as_str().unwrap_or(name);
    let mut notes = vec![field["type"].as_str().unwrap_or("text").to_owned()];
    if let Some(choices) = choices(field) {
        notes.push(format!("one of {}", choices.join(", ")));
    }
    if let Some(default) = field.get("default") {
        notes.push(format!("default {default}"));
    }
    if required {
        notes.push("required".to_owned());
    }
    printable(&format!("  {title} ({}): ", notes.join("; ")))
}

/// The values of a field with choices; titled choices are known by their value.
fn choices(field: &Value) -> Option<Vec<String>> {
    let list = field["enum"]
        .as_array()
        .or_else(|| field["oneOf"].as_array())?;
    let value = |choice: &Value| {
        choice
            .as_str()
            .or_else(|| choice["const"].as_str())
            .map(str::to_owned)
    };
    Some(list.iter().filter_map(value).collect())
}

fn typed_value(field: &Value, typed: &str) -> Result<Value, String> {
    if let Some(choices) = choices(field)
        && !choices.iter().any(|choice| choice == typed)
    {
        return Err(format!("one of {} is expected", choices.join(", ")));
    }
    match field["type"].as_str() {
        Some("boolean") => match typed {
            "y" | "yes" | "true" => Ok(Value::Bool(true)),
            "n" | "no" | "false" => Ok(Value::Bool(false)),
            _ => Err("yes or no is expected".to_owned()),
        },
        Some("integer") => typed
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| "a whole number is expected".to_owned()),
        Some("number") => typed
            .parse::<f64>()
            .map(Value::from)
            .map_err(|_| "a number is expected".to_owned()),
        Some("array") => Ok(typed
            .split(',')
            .map(|part| Value::from(part.trim()))
            .collect()),
        _ => Ok(Value::from(typed)),
    }
}

/// Asks for one line; `None` at the end of input or after Ctrl-C.
async fn line(prompt: &str, context: &mut LiveContext<'_>) -> io::Result<Option<String>> {
    write!(context.err, "{prompt}")?;
    context.err.flush()?;
    let (sender, receiver) = oneshot::channel();
    // A thread of its own: a read that never ends must not keep the runtime from ending.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = io::stdin().read_line(&mut text);
        let _ = sender.send(read.ok().filter(|&n_bytes| n_bytes > 0).map(|_| text));
    });
    tokio::select! {
        () = context.cancel.cancelled() => Ok(None),
        text = receiver => Ok(text.ok().flatten()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_tells_type_choices_default_and_need() {
        let field =
            json!({"type": "string", "title": "Colour", "enum": ["red", "blue"], "default": "red"});
        assert_eq!(
            prompt("c", &field, true),
            "  Colour (string; one of red, blue; default \"red\"; required): "
        );
    }

    #[test]
    fn typed_text_becomes_the_type_of_the_field() {
        let value = |kind: &str, typed: &str| typed_value(&json!({"type": kind}), typed);
        assert_eq!(value("integer", "7"), Ok(json!(7)));
        assert_eq!(value("number", "1.5"), Ok(json!(1.5)));
        assert_eq!(value("boolean", "y"), Ok(json!(true)));
        assert_eq!(value("string", "007"), Ok(json!("007")));
        assert_eq!(value("array", "a, b"), Ok(json!(["a", "b"])));
        assert_eq!(
            value("integer", "x"),
            Err("a whole number is expected".to_owned())
        );
        let titled = json!({"oneOf": [{"const": "r", "title": "Red"}]});
        assert_eq!(typed_value(&titled, "r"), Ok(json!("r")));
        assert_eq!(
            typed_value(&titled, "x"),
            Err("one of r is expected".to_owned())
        );
    }
}
