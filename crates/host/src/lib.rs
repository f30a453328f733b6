//! trust boundary: the only code that writes the user's files.
