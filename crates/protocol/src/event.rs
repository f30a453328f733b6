//! What a thread tells its frontend.

use crate::{ApprovalId, ApprovalRequest, ItemId, ThreadId, ThreadItem};

/// One thing that happened in a thread.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The thread it happened in.
    pub thread: ThreadId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened. After a turn's end event no item of that turn follows.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// Something the run survives; a sentence for people.
    Notice(String),
    /// A model request failed and is made again; what it had begun to say is void.
    Retrying {
        /// Which try it is, for people.
        message: String,
        /// Why the last one failed.
        why: String,
    },
    /// A turn began.
    TurnStarted,
    /// An item began; only the kinds that take time have this.
    ItemStarted(ThreadItem),
    /// An item changed.
    ItemUpdated(ThreadItem),
    /// An item ended; exactly one per item.
    ItemCompleted(ThreadItem),
    /// Text of the message that is being written.
    AgentMessageDelta {
        /// The item that will complete with the whole text.
        item: ItemId,
        /// The next piece.
        delta: String,
    },
    /// Text of the reasoning summary that is being written.
    ReasoningDelta {
        /// The item that will complete with the whole text.
        item: ItemId,
        /// The next piece.
        delta: String,
    },
    /// A running MCP call tells how far it is.
    McpProgress {
        /// The item of the call.
        item: ItemId,
        /// The server's words, or `progress/total`.
        message: String,
    },
    /// Somebody has to say whether an item may run.
    ApprovalRequested(Box<ApprovalRequest>),
    /// That question needs no answer any more.
    ApprovalResolved(ApprovalId),
    /// The model has answered one request to its end.
    ResponseCompleted {
        /// Tokens of that request.
        usage: TokenUsage,
    },
    /// A call may run; told to frontends that want to know why.
    CallAllowed {
        /// The item of the call.
        item: ItemId,
        /// The rule that decided, in words.
        why: String,
    },
    /// The turn ended well.
    TurnCompleted {
        /// Tokens of all requests of this turn.
        usage: TokenUsage,
    },
    /// The turn failed.
    TurnFailed(TurnError),
    /// The turn was interrupted by its user.
    TurnInterrupted,
    /// The thread has ended; nothing follows.
    Closed,
}

/// Tokens as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenUsage {
    /// Tokens of the requests.
    pub input_tokens: u64,
    /// Those of them that came from the provider's cache.
    pub cached_input_tokens: u64,
    /// Those of them that were written to the provider's cache.
    pub cache_write_input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
    /// Those of them spent on reasoning.
    pub reasoning_output_tokens: u64,
}

impl std::ops::AddAssign for TokenUsage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.cache_write_input_tokens += other.cache_write_input_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_output_tokens += other.reasoning_output_tokens;
    }
}

/// Why a turn failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnError {
    /// One sentence, causes included.
    pub message: String,
    /// What kind of failure it was, as data.
    pub kind: TurnErrorKind,
    /// What the user can do now.
    pub hints: Vec<String>,
}

/// The kinds of failure that frontends tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnErrorKind {
    /// The provider refused the request.
    BadRequest,
    /// The provider does not know the model.
    ModelNotFound,
    /// The key is missing, wrong or not allowed.
    Unauthorized,
    /// Too many requests.
    RateLimitExceeded,
    /// The account has used what it may use.
    UsageLimitExceeded,
    /// The provider is overloaded.
    ServerOverloaded,
    /// The provider failed.
    InternalServerError,
    /// The conversation no longer fits the model.
    ContextWindowExceeded,
    /// No answer was received.
    HttpConnectionFailed {
        /// HTTP status, when there was one.
        status: Option<u16>,
    },
    /// The answer broke off.
    ResponseStreamDisconnected {
        /// HTTP status, when there was one.
        status: Option<u16>,
    },
    /// Every try failed.
    TooManyFailedAttempts {
        /// HTTP status of the last try, when there was one.
        status: Option<u16>,
    },
    /// A replay file and the run differ.
    ReplayMismatch,
    /// Anything else.
    Other,
}
