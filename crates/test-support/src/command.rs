//! One run of `codex` (or of another program), from a clean environment to a snapshot.
//!
//! The child leads a process group of its own, and every wait has a limit: what a test forgets is
//! killed, grandchildren included.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::home::TestHome;
use crate::secrets::{self, Before};

mod filters;

const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

/// A command that was not started yet.
#[derive(Debug)]
pub struct CodexCommand {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    stdin: Vec<u8>,
    stdin_open: bool,
    limit: Duration,
    places: Vec<(String, &'static str)>,
    codex_home: PathBuf,
    /// Whether what it leaves behind is searched for secrets.
    may_show_secrets: bool,
    etc: Option<PathBuf>,
}

impl CodexCommand {
    pub(crate) fn new<I>(program: PathBuf, args: I, home: &TestHome) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let place = |path: PathBuf| path.to_string_lossy().into_owned();
        Self {
            program,
            args: args
                .into_iter()
                .map(|arg| arg.as_ref().to_owned())
                .collect(),
            env: home
                .env_pairs()
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            cwd: home.cwd(),
            stdin: Vec::new(),
            stdin_open: false,
            limit: DEFAULT_LIMIT,
            codex_home: home.codex_home(),
            may_show_secrets: true,
            // The longer path first, for the base is a prefix of the others.
            places: vec![
                (place(home.codex_home()), "[CODEX_HOME]"),
                (place(home.home()), "[HOME]"),
                (place(home.cwd()), "[CWD]"),
                (place(home.path().to_owned()), "[TEMP]"),
            ],
            etc: Some(home.etc()).filter(|etc| etc.exists()),
        }
    }

    /// Fails the test when the run shows a secret or leaves one outside the stores; every `codex` is
    /// run so.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.may_show_secrets = false;
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Sets a variable of this run.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Takes a variable away from this run.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// Runs in another folder.
    pub fn current_dir(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = cwd.into();
        self
    }

    /// Gives the child this text on stdin; without it stdin is empty.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Leaves stdin open after the text, as a terminal or a waiting pipe would.
    pub fn stdin_stays_open(mut self) -> Self {
        self.stdin_open = true;
        self
    }

    /// Sets the time limit, 60 seconds at first.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs to the end; panics with the output so far when the limit passes.
    pub fn run(self) -> CommandOutput {
        self.spawn().wait()
    }

    /// Starts the command, for tests that send signals or read while it runs.
    pub fn spawn(self) -> RunningCodex {
        secrets::learn_from_stores(&self.codex_home);
        let before = Before::look(&self.codex_home);
        let mut command = match &self.etc {
            Some(etc) => crate::private_etc::enter(etc, &self.program),
            None => Command::new(&self.program),
        };
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.cwd)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let wants_pipe = self.stdin_open || !self.stdin.is_empty();
        command.stdin(if wants_pipe {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        let mut child = command
            .spawn()
            .unwrap_or_else(|why| panic!("cannot start {}: {why}", self.program.display()));
        let stdin = child.stdin.take().map(|mut pipe| {
            let (text, stays_open) = (self.stdin.clone(), self.stdin_open);
            std::thread::spawn(move || {
                // A child that ended early closes the pipe; its exit code tells the story.
                let _ = pipe.write_all(&text);
                stays_open.then_some(pipe)
            })
        });
        let stdout = Collector::start(child.stdout.take().expect("stdout is piped"));
        let stderr = Collector::start(child.stderr.take().expect("stderr is piped"));
        RunningCodex {
            child,
            stdin,
            stdout,
            stderr,
            command: self,
            started: Instant::now(),
            before,
        }
    }
}

/// A command that runs. Dropping it kills its process group.
#[derive(Debug)]
pub struct RunningCodex {
    child: Child,
    stdin: Option<JoinHandle<Option<std::process::ChildStdin>>>,
    stdout: Collector,
    stderr: Collector,
    command: CodexCommand,
    started: Instant,
    before: Before,
}

impl RunningCodex {
    /// Returns the process id, which is the id of its process group too.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGINT, as Ctrl-C does, to the process alone.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGTERM to the process alone.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGHUP to the process alone.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends SIGKILL to the process alone: its children are what the test is about.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Blocks until stdout holds this text, and returns stdout so far; panics after the limit.
    pub fn wait_for_stdout(&self, needle: &str) -> String {
        self.wait_for(&self.stdout, needle)
    }

    /// Blocks until stderr holds this text, and returns stderr so far; panics after the limit.
    pub fn wait_for_stderr(&self, needle: &str) -> String {
        self.wait_for(&self.stderr, needle)
    }

    /// Types a line; for a command whose stdin stays open.
    pub fn type_line(&mut self, line: &str) {
        let writer = self.stdin.take().expect("stdin stays open");
        let pipe = writer.join().expect("the writer does not panic");
        let mut pipe = pipe.expect("stdin stays open");
        let line = format!("{line}\n");
        self.stdin = Some(std::thread::spawn(move || {
            // As above: the exit code tells the story.
            let _ = pipe.write_all(line.as_bytes());
            Some(pipe)
        }));
    }

