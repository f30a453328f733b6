//! Where two commands meet: folders, and the ways in which a command is held.
//!
//! ```text
//! outside/deep         what must stay as it is
//! nest/mid/desk/deep   what may be written
//! bin/                 the helper, and the script that stands for it
//! ```

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use codex_host::Env;
use codex_process::{ChildSpec, Session, Terminal};
use codex_protocol::{SandboxPolicy, WorkspaceWrite};
use codex_sandbox::{SandboxError, SpawnPlan};
use codex_test_support::{sandbox_helper, starting_parent};
use tokio::runtime::Runtime;

const LIMIT: Duration = Duration::from_secs(30);
const NOBODY: u32 = 65534;
/// As in containers: no further user namespace can be made.
const WITHOUT_NAMESPACES: &str = "unshare --user --map-root-user sh -c \
    'echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"' sh ";
const AS_NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups ";

/// One column of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    ground: Ground,
    is_nobody: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    Outside,
    Namespaces,
    Landlock,
}

impl Way {
    pub(crate) fn that_can_be_tried() -> Vec<Self> {
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let users: &[bool] = if is_root { &[false, true] } else { &[false] };
        let mut ways = Vec::new();
        for ground in [Ground::Outside, Ground::Namespaces, Ground::Landlock] {
            ways.extend(users.iter().map(|&is_nobody| Self { ground, is_nobody }));
        }
        ways
    }

    pub(crate) fn name(&self) -> String {
        let user = match self.is_nobody {
            true => "nobody",
            false => "self",
        };
        format!("{:?}/{user}", self.ground).to_lowercase()
    }

    pub(crate) fn is_sandbox(&self) -> bool {
        self.ground != Ground::Outside
    }
}

pub(crate) struct Stage<'a> {
    runtime: &'a Runtime,
    folder: tempfile::TempDir,
    way: Way,
    before: Vec<String>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(runtime: &'a Runtime, way: Way) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        for name in ["outside/deep", "nest/mid/desk/deep", "bin"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        fs::copy(sandbox_helper(), path.join("bin/helper")).unwrap();
        let mut script = "#!/bin/sh\nexec ".to_owned();
        if way.is_nobody {
            script.push_str(AS_NOBODY);
        }
        if way.ground == Ground::Landlock {
            script.push_str(WITHOUT_NAMESPACES);
        }
        script.push_str(&format!("{} \"$@\"\n", path.join("bin/helper").display()));
        let front = path.join("bin/front");
        fs::write(&front, script).unwrap();
        fs::set_permissions(&front, fs::Permissions::from_mode(0o755)).unwrap();
        if way.is_nobody {
            give(&path);
        }
        let mut stage = Self {
            runtime,
            folder,
            way,
            before: Vec::new(),
        };
        stage.before = stage.traces();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Plans a command with a directory below `nest` and further roots below the stage.
    pub(crate) fn command(&self, cwd: &str, roots: &[&str], script: &str) -> Command<'_> {
        let mut command = Command {
            stage: self,
            cwd: self.path("nest").join(cwd),
            roots: roots.iter().map(|root| self.path(root)).collect(),
            script: script.to_owned(),
            variable: None,
            plan: None,
        };
        command.make_plan();
        command
    }

    /// Whether anything outside is not what it was.
    pub(crate) fn is_touched(&self) -> bool {
        self.traces() != self.before
    }

    /// The times of directories tell what was made there and taken away again.
    fn traces(&self) -> Vec<String> {
        let mut traces = Vec::new();
        for name in ["outside", "outside/deep"] {
            let folder = self.path(name);
            let facts = folder.metadata().unwrap();
            traces.push(format!("{name} {} {}", facts.mtime(), facts.mtime_nsec()));
            let entries = fs::read_dir(folder).unwrap().flatten();
            traces.extend(entries.map(|entry| format!("{:?}", entry.path())));
        }
        traces.sort();
        traces
    }

    pub(crate) fn wait_for(&self, session: &Session, text: &str) {
        self.limited(async {
            while !session.output().text().contains(text) {
                assert!(session.try_exit().is_none(), "{}", session.output().text());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }

    fn limited<T>(&self, future: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(LIMIT, future).await.unwrap() };
        self.runtime.block_on(limited)
    }

    /// Ends what an attempt without a sandbox has left: it is found by its directory.
    pub(crate) fn end_daemons(&self) {
        let home = self.path("");
        let is_ours = |process: &Path| {
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&home))
        };
        let begun = Instant::now();
        loop {
            let processes = fs::read_dir("/proc").unwrap().flatten();
            let ours: Vec<_> = processes.filter(|entry| is_ours(&entry.path())).collect();
            if ours.is_empty() {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{ours:?} stay");
            for process in ours {
                let pid = process.file_name();
                let mut kill = std::process::Command::new("kill");
                let _ = kill
                    .arg("-9")
                    .arg(pid)
                    .stderr(std::process::Stdio::null())
                    .status();
            }
        }
    }

    /// Codex on a terminal starts a command that writes to it.
    pub(crate) fn writes_to_the_terminal(&self) -> bool {
        let command = self.command("", &[], "echo TAKEN > /dev/tty");
        let session = match self.way.ground {
            Ground::Outside => Session::spawn(&command.spec(), Terminal::Own).unwrap(),
            Ground::Namespaces | Ground::Landlock => {
                let spec = command.wrapped().unwrap();
                let quoted = std::iter::once(&spec.program)
                    .chain(&spec.args)
                    .map(|word| {
                        let word = word.to_str().unwrap().replace('\'', "'\\''");
                        format!("'{word}'")
                    });
                let line = quoted.collect::<Vec<_>>().join(" ");
                let parent = ChildSpec::new(starting_parent(), spec.env, self.path("nest"));
                Session::spawn(&parent.args([line]), Terminal::Own).unwrap()
            }
        };
        self.limited(session.ended());
        session.output().text().contains("TAKEN")
    }
}

