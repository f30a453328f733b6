//! A key that a program prints: `auth = {command, args, timeout_ms}` of a provider.
//!
//! The program runs once, and once more when its token was refused. What it prints is a secret, so no
//! error shows its stdout; the last line of its stderr is what its author wanted to say.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use codex_host::{Env, Secret};
use codex_process::{ChildSpec, ProcessTree};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;

use super::{AuthProvider, Freshness, KeyError};

/// More than any token has.
const MAX_OUTPUT: u64 = 64 * 1024;

/// Runs a program for the key.
#[derive(Debug)]
pub struct CommandKey {
    spec: ChildSpec,
    program: String,
    limit: Duration,
    /// The last token. The lock is held while the program runs, so that it never runs twice at once.
    last: Mutex<Option<Secret>>,
}

impl CommandKey {
    /// Takes the words of the config; the program gets `env` as its whole environment.
    pub fn new(
        command: impl Into<String>,
        args: Vec<String>,
        limit: Duration,
        env: Env,
        cwd: PathBuf,
    ) -> Self {
        let program = command.into();
        Self {
            spec: ChildSpec::new(program.clone(), env, cwd).args(args),
            program,
            limit,
            last: Mutex::default(),
        }
    }

    async fn run(&self) -> Result<Secret, KeyError> {
        let failed = |why: String| {
            KeyError::new(format!(
                "the provider's auth command `{}` {why}",
                self.program
            ))
        };
        let mut tree = ProcessTree::spawn(&self.spec).map_err(|error| KeyError {
            hints: error.hints(),
            ..failed(format!("did not start: {error}"))
        })?;
        drop(tree.stdin.take());
        let stdout = tree.stdout.take();
        let exited = tree.exited();
        let work = async {
            let mut output = String::new();
            let read = match stdout {
                Some(stdout) => stdout.take(MAX_OUTPUT).read_to_string(&mut output).await,
                None => Ok(0),
            };
            (read, output, exited.await)
        };
        let Ok((read, output, exit)) = tokio::time::timeout(self.limit, work).await else {
            return Err(failed(format!("did not end within {:?}", self.limit)));
        };
        if !exit.success() {
            let words = tree.stderr_tail().text;
            let last = words.lines().rfind(|line| !line.trim().is_empty());
            let said = last
                .map(|line| format!(": {}", printable(line)))
                .unwrap_or_default();
            return Err(failed(format!("ended with {exit}{said}")));
        }
        let token = output.trim();
        match read.is_ok() && !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(Secret::new(token)),
            false => Err(failed("printed no token on stdout".to_owned())),
        }
    }
}

impl AuthProvider for CommandKey {
    fn key(
        &self,
        freshness: Freshness,
    ) -> Pin<Box<dyn Future<Output = Result<Secret, KeyError>> + Send + '_>> {
        Box::pin(async move {
            let mut last = self.last.lock().await;
            match (&*last, freshness) {
                (Some(key), Freshness::Any) => Ok(key.clone()),
                (Some(_), Freshness::Renewed) | (None, _) => {
                    *last = None;
                    let key = self.run().await?;
                    *last = Some(key.clone());
                    Ok(key)
                }
            }
        })
    }
}

/// Removes escape sequences' introducers and other control characters, and keeps a line short.
fn printable(line: &str) -> String {
    let visible = line.trim().chars().filter(|c| !c.is_control());
    visible.take(200).collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn key(folder: &std::path::Path, script: &str, limit: Duration) -> CommandKey {
        let args = vec!["-c".to_owned(), script.to_owned()];
        let env = Env::from_pairs([("PATH", "/usr/bin:/bin")]);
        CommandKey::new("/bin/sh", args, limit, env, folder.to_owned())
    }

    async fn outcome(script: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let key = key(folder.path(), script, Duration::from_secs(10));
        match key.key(Freshness::Any).await {
            Ok(key) => key.expose().to_owned(),
            Err(error) => error.message,
        }
    }

    #[tokio::test]
    async fn the_program_runs_once_and_once_more_when_refused() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo x >> runs; printf 'token-%s\\n' $(wc -l < runs)";
        let key = key(folder.path(), script, Duration::from_secs(10));
        let mut tokens = Vec::new();
        for freshness in [
            Freshness::Any,
            Freshness::Any,
            Freshness::Renewed,
            Freshness::Any,
        ] {
            tokens.push(key.key(freshness).await.unwrap().expose().to_owned());
        }
        assert_eq!(tokens, ["token-1", "token-1", "token-2", "token-2"]);
    }

    #[tokio::test]
    async fn every_failure_names_the_program() {
        let failure = "the provider's auth command `/bin/sh` ";
        assert_eq!(
            outcome("echo first >&2; echo 'log in first' >&2; echo secret; exit 3").await,
            format!("{failure}ended with exit status 3: log in first")
        );
        for nothing in ["true", "echo two words"] {
            assert_eq!(
                outcome(nothing).await,
                format!("{failure}printed no token on stdout")
            );
        }
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let key = key(folder.path(), "sleep 60", Duration::from_millis(50));
        let error = key.key(Freshness::Any).await.unwrap_err();
        assert_eq!(
            error.message,
            "the provider's auth command `/bin/sh` did not end within 50ms"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let limit = Duration::from_secs(1);
        let gone = CommandKey::new("/no/such", Vec::new(), limit, Env::default(), "/".into());
        let error = gone.key(Freshness::Any).await.unwrap_err();
        assert_eq!(
            error.message,
            "the provider's auth command `/no/such` did not start: program not found: `/no/such`"
        );
    }
}
