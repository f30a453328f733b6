//! The tool `update_plan`: the model's own list of steps, shown to the user.

use codex_protocol::TodoItem;
use serde::Deserialize;
use serde_json::{Value, json};

/// The tool's name.
pub(crate) const NAME: &str = "update_plan";
/// What the model is told after a good call.
pub(crate) const DONE: &str = "Plan updated";

/// What the model is told about the tool.
pub(crate) const DESCRIPTION: &str = "Shows the user your plan for this task: short steps, each pending, in_progress or completed. \
     Send the whole list every time. At most one step is in_progress.";

/// Returns the schema of the arguments.
pub(crate) fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "explanation": {"type": "string", "description": "Why the plan changed."},
            "plan": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "step": {"type": "string"},
                        "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]}
                    },
                    "required": ["step", "status"],
                    "additionalProperties": false
                }
            }
        },
        "required": ["plan"],
        "additionalProperties": false
    })
}

/// Reads the arguments of a call.
pub(crate) fn parse(arguments: &str) -> Result<Vec<TodoItem>, serde_json::Error> {
    let typed: Arguments = serde_json::from_str(arguments)?;
    Ok(typed
        .plan
        .into_iter()
        .map(|step| TodoItem {
            text: step.step,
            completed: step.status == Status::Completed,
        })
        .collect())
}

#[derive(Deserialize)]
struct Arguments {
    plan: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    step: String,
    status: Status,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Completed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_done_only_when_it_is_completed() {
        let items = parse(
            r#"{"explanation":"x","plan":[{"step":"A","status":"completed"},{"step":"B","status":"in_progress"}]}"#,
        )
        .unwrap();
        assert_eq!(
            items,
            [
                TodoItem {
                    text: "A".to_owned(),
                    completed: true
                },
                TodoItem {
                    text: "B".to_owned(),
                    completed: false
                },
            ]
        );
    }

    #[test]
    fn an_unknown_status_is_refused_with_the_three_that_exist() {
        let error = parse(r#"{"plan":[{"step":"A","status":"done"}]}"#)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected one of `pending`, `in_progress`, `completed`"),
            "{error}"
        );
    }
}
