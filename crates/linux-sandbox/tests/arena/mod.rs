//! Where one attempt happens: files, listeners and a process outside of the sandbox, and the verdict.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use codex_linux_sandbox::{MARK, Rules};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid, ttyname};

const NOBODY: u32 = 65534;
/// A group that neither root nor nobody has.
const FOREIGN_GROUP: u32 = 1;
const TOKEN: &[u8] = b"escaped";
const UNTOUCHED: &str = "untouched";
const LIMIT: Duration = Duration::from_secs(60);
/// How long the kernel may take to end what is left of a command.
const GONE_LIMIT: Duration = Duration::from_secs(10);

/// Starts the victim and opens descriptor 9, in the same namespace as the sandbox is started from.
const PRELUDE: &str = r#"
[ "$NO_NAMESPACES" ] && echo 0 > /proc/sys/user/max_user_namespaces
VICTIMS_SECRET=untouched "$ATTEMPT" victim "$ARENA" > /dev/null 2>&1 &
VICTIM=$!; export VICTIM
until [ -e "$ARENA/victim.ready" ]; do sleep 0.01; done
exec 9>> "$ARENA/outside/secret"
"$@" < "$ARENA/outside/secret"
code=$?
kill $VICTIM; kill -CONT $VICTIM; wait $VICTIM
exit $code
"#;

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    Nobody,
    /// Root of a user namespace in which no other can be made.
    ContainerRoot,
}

/// What holds the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    Outside,
    Namespaces,
    Landlock,
}

/// One column of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) ground: Ground,
    pub(crate) user: User,
    pub(crate) has_network: bool,
}

impl Way {
    /// With root and nobody when we are root, else only with whom we are.
    pub(crate) fn that_can_be_tried() -> Vec<Self> {
        let users = match geteuid().is_root() {
            true => vec![User::Root, User::Nobody],
            false => vec![User::Nobody],
        };
        let grounds = [
            (Ground::Outside, true),
            (Ground::Namespaces, false),
            (Ground::Namespaces, true),
            (Ground::Landlock, false),
            (Ground::Landlock, true),
        ];
        let mut ways = Vec::new();
        for (ground, has_network) in grounds {
            let is_alone = ground == Ground::Landlock && !has_network;
            let container = is_alone.then_some(User::ContainerRoot);
            for user in users.iter().copied().chain(container) {
                ways.push(Self {
                    ground,
                    user,
                    has_network,
                });
            }
        }
        ways
    }

    pub(crate) fn name(&self) -> String {
        let ground = match (self.ground, self.has_network) {
            (Ground::Outside, _) => "outside",
            (Ground::Namespaces, false) => "ns",
            (Ground::Namespaces, true) => "ns+net",
            (Ground::Landlock, false) => "ll",
            (Ground::Landlock, true) => "ll+net",
        };
        let user = match self.user {
            User::Root => "root",
            User::Nobody => "user",
            User::ContainerRoot => "container",
        };
        format!("{ground}/{user}")
    }
}

impl User {
    fn id(self) -> u32 {
        match self {
            Self::Nobody if geteuid().is_root() => NOBODY,
            Self::Root | Self::Nobody | Self::ContainerRoot => geteuid().as_raw(),
        }
    }
}

/// The programs of the suite where every user can run them.
pub(crate) struct Programs(tempfile::TempDir);