/// A command, and the plan that was made for it.
pub(crate) struct Command<'a> {
    stage: &'a Stage<'a>,
    cwd: PathBuf,
    roots: Vec<PathBuf>,
    script: String,
    /// One more, which names a folder.
    variable: Option<(&'static str, PathBuf)>,
    plan: Option<Result<SpawnPlan, SandboxError>>,
}

impl Command<'_> {
    /// Lets a variable name a folder of the stage.
    pub(crate) fn with(mut self, variable: &'static str, name: &str) -> Self {
        self.variable = Some((variable, self.stage.path(name)));
        self.make_plan();
        self
    }

    fn make_plan(&mut self) {
        let policy = match self.stage.way.ground {
            Ground::Outside => SandboxPolicy::DangerFullAccess,
            Ground::Namespaces | Ground::Landlock => {
                let mut workspace = WorkspaceWrite::default();
                workspace.writable_roots.clone_from(&self.roots);
                workspace.exclude_slash_tmp = true;
                SandboxPolicy::WorkspaceWrite(workspace)
            }
        };
        let plan = codex_sandbox::plan(&policy, &self.cwd, &self.env());
        let front = self.stage.path("bin/front");
        self.plan = Some(plan.map(|plan| plan.with_helper(&front)));
    }

    fn env(&self) -> Env {
        let mut pairs = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        if let Some((variable, folder)) = &self.variable {
            pairs.push(((*variable).to_owned(), folder.display().to_string()));
        }
        Env::from_pairs(pairs)
    }

    fn spec(&self) -> ChildSpec {
        let mut words: Vec<&str> = vec!["sh", "-c", &self.script];
        if self.stage.way.is_nobody && !self.stage.way.is_sandbox() {
            words.splice(0..0, AS_NOBODY.split_whitespace());
        }
        ChildSpec::new(words[0], self.env(), &self.cwd).args(&words[1..])
    }

    /// `None` when it was not even planned.
    fn wrapped(&self) -> Option<ChildSpec> {
        let plan = self.plan.as_ref()?.as_ref().ok()?;
        Some(plan.wrap(self.spec()).unwrap())
    }

    pub(crate) fn start(&self) -> Session {
        Session::spawn(&self.wrapped().unwrap(), Terminal::Absent).unwrap()
    }

    pub(crate) fn run(&self) {
        let Some(spec) = self.wrapped() else {
            return;
        };
        // The directory may be gone by now.
        if let Ok(session) = Session::spawn(&spec, Terminal::Absent) {
            self.stage.limited(session.ended());
        }
    }
}

fn give(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            give(&entry.path());
        }
    }
}
