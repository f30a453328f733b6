//! The plan: which program stands in front of the command, with which words.

use std::ffi::OsString;
use std::path::Path;

use codex_host::Env;
use codex_process::{ChildSpec, SpawnError};
use codex_protocol::SandboxPolicy;

use crate::SandboxError;
use crate::access::{self, Access};

/// Told to commands that cannot use the network, as the reference does.
const NETWORK_DISABLED: (&str, &str) = ("CODEX_SANDBOX_NETWORK_DISABLED", "1");

/// What holds a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxType {
    /// Nothing does: the policy is full access.
    None,
    /// Namespaces, Landlock and seccomp.
    Linux,
    /// `sandbox-exec`.
    Seatbelt,
}

/// How to start programs under one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnPlan {
    sandbox: SandboxType,
    /// The words in front of the command, none without sandbox.
    front: Vec<OsString>,
    network: bool,
}

/// Makes the plan of a policy.
///
/// `env` is the environment of this process: it names the temporary directory and our home.
pub fn plan(policy: &SandboxPolicy, cwd: &Path, env: &Env) -> Result<SpawnPlan, SandboxError> {
    let Some(access) = access::of_policy(policy, cwd, env)? else {
        return Ok(SpawnPlan {
            sandbox: SandboxType::None,
            front: Vec::new(),
            network: true,
        });
    };
    let network = access.network;
    let (sandbox, front) = front(access)?;
    Ok(SpawnPlan {
        sandbox,
        front,
        network,
    })
}

impl SpawnPlan {
    /// Returns what holds the command.
    pub fn sandbox(&self) -> SandboxType {
        self.sandbox
    }

    /// Replaces the program that stands in front, for processes that are not `codex` themselves.
    #[must_use]
    pub fn with_helper(mut self, helper: &Path) -> Self {
        if let Some(program) = self.front.first_mut() {
            *program = helper.into();
        }
        self
    }

    /// Lets the helper of Linux tell on its stderr that there are no namespaces, also where nothing may
    /// be written and it would say nothing.
    pub fn tell_ground(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(double_dash) = self.front.len().checked_sub(1) {
            let word = codex_linux_sandbox::TELL_GROUND.into();
            self.front.insert(double_dash, word);
        }
    }

    /// Puts a command behind the sandbox.
    ///
    /// A program that cannot be found is an error here, as it is without sandbox.
    pub fn wrap(&self, spec: ChildSpec) -> Result<ChildSpec, SpawnError> {
        let Some((program, words)) = self.front.split_first() else {
            return Ok(spec);
        };
        spec.find_program()?;
        let mut env: Vec<(OsString, OsString)> = spec
            .env
            .iter_os()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if !self.network {
            env.push((NETWORK_DISABLED.0.into(), NETWORK_DISABLED.1.into()));
        }
        if self.sandbox == SandboxType::Seatbelt {
            env.push(("CODEX_SANDBOX".into(), "seatbelt".into()));
        }
        let mut args = words.to_vec();
        args.push(spec.program);
        args.extend(spec.args);
        Ok(ChildSpec {
            program: program.clone(),
            args,
            env: Env::from_pairs(env),
            cwd: spec.cwd,
        })
    }
}

#[cfg(target_os = "linux")]
fn front(access: Access) -> Result<(SandboxType, Vec<OsString>), SandboxError> {
    let rules = codex_linux_sandbox::Rules {
        writable: access.writable,
        read_only: access.read_only,
        absent: access.absent,
        network: access.network,
        tell_ground: false,
    };
    // This very program, also when an update has replaced its file.
    let mut front = vec!["/proc/self/exe".into(), codex_linux_sandbox::MARK.into()];
    front.extend(rules.to_args());
    Ok((SandboxType::Linux, front))
}

#[cfg(target_os = "macos")]
fn front(access: Access) -> Result<(SandboxType, Vec<OsString>), SandboxError> {
    Ok((SandboxType::Seatbelt, crate::seatbelt::front(&access)))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn front(_access: Access) -> Result<(SandboxType, Vec<OsString>), SandboxError> {
    Err(SandboxError::NotAvailable {
        system: std::env::consts::OS,
    })
}