impl Programs {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open_to = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        open_to(folder.path(), 0o755);
        for (name, program) in PROGRAMS {
            fs::copy(program, folder.path().join(name)).unwrap();
        }
        // They belong to who can do more.
        if geteuid().is_root() {
            chown(folder.path().join("sgid"), None, Some(FOREIGN_GROUP)).unwrap();
        }
        open_to(&folder.path().join("suid"), 0o4755);
        open_to(&folder.path().join("sgid"), 0o2755);
        Self(folder)
    }

    /// Returns the names of all attempts.
    pub(crate) fn attempts(&self) -> Vec<String> {
        let listed = Command::new(self.path("attempt")).arg("list").output();
        let names = String::from_utf8(listed.unwrap().stdout).unwrap();
        names.lines().map(str::to_owned).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

const PROGRAMS: [(&str, &str); 4] = [
    ("helper", env!("CARGO_BIN_EXE_codex-linux-sandbox")),
    ("attempt", env!("CARGO_BIN_EXE_sandbox-attempt")),
    ("suid", env!("CARGO_BIN_EXE_sandbox-attempt")),
    ("sgid", env!("CARGO_BIN_EXE_sandbox-attempt")),
];

pub(crate) struct Arena<'a> {
    programs: &'a Programs,
    folder: tempfile::TempDir,
    way: Way,
    /// Both ends, and its name.
    terminal: (OpenptyResult, PathBuf),
    tcp: TcpListener,
    udp: UdpSocket,
    stream: UnixListener,
    datagram: UnixDatagram,
    nameless: UnixListener,
    nameless_datagram: UnixDatagram,
}

impl<'a> Arena<'a> {
    pub(crate) fn new(programs: &'a Programs, way: Way) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["outside/dir", "nest/desk/.git"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        fs::write(path.join("outside/secret"), UNTOUCHED).unwrap();
        fs::write(path.join("nest/desk/.git/config"), UNTOUCHED).unwrap();
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
        let name = path.join("datagram");
        let name = name.as_os_str().as_encoded_bytes();
        fs::write(path.join("abstract-datagram.name"), name).unwrap();
        let name = SocketAddr::from_abstract_name(name).unwrap();
        let nameless_datagram = UnixDatagram::bind_addr(&name).unwrap();
        give(path, way.user.id());
        let terminal = openpty(None, None).unwrap();
        let name = ttyname(&terminal.slave).unwrap();
        Self {
            programs,
            folder,
            way,
            terminal: (terminal, name),
            tcp,
            udp,
            stream,
            datagram,
            nameless,
            nameless_datagram,
        }
    }

    /// Runs an attempt and says whether it succeeded.
    pub(crate) fn run(self, attempt: &str) -> bool {
        let before = self.traces();
        let mut child = self.start(attempt);
        let (said, is_ready) = collect(&mut child);
        if attempt == "outlive the killed helper" {
            is_ready.recv_timeout(LIMIT).unwrap();
            kill(self.helper_of(&child), Signal::SIGKILL).unwrap();
        }
        let Ok(said) = said.recv_timeout(LIMIT) else {
            self.clean();
            let group = Pid::from_raw(child.id().cast_signed());
            let _ = killpg(group, Signal::SIGKILL);
            panic!("`{attempt}` hangs ({})", self.way.name());
        };
        let status = child.wait().unwrap();
        let has_stayed = self.has_stayed();
        self.clean();
        assert!(!said.contains("no such attempt"), "{said}");
        if self.way.ground == Ground::Landlock {
            assert!(said.contains("no namespaces here"), "{attempt}: {said}");
        }
        assert!(!said.contains("cannot be made"), "{attempt}: {said}");
        status.success() || has_stayed || self.traces() != before || self.received()
    }

