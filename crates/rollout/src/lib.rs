//! wire: threads on disk.
