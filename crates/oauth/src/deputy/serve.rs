//! The deputy's end: one order, one renewal, one answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use codex_host::Env;

use super::wire::{self, MAX_MESSAGE};

/// Says that the order can be carried out.
pub(crate) const ACCEPTED: &[u8; 9] = b"accepted\n";

/// Says that it is to be: who gave up waiting for us does it himself and never sends this.
pub(crate) const GO: &[u8; 3] = b"go\n";

/// Does one renewal for the program that started us: `socket` is the conversation with it, `lock`
/// its share of the lock. Be in a session of our own first: what ends that program must not end us.
pub async fn serve_renewal(
    socket: OwnedFd,
    lock: OwnedFd,
    env: Env,
    version: &str,
) -> io::Result<()> {
    let mut socket = UnixStream::from(socket);
    let mut order = String::new();
    // Nothing else runs here, so that the thread may block; at our parent's death this ends.
    BufReader::new((&socket).take(MAX_MESSAGE)).read_line(&mut order)?;
    let order = wire::read_order(order, env, version);
    let order = order.ok_or(io::ErrorKind::InvalidData)?;
    let (refresh, lock, tokens) = order.begin(lock);
    socket.write_all(ACCEPTED)?;
    socket.read_exact(&mut [0; GO.len()])?;
    let outcome = refresh.exchange(&lock, tokens).await;
    // Stored or not, whoever asked may be gone.
    let Some(answer) = wire::answer(outcome) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    socket.write_all(answer.expose().as_bytes())
}