    fn start(&self, attempt: &str) -> Child {
        let (path, Way { ground, user, .. }) = (self.folder.path(), self.way);
        let id = user.id().to_string();
        let mut words: Vec<OsString> = Vec::new();
        let mut say = |more: &[&str]| words.extend(more.iter().map(Into::into));
        // What is mounted there goes away with the attempt.
        if user == User::Root && ground != Ground::Namespaces {
            say(&["unshare", "--mount"]);
        }
        let is_filtered = ground == Ground::Landlock && user != User::ContainerRoot;
        if is_filtered {
            let program = self.programs.path("attempt");
            say(&[program.to_str().unwrap(), "without namespaces", &id]);
        }
        if user == User::ContainerRoot {
            say(&["unshare", "--user", "--map-root-user"]);
        }
        say(&["sh", "-c", PRELUDE, "prelude"]);
        if ground != Ground::Outside {
            words.push(self.programs.path("helper").into());
            words.push(MARK.into());
            words.extend(self.rules().to_args());
        }
        words.push(self.programs.path("attempt").into());
        words.extend([attempt.into(), path.into()]);
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("ARENA", path)
            .env("ATTEMPT", self.programs.path("attempt"))
            .env("TERMINAL", &self.terminal.1)
            .env("PROGRAMS", self.programs.0.path())
            .current_dir(path.join("nest/desk"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if user == User::ContainerRoot {
            command.env("NO_NAMESPACES", "1");
        }
        // The filter comes before the change of the user.
        if user == User::Nobody && geteuid().is_root() && !is_filtered {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.spawn().unwrap()
    }

    /// Whether somebody has stayed who should have ended with the command.
    fn has_stayed(&self) -> bool {
        if self.way.ground == Ground::Outside {
            return !self.living().is_empty();
        }
        let begun = Instant::now();
        while !self.living().is_empty() {
            if begun.elapsed() > GONE_LIMIT {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// The processes of the attempt, its victim left out.
    fn living(&self) -> Vec<Pid> {
        self.processes("attempt", |name| name != "victim")
    }

    /// The processes of a program whose words name this arena. Zombies have no words any more.
    fn processes(&self, program: &str, is_meant: impl Fn(&str) -> bool) -> Vec<Pid> {
        let program = self.programs.path(program);
        let arena = self.folder.path().to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let found = processes.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let mut words = line.split_terminator('\0');
            let is_it = Path::new(words.next()?) == program && is_meant(words.next()?);
            (is_it && words.any(|word| word == arena)).then_some(Pid::from_raw(pid))
        });
        found.collect()
    }

    /// Ends whoever is left, the victim in its own way.
    fn clean(&self) {
        let begun = Instant::now();
        loop {
            let others = self.living();
            let victims = self.processes("attempt", |name| name == "victim");
            if others.is_empty() && victims.is_empty() {
                return;
            }
            assert!(begun.elapsed() < GONE_LIMIT, "{others:?} {victims:?} stay");
            for process in others {
                let _ = kill(process, Signal::SIGKILL);
            }
            for process in victims {
                let _ = kill(process, Signal::SIGTERM);
                let _ = kill(process, Signal::SIGCONT);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The process that stands for the command outside: the helper, or without one the command.
    fn helper_of(&self, child: &Child) -> Pid {
        let found = match self.way.ground {
            Ground::Outside => self.living(),
            Ground::Namespaces | Ground::Landlock => self.processes("helper", |word| word == MARK),
        };
        // Its halves and children have the same words; its parent is the shell of the prelude.
        let shell = child.id().to_string();
        let mut found = found.into_iter();
        let of_the_shell = found.find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
            parent.is_some_and(|parent| parent.trim() == shell)
        });
        of_the_shell.unwrap()
    }

    fn rules(&self) -> Rules {
        let nest = self.folder.path().join("nest");
        let work = nest.join("desk");
        Rules {
            read_only: vec![work.join(".git")],
            absent: vec![work.join(".codex")],
            // As codex-sandbox does for a workspace below a writable folder.
            writable: vec![work, nest],
            network: self.way.has_network,
            tell_ground: false,
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
        self.nameless_datagram.set_nonblocking(true).unwrap();
        let datagrams = [
            self.udp.recv(&mut buffer),
            self.datagram.recv(&mut buffer),
            self.nameless_datagram.recv(&mut buffer),
        ];
        self.tcp.accept().is_ok()
            || self.stream.accept().is_ok()
            || self.nameless.accept().is_ok()
            || datagrams
                .iter()
                .any(|size| matches!(size, Ok(size) if *size == TOKEN.len()))
    }
}

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
