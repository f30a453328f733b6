//! Reading from places that may block, or never end.
//!
//! A pipe that somebody named as a file blocks for as long as it likes, and nothing can cut a blocked
//! read short. So such work has a thread of its own, the run waits for its answer where a signal can
//! end the wait, and the end of the process ends the thread.

use std::io::{self, ErrorKind, Read};

use tokio::sync::oneshot;

/// Does `work` on a thread named `name` and returns its answer.
pub(crate) async fn in_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody listens any more when the run was interrupted.
            let _ = sender.send(work());
        })?;
    receiver
        .await
        .map_err(|_| io::Error::other(format!("the thread `{name}` ended without an answer")))
}

/// Reads to the end, or fails when that is further away than so many MiB.
pub(crate) fn read_at_most(source: impl Read, limit_mib: u64) -> io::Result<Vec<u8>> {
    let limit = limit_mib * 1024 * 1024;
    let mut bytes = Vec::new();
    let n_read = source.take(limit + 1).read_to_end(&mut bytes)?;
    if n_read as u64 > limit {
        let why = format!("more than {limit_mib} MiB");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_refused_and_what_just_fits_is_read() {
        let fits = read_at_most(io::repeat(b'x').take(1024 * 1024), 1).unwrap();
        assert_eq!(fits.len(), 1024 * 1024);
        let error = read_at_most(io::repeat(b'x'), 1).unwrap_err();
        assert_eq!(error.to_string(), "more than 1 MiB");
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_an_error_and_no_wait_for_ever() {
        let answer: io::Result<()> =
            in_thread("test", || std::panic::resume_unwind(Box::new(()))).await;
        assert_eq!(
            answer.unwrap_err().to_string(),
            "the thread `test` ended without an answer"
        );
        assert_eq!(in_thread("test", || 1).await.unwrap(), 1);
    }
}
