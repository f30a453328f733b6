//! Our end: start the deputy, give the order, wait for the answer.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::time::Duration;

use codex_credentials::SecretJson;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Deputy;
use super::serve::{ACCEPTED, GO};
use super::wire::{self, MAX_MESSAGE};
use crate::{KeyLock, OAuthTokens, RefreshError, RefreshTransaction, Renewed};

/// For the start of the program and its reading of the order.
const START_LIMIT: Duration = Duration::from_secs(10);

/// More than all limits of a renewal together.
const WORK_LIMIT: Duration = Duration::from_secs(120);

/// For the program to end after its answer.
const END_LIMIT: Duration = Duration::from_secs(2);

impl Deputy {
    /// Lets the deputy ask and store. `None`: nothing was begun, do it here.
    pub(crate) async fn exchange(
        &self,
        refresh: &RefreshTransaction,
        lock: &KeyLock,
        tokens: &OAuthTokens,
    ) -> Option<Result<Renewed, RefreshError>> {
        let order = wire::order(refresh, tokens)?;
        let started = timeout(START_LIMIT, self.start(lock, &order)).await;
        let (mut child, mut socket) = started.ok()?.ok()?;
        let broke_off = |why: &str| {
            let why = format!("the process that renews the login {why}");
            Some(Err(RefreshError::Transient { why, after: None }))
        };
        refresh.set_at_deputy(true);
        let mut answer = Vec::new();
        let mut reader = (&mut socket).take(MAX_MESSAGE);
        let outcome = match timeout(WORK_LIMIT, reader.read_to_end(&mut answer)).await {
            Err(_) => broke_off("does not answer"),
            Ok(Err(_)) => broke_off("ended without an answer"),
            Ok(Ok(_)) => match wire::read_answer(refresh.key(), answer) {
                Some(outcome) => Some(outcome),
                None => broke_off("ended without an answer"),
            },
        };
        refresh.set_at_deputy(false);
        // What takes longer is reaped by the runtime.
        let _ = timeout(END_LIMIT, child.wait()).await;
        outcome
    }

    /// Returns when it is told to go: from then on the old refresh token may be used up.
    async fn start(
        &self,
        lock: &KeyLock,
        order: &SecretJson,
    ) -> std::io::Result<(Child, UnixStream)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut socket = UnixStream::from_std(ours)?;
        let mut command = Command::new(&self.program);
        command
            .arg0("codex")
            .args(&self.args)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(lock.share_with_child()?))
            .stderr(Stdio::null());
        let child = command.spawn()?;
        // The command keeps their end of the socket, and its end of file would never come.
        drop(command);
        socket.write_all(order.expose().as_bytes()).await?;
        socket.write_all(b"\n").await?;
        let mut accepted = [0; ACCEPTED.len()];
        socket.read_exact(&mut accepted).await?;
        if &accepted != ACCEPTED {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        socket.write_all(GO).await?;
        Ok((child, socket))
    }
}
