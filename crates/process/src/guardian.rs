//! Who ends our children when we cannot: one tiny process beside us.
//!
//! A process that gets SIGKILL runs no code of its own. So the first spawn starts a *guardian*: a
//! `/bin/sh` that reads group ids from a socket of which only we hold the other end. However we
//! end, the kernel closes that end; the shell reads the end of file, kills every group that is
//! still on its list and leaves. It has its own process group, so a signal to ours misses it, no
//! environment, no inherited descriptors, and sits in `/`.
//!
//! Why a shell: it costs under 1 ms once and some 0.2 MiB of its own memory. Our own binary under
//! another name would cost its relocations and pages again and a hook in `main`; a bare `fork`
//! would keep a copy of our heap.
//!
//! The moment between a spawn and its line on the socket is covered by `PR_SET_PDEATHSIG`
//! (see `group.rs`). Traps: nothing here may block, so a full socket counts as a dead guardian;
//! and the shell must stay portable (dash, bash, busybox): builtins only.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `+ 123` adds a group, `- 123` forgets it; at the end of file the rest is killed.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
groups=
while read -r verb group; do
  kept=
  for known in $groups; do
    [ "$known" = "$group" ] || kept="$kept $known"
  done
  groups=$kept
  [ "$verb" = + ] && groups="$groups $group"
done
for group in $groups; do kill -9 "-$group"; done
"#;

static GUARDIAN: Mutex<Guardian> = Mutex::new(Guardian {
    groups: BTreeSet::new(),
    running: None,
});

/// The list of living groups, here and beside us.
struct Guardian {
    groups: BTreeSet<i32>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    socket: UnixStream,
}

/// Puts a group under guard. Returns whether a guardian knows it now.
pub(crate) fn watch(group: i32) -> bool {
    lock().watch(group)
}

/// Takes a group off the list: it has ended.
pub(crate) fn forget(group: i32) {
    lock().forget(group);
}

/// Makes sure that a guardian runs, before the first child does.
pub(crate) fn ready() -> bool {
    lock().ready()
}

fn lock() -> MutexGuard<'static, Guardian> {
    GUARDIAN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guardian {
    fn ready(&mut self) -> bool {
        if self.running.is_none() {
            self.running = Running::start();
            let told = self.groups.iter().all(|&group| self.tell('+', group));
            if !told {
                self.running = None;
            }
        }
        self.running.is_some()
    }

    fn watch(&mut self, group: i32) -> bool {
        self.groups.insert(group);
        if self.running.is_some() && !self.tell('+', group) {
            // Somebody ended the guardian: a new one hears the whole list.
            self.retire();
        }
        self.ready()
    }

    fn forget(&mut self, group: i32) {
        if self.groups.remove(&group) && !self.tell('-', group) {
            self.retire();
        }
    }

    fn tell(&self, verb: char, group: i32) -> bool {
        let line = format!("{verb} {group}\n");
        self.running
            .as_ref()
            .is_some_and(|running| (&running.socket).write_all(line.as_bytes()).is_ok())
    }

    /// Gives up a guardian that does not listen. It must be dead before its socket closes, or it
    /// would kill the groups on its list.
    fn retire(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

impl Running {
    fn start() -> Option<Self> {
        // A socket and not a pipe: writing to a dead reader is an error here, never a SIGPIPE.
        let (socket, theirs) = UnixStream::pair().ok()?;
        socket.set_nonblocking(true).ok()?;
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "codex-guardian"])
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { child, socket })
    }
}
