//! The last words of a program: a bounded tail of its stderr.

/// The end of what a program wrote on stderr.
///
/// It is untrusted text: escape sequences are still in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StderrTail {
    /// The text, without the last line break; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// How many bytes before it were dropped.
    pub n_dropped: u64,
}
