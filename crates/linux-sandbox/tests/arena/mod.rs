//! Where one attempt happens: files, listeners and a process outside of the sandbox, and the verdict.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use codex_linux_sandbox::{MARK, Rules};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};

const NOBODY: u32 = 65534;
const TOKEN: &[u8] = b"escaped";
const UNTOUCHED: &str = "untouched";
const LIMIT: Duration = Duration::from_secs(60);

/// Starts the victim and opens descriptor 9, in the same namespace as the sandbox is started from.
const PRELUDE: &str = r#"
[ "$NO_NAMESPACES" ] && echo 0 > /proc/sys/user/max_user_namespaces
"$ATTEMPT" victim > /dev/null 2>&1 &
VICTIM=$!; export VICTIM
exec 9>> "$ARENA/outside/secret"
"$@" < "$ARENA/outside/secret"
code=$?
kill -9 $VICTIM
exit $code
"#;

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    Nobody,
}

/// What holds the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    Outside,
    Namespaces,
    Landlock,
}

impl User {
    /// Both when we are root, else only the one that we are.
    pub(crate) fn that_can_be_tried() -> Vec<Self> {
        match geteuid().is_root() {
            true => vec![Self::Root, Self::Nobody],
            false => vec![Self::Nobody],
        }
    }

    fn id(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Nobody if geteuid().is_root() => NOBODY,
            Self::Nobody => geteuid().as_raw(),
        }
    }
}

pub(crate) struct Arena {
    folder: tempfile::TempDir,
    user: User,
    tcp: TcpListener,
    udp: UdpSocket,
    stream: UnixListener,
    datagram: UnixDatagram,
    nameless: UnixListener,
}

impl Arena {
    pub(crate) fn new(user: User) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["outside/dir", "nest/desk/.git", "bin"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        fs::write(path.join("outside/secret"), UNTOUCHED).unwrap();
        fs::write(path.join("nest/desk/.git/config"), UNTOUCHED).unwrap();
        for (name, program) in PROGRAMS {
            fs::copy(program, path.join("bin").join(name)).unwrap();
        }
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = |address: std::net::SocketAddr| address.port().to_string();
        fs::write(path.join("tcp.port"), port(tcp.local_addr().unwrap())).unwrap();
        fs::write(path.join("udp.port"), port(udp.local_addr().unwrap())).unwrap();
        let stream = UnixListener::bind(path.join("stream.sock")).unwrap();
        let datagram = UnixDatagram::bind(path.join("datagram.sock")).unwrap();
        let name = path.as_os_str().as_encoded_bytes();
        fs::write(path.join("abstract.name"), name).unwrap();
        let name = SocketAddr::from_abstract_name(name).unwrap();
        let nameless = UnixListener::bind_addr(&name).unwrap();
        give(path, user.id());
        // The set-user program belongs to who can do more.
        let suid = path.join("outside/suid");
        fs::copy(PROGRAMS[1].1, &suid).unwrap();
        fs::set_permissions(&suid, fs::Permissions::from_mode(0o4755)).unwrap();
        Self {
            folder,
            user,
            tcp,
            udp,
            stream,
            datagram,
            nameless,
        }
    }

    /// Runs an attempt and says whether it succeeded.
    pub(crate) fn run(self, attempt: &str, ground: Ground) -> bool {
        let before = self.traces();
        let mut child = self.start(attempt, ground);
        let (said, is_ready) = collect(&mut child);
        if attempt == "outlive the killed helper" {
            is_ready.recv_timeout(LIMIT).unwrap();
            let killed = helper_of(&child, ground);
            kill(killed, Signal::SIGKILL).unwrap();
        }
        let Ok(said) = said.recv_timeout(LIMIT) else {
            let group = Pid::from_raw(child.id().cast_signed());
            let _ = killpg(group, Signal::SIGKILL);
            panic!("`{attempt}` hangs ({ground:?}, {:?})", self.user);
        };
        let status = child.wait().unwrap();
        if ground == Ground::Landlock && !attempt.starts_with("outlive") {
            assert!(said.contains("no namespaces here"), "{attempt}: {said}");
        }
        assert!(!said.contains("cannot be made"), "{attempt}: {said}");
        status.success() || said.contains("outlived") || self.traces() != before || self.received()
    }

