//! The machine we stand on: environment, home, clock, and the only code that writes the user's files.
//!
//! The process is read once, at the door: [`Env::from_process`], [`Clock::system`] and
//! [`CodexHome::find`] turn it into values that are passed down. Whoever wants to write a file takes
//! [`PrivateFile`]: atomic, 0600 from the first byte, a symlink stays a symlink; for a file of secrets
//! [`PrivateDir`], which follows no link at all. Files of a workspace, which are no secrets and which
//! others may be writing too, are changed together by [`change_files`] behind a [`Fence`].
//! **Absent on purpose:** file formats (toml, JSON), async, the network.

mod bounded;
mod changes;
mod clock;
mod env;
mod fence;
mod home;
mod lock;
mod named_secret;
mod path;
mod private_dir;
mod private_file;
mod secret;

pub use bounded::{open_regular, read_bounded};
pub use changes::{ChangeError, FileChange, change_files, undo_unfinished_changes};
pub use clock::Clock;
pub use env::{Env, OWN_TOKENS};
pub use fence::{Fence, FenceError};
pub use home::{CodexHome, CodexHomeError};
pub use lock::{FileLock, LockError};
pub use named_secret::{NamedSecretError, Readers, plain_io_text, read_named_secret};
pub use path::{AbsPath, NotAbsolute};
pub use private_dir::{PrivateDir, SecretFile, SecretFileError};
pub use private_file::{PreparedFile, PrivateFile, WriteError};
pub use secret::Secret;
