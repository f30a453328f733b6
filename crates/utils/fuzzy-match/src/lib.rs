//! vocabulary: one answer to 'did you mean' for every crate.
