//! Whether a command can be held in a sandbox here: one is started that does nothing.

use std::time::{Duration, Instant};

use codex_host::{AbsPath, Env};
use codex_process::{ChildSpec, Exit, ProcessTree};
use codex_protocol::SandboxPolicy;
use codex_sandbox::SandboxType;

use super::report::{Category, Check, Status};

/// The sandbox is set up within milliseconds where it can be.
const LIMIT: Duration = Duration::from_secs(5);
/// The command.
const NOTHING: &str = "true";

/// Tries the strictest sandbox on a command that does nothing.
pub(crate) async fn helpers(env: &Env, cwd: &AbsPath) -> Check {
    let begin = Instant::now();
    let check = Check::new("sandbox.helpers", Category::Environment);
    let mut check = match tried(env, cwd).await {
        Ok(Held::By(kind)) => check.ok(match kind {
            SandboxType::Linux => "namespaces, Landlock and seccomp hold a command",
            SandboxType::Seatbelt => "sandbox-exec holds a command",
            SandboxType::None => "a command is held by nothing",
        }),
        Ok(Held::WithoutNamespaces(told)) => check
            .status(Status::Warning, "Landlock and seccomp alone hold a command: no namespaces")
            .detail("helper", told)
            .remedy("let this user make user namespaces, or see in docs/sandbox.md what does not hold without them"),
        Err(why) => check
            .status(Status::Warning, format!("no command can be held: {why}"))
            .remedy("commands of the model and servers with `sandbox` do not start here; see docs/sandbox.md"),
    };
    check.took = begin.elapsed();
    check
}

/// What held the command.
enum Held {
    By(SandboxType),
    /// The weaker ground of Linux, in the words of the helper.
    WithoutNamespaces(String),
}

async fn tried(env: &Env, cwd: &AbsPath) -> Result<Held, String> {
    let policy = SandboxPolicy::ReadOnly {
        network_access: false,
    };
    let plan = codex_sandbox::plan(&policy, cwd.as_path(), env);
    let mut plan = plan.map_err(|error| error.to_string())?;
    plan.tell_ground();
    let spec = ChildSpec::new(NOTHING, env.clone(), cwd.as_path());
    let spec = plan.wrap(spec).map_err(|error| error.to_string())?;
    let mut child = ProcessTree::spawn(&spec).map_err(|error| error.to_string())?;
    drop(child.stdin.take());
    match tokio::time::timeout(LIMIT, child.exited()).await {
        Ok(Exit::Code(0)) => {
            let told = child.stderr_tail().text;
            let mut lines = told.lines();
            let weaker = lines.find(|line| line.contains(codex_linux_sandbox::WITHOUT_NAMESPACES));
            Ok(match weaker {
                Some(line) => Held::WithoutNamespaces(line.to_owned()),
                None => Held::By(plan.sandbox()),
            })
        }
        Ok(exit) => {
            let tail = child.stderr_tail().text;
            Err(match tail.trim().lines().last() {
                Some(line) => line.to_owned(),
                None => exit.to_string(),
            })
        }
        Err(_) => {
            child.kill().await;
            Err(format!("it was not ready within {LIMIT:?}"))
        }
    }
}
