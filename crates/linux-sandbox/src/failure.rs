//! Why the sandbox cannot be made.

use std::fmt;
use std::io;
use std::path::Path;

use nix::errno::Errno;

/// A step that failed, and the kernel's reason.
#[derive(Debug)]
pub(crate) struct Failure {
    step: &'static str,
    why: String,
    errno: Option<Errno>,
}

impl Failure {
    pub(crate) fn new(step: &'static str, why: impl Into<String>) -> Self {
        Self {
            step,
            why: why.into(),
            errno: None,
        }
    }

    /// Whether the kernel does not grant this here, so that another way may be tried.
    ///
    /// Anything else, a lack of memory or of processes for one, must not lead to a weaker sandbox.
    pub(crate) fn is_not_granted(&self) -> bool {
        matches!(
            self.errno,
            Some(Errno::EPERM | Errno::EACCES | Errno::EINVAL | Errno::ENOSYS | Errno::ENOSPC)
        )
    }
}

/// A path of the plan that cannot be used.
pub(crate) fn not_as_planned(step: &'static str, path: &Path, errno: Errno) -> Failure {
    let why = match errno {
        Errno::ENOTDIR => "a directory on the way is a link or a file by now",
        errno => errno.desc(),
    };
    Failure {
        step,
        why: format!("`{}`: {why}", path.display()),
        errno: Some(errno),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.why)
    }
}

/// Names the step in which something failed.
pub(crate) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, Failure>;
}

impl<T> Step<T> for nix::Result<T> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|errno| Failure {
            step,
            why: errno.desc().to_owned(),
            errno: Some(errno),
        })
    }
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            why: error.to_string(),
            errno: error.raw_os_error().map(Errno::from_raw),
        })
    }
}
