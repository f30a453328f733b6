//! The body of a request, written once for all tries and measured before anything is sent.

use bytes::Bytes;
use codex_api_types::ResponsesRequest;
use codex_protocol::TurnErrorKind;

use crate::{ErrorOrigin, ModelError, Prompt, PromptItem};

/// Largest request body.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// Writes the body, and measures it before anything is sent.
pub(super) fn build(prompt: &Prompt) -> Result<Bytes, ModelError> {
    let thread = prompt.thread_id.to_string();
    let request = ResponsesRequest {
        model: &prompt.model,
        instructions: &prompt.instructions,
        input: &prompt.input,
        tools: &prompt.tools,
        reasoning: Some(&prompt.reasoning),
        prompt_cache_key: &thread,
        text: Some(&prompt.text),
        service_tier: prompt.service_tier.as_deref(),
    };
    let failed =
        |message: String| ModelError::new(ErrorOrigin::Local, TurnErrorKind::BadRequest, message);
    let body = serde_json::to_vec(&request)
        .map_err(|why| failed(format!("the request cannot be written as JSON: {why}")))?;
    if body.len() <= MAX_REQUEST {
        return Ok(Bytes::from(body));
    }
    let biggest = biggest_item(&prompt.input).unwrap_or_default();
    let (size, limit) = (body.len() >> 20, MAX_REQUEST >> 20);
    let message =
        format!("the request has {size} MiB, more than the limit of {limit} MiB{biggest}");
    Err(failed(message).hint("begin a new thread, or attach smaller images"))
}

fn biggest_item(input: &[PromptItem]) -> Option<String> {
    let sizes = input.iter().map(json_size).enumerate();
    let (index, size) = sizes.max_by_key(|(_, size)| *size)?;
    let (number, kind, size) = (index + 1, input.get(index)?.item.kind(), size >> 20);
    Some(format!(
        "; the biggest item is number {number}, a `{kind}` of {size} MiB"
    ))
}

/// Measures without writing: the item may be huge.
fn json_size(item: &PromptItem) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, item) {
        Ok(()) => counter.0,
        Err(_) => 0,
    }
}