    /// Closes stdin, when all that was typed is read; for a command whose stdin stays open.
    #[must_use]
    pub fn close_stdin(mut self) -> Self {
        if let Some(writer) = self.stdin.take() {
            drop(writer.join());
        }
        self
    }

    /// Stops reading: closes our end of the child's stdout, as `codex … | head -1` does.
    ///
    /// Takes effect at the child's next write, for a read of ours may be under way.
    pub fn stop_reading(&self) {
        self.stdout.shared.0.lock().expect("no holder panics").stop = true;
    }

    /// Waits for the end; panics with the output so far when the limit passes.
    pub fn wait(mut self) -> CommandOutput {
        let deadline = self.started + self.command.limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            if Instant::now() >= deadline {
                let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
                panic!(
                    "{:?} did not end within {:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
                    self.command.args, self.command.limit
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let duration = self.started.elapsed();
        // A grandchild may hold the pipes; what it writes after the end is not waited for.
        let grace = Instant::now() + Duration::from_secs(2);
        self.stdout.wait_until(grace, |state| state.ended);
        self.stderr.wait_until(grace, |state| state.ended);
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        if !self.command.may_show_secrets {
            let (what, home) = (format!("{:?}", self.command.args), &self.command.codex_home);
            secrets::learn_from_stores(home);
            secrets::assert_none(&what, home, &self.before, &[&stdout, &stderr]);
        }
        CommandOutput {
            status,
            stdout,
            stderr,
            duration,
            places: self.command.places.clone(),
        }
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process(pid_of(&self.child), signal);
    }

    fn wait_for(&self, stream: &Collector, needle: &str) -> String {
        let deadline = self.started + self.command.limit;
        let found = stream.wait_until(deadline, |state| {
            state.ended || String::from_utf8_lossy(&state.bytes).contains(needle)
        });
        let text = stream.text();
        if !(found && text.contains(needle)) {
            let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
            panic!("no `{needle}` came\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
        }
        text
    }
}

impl Drop for RunningCodex {
    fn drop(&mut self) {
        let _ = kill_process_group(pid_of(&self.child), Signal::KILL);
        let _ = self.child.wait();
        if let Some(stdin) = self.stdin.take()
            && stdin.is_finished()
        {
            let _ = stdin.join();
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// What a run left behind; its `Display` is the snapshot.
#[derive(Debug, Clone)]
pub struct CommandOutput {
    status: ExitStatus,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// From start to end.
    pub duration: Duration,
    places: Vec<(String, &'static str)>,
}

impl CommandOutput {
    /// Returns the exit code; `None` when a signal ended it.
    pub fn exit(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns the signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Panics with the whole output unless the exit code is 0.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "failed:\n{self}");
        self
    }

    /// Returns stdout as JSON Lines; panics when a line is not JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| {
            serde_json::from_str(line).unwrap_or_else(|why| panic!("not JSON ({why}): {line}"))
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Returns all of stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("not JSON ({why}):\n{self}"))
    }

    /// Returns stdout with places, ports, ids and times replaced.
    pub fn filtered_stdout(&self) -> String {
        filters::apply(&self.stdout, &self.places)
    }

    /// Returns stderr with places, ports, ids and times replaced.
    pub fn filtered_stderr(&self) -> String {
        filters::apply(&self.stderr, &self.places)
    }
}

/// stdout, then `[stderr]` with stderr when there is any, then `[exit N]` or `[signal N]`.
impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.filtered_stdout();
        end_line(&mut text);
        if !self.stderr.is_empty() {
            text.push_str("[stderr]\n");
            text.push_str(&self.filtered_stderr());
            end_line(&mut text);
        }
        f.write_str(&text)?;
        match (self.exit(), self.signal()) {
            (Some(code), _) => write!(f, "[exit {code}]"),
            (None, Some(signal)) => write!(f, "[signal {signal}]"),
            (None, None) => write!(f, "[{}]", self.status),
        }
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Reads one stream to its end on a thread.
#[derive(Debug)]
struct Collector {
    shared: Arc<(Mutex<Collected>, Condvar)>,
}

#[derive(Debug, Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
    stop: bool,
}

impl Collector {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Collected::default()), Condvar::new()));
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let n_bytes = stream.read(&mut buffer).unwrap_or(0);
                let mut state = writer.0.lock().expect("no holder panics");
                state.bytes.extend_from_slice(&buffer[..n_bytes]);
                state.ended = n_bytes == 0 || state.stop;
                writer.1.notify_all();
                if state.ended {
                    break;
                }
            }
        });
        Self { shared }
    }

    fn text(&self) -> String {
        let state = self.shared.0.lock().expect("no holder panics");
        String::from_utf8_lossy(&state.bytes).into_owned()
    }

    fn wait_until(&self, deadline: Instant, done: impl Fn(&Collected) -> bool) -> bool {
        let limit = deadline.saturating_duration_since(Instant::now());
        let state = self.shared.0.lock().expect("no holder panics");
        let (_state, wait) = self
            .shared
            .1
            .wait_timeout_while(state, limit, |state| !done(state))
            .expect("no holder panics");
        !wait.timed_out()
    }
}

#[cfg(test)]
mod tests;
