//! `view_image`: a picture from the disk, for the model.

use std::path::Path;

use codex_api_types::{CallOutput, ContentItem};
use codex_protocol::{ItemDetails, McpOutcome};
use codex_tools::{picture, specs};
use serde_json::json;

use super::HandCall;
use crate::calls::{self, Done};
use crate::tools::OWN;

/// Shows a picture. What commands may read, the model may see: that is everything.
pub(super) async fn run(call: &HandCall, path: &Path) -> Done {
    let events = &call.services.events;
    let shown = calls::running(OWN, specs::VIEW_IMAGE, json!({ "path": path }));
    let item = events
        .started(ItemDetails::McpToolCall(Box::new(shown.clone())))
        .await;
    let file = call.folder(Some(path));
    let read = tokio::task::spawn_blocking(move || picture::data_url(&file)).await;
    let read = match read {
        Ok(read) => read.map_err(|why| format!("cannot read image `{}`: {why}", path.display())),
        Err(_) => Err("reading the picture stopped unexpectedly".to_owned()),
    };
    match read {
        Ok(data_url) => {
            let outcome = McpOutcome {
                content: vec![
                    json!({"type": "text", "text": format!("showed {}", path.display())}),
                ],
                ..McpOutcome::default()
            };
            calls::end_item(events, item, shown, Ok(outcome)).await;
            Done::completed(CallOutput::Parts(vec![ContentItem::input_image(data_url)]))
        }
        Err(why) => {
            calls::end_item(events, item, shown, Err(why.clone())).await;
            Done::failed(why)
        }
    }
}
