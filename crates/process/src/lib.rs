//! houses nix; trust boundary to child processes.
