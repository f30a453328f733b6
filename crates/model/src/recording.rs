//! The file of `--record` and `--replay` (contract-exec 14).
