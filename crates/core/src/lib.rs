//! the engine: threads, turns, approvals, history.
