//! The Responses API on the wire.
//!
//! One spelling of each shape for the client (`codex-model`), the history (`codex-core`), the thread
//! files (`codex-rollout`) and the test peers. What a provider sends is read leniently: an unknown
//! item or part survives as raw JSON and goes back as it came.
//! **Absent on purpose:** an HTTP client, retries, tokio.

mod content;
mod event;
mod item;
mod request;
mod tool;
mod usage;

pub use content::{CallOutput, ContentItem, SummaryPart};
pub use event::{Completed, DecodeError, ProviderError, SseEvent};
pub use item::{
    CallResult, CustomToolCall, FunctionCall, LocalShellCall, Message, Reasoning, ResponseItem,
    WebSearchCall,
};
pub use request::{ReasoningOptions, ResponsesRequest, TextFormat, TextOptions};
pub use tool::{FunctionTool, NamespaceTool, ToolSpec};
pub use usage::Usage;
