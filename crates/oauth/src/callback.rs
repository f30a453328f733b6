//! The end of the browser's way: where it is sent back to, and who waits there.
//!
//! [`CallbackSettings`] turns into a [`Binding`], which is pure: the redirect URI that is sent and
//! the addresses that are listened on, by the host of the URL. A configured URL goes out verbatim,
//! since providers compare it byte by byte.

mod listener;
mod reply;
mod request;
mod settings;

pub(crate) use listener::{Arrival, CallbackListener, Waiting};
pub(crate) use reply::{Page, Reply};
pub(crate) use request::{Expected, Verdict, judge, judge_target};
pub use settings::{Binding, CallbackError, CallbackSettings, CallbackSettingsError};