    fn start(&self, attempt: &str, ground: Ground) -> Child {
        let path = self.folder.path();
        let mut words: Vec<OsString> = Vec::new();
        match (ground, self.user) {
            (Ground::Landlock, _) => {
                words.extend(["unshare", "--user", "--map-root-user"].map(Into::into));
            }
            // What is mounted there goes away with the attempt.
            (Ground::Outside, User::Root) => words.extend(["unshare", "--mount"].map(Into::into)),
            (Ground::Outside | Ground::Namespaces, _) => {}
        }
        words.extend(["sh", "-c", PRELUDE, "prelude"].map(Into::into));
        if ground != Ground::Outside {
            words.push(path.join("bin/helper").into());
            words.push(MARK.into());
            words.extend(self.rules().to_args());
        }
        words.push(path.join("bin/attempt").into());
        words.push(attempt.into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("ARENA", path)
            .env("ATTEMPT", path.join("bin/attempt"))
            .current_dir(path.join("nest/desk"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if ground == Ground::Landlock {
            command.env("NO_NAMESPACES", "1");
        }
        if self.user == User::Nobody && geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.spawn().unwrap()
    }

    fn rules(&self) -> Rules {
        let nest = self.folder.path().join("nest");
        let work = nest.join("desk");
        Rules {
            read_only: vec![work.join(".git")],
            absent: vec![work.join(".codex")],
            // As codex-sandbox does for a workspace below a writable folder.
            writable: vec![work, nest],
            network: false,
        }
    }

    /// Everything that an attempt could leave behind where it must not.
    fn traces(&self) -> Vec<String> {
        let path = self.folder.path();
        let mut traces = Vec::new();
        for folder in ["outside", "outside/dir", "nest", "nest/desk/.git"] {
            let Ok(entries) = fs::read_dir(path.join(folder)) else {
                traces.push(format!("{folder} is gone"));
                continue;
            };
            for entry in entries.flatten() {
                let facts = entry.metadata().unwrap();
                let modified = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let is_file = facts.is_file();
                let size = if is_file { facts.len() } else { 0 };
                let time = if is_file {
                    modified
                } else {
                    SystemTime::UNIX_EPOCH
                };
                traces.push(format!(
                    "{:?} {:o} {size} {time:?}",
                    entry.path(),
                    facts.mode()
                ));
            }
        }
        traces.sort();
        let codex = path.join("nest/desk/.codex");
        if codex.join("config.toml").exists() || codex.is_symlink() {
            traces.push("a .codex was made".to_owned());
        }
        let program = path.join("nest/desk/program");
        if program
            .metadata()
            .is_ok_and(|facts| facts.mode() & 0o6000 != 0)
        {
            traces.push("a set-user or set-group program was made".to_owned());
        }
        traces
    }

    /// Whether a listener has heard of it.
    fn received(&self) -> bool {
        let mut buffer = [0_u8; 64];
        self.tcp.set_nonblocking(true).unwrap();
        self.udp.set_nonblocking(true).unwrap();
        self.stream.set_nonblocking(true).unwrap();
        self.datagram.set_nonblocking(true).unwrap();
        self.nameless.set_nonblocking(true).unwrap();
        let datagrams = [self.udp.recv(&mut buffer), self.datagram.recv(&mut buffer)];
        self.tcp.accept().is_ok()
            || self.stream.accept().is_ok()
            || self.nameless.accept().is_ok()
            || datagrams
                .iter()
                .any(|size| matches!(size, Ok(size) if *size == TOKEN.len()))
    }
}

const PROGRAMS: [(&str, &str); 2] = [
    ("helper", env!("CARGO_BIN_EXE_codex-linux-sandbox")),
    ("attempt", env!("CARGO_BIN_EXE_sandbox-attempt")),
];

/// Gives a folder with all in it to a user.
fn give(path: &Path, user: u32) {
    if geteuid().is_root() {
        chown(path, Some(user), Some(user)).unwrap();
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            give(&entry.path(), user);
        }
    }
}

/// Reads both streams to their end; the second channel hears the word `ready`.
fn collect(child: &mut Child) -> (mpsc::Receiver<String>, mpsc::Receiver<()>) {
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (all, said) = mpsc::channel();
    let (ready, is_ready) = mpsc::channel();
    std::thread::spawn(move || {
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            text
        });
        let (mut text, mut piece) = (Vec::new(), [0_u8; 4096]);
        while let Ok(size @ 1..) = stdout.read(&mut piece) {
            text.extend_from_slice(&piece[..size]);
            let _ = ready.send(());
        }
        text.extend(errors.join().unwrap());
        let _ = all.send(String::from_utf8_lossy(&text).into_owned());
    });
    (said, is_ready)
}

/// The process that stands for the command outside: the helper, or without one the command itself.
///
/// Its parent is the shell of the prelude, which is the started process or its only other child.
fn helper_of(child: &Child, ground: Ground) -> Pid {
    let wanted = match ground {
        Ground::Outside => "bin/attempt",
        Ground::Namespaces | Ground::Landlock => "bin/helper",
    };
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let children = fs::read_to_string(children).unwrap();
    let found = children.split_whitespace().find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains(wanted) && !line.contains("victim")
    });
    Pid::from_raw(found.unwrap().parse().unwrap())
}
