//! the Responses API on the wire, shared by client, replay and history.
