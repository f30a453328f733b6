//! `codex sandbox` on Windows, where the feature asks for it. What it does not hold it says each time.

use codex_config::Feature;
use codex_process::ChildSpec;
use codex_protocol::SandboxPolicy;
use codex_runtime::Loaded;
use codex_windows_sandbox::Request;

use super::not_started;
use crate::error::CliError;

/// As on other systems: the sandbox could not be made, and nothing was started.
const REFUSED: u8 = 125;

pub(super) fn is_asked_for(loaded: &Loaded) -> bool {
    let feature = Feature::ExperimentalWindowsSandbox;
    loaded.config.features.enabled(feature)
}

pub(super) fn run(spec: &ChildSpec, policy: &SandboxPolicy) -> Result<u8, CliError> {
    let rules = codex_sandbox::windows_rules(policy, &spec.cwd, &spec.env);
    let rules = rules.map_err(|error| CliError::chain(&error, &error.hints()))?;
    let Some(rules) = rules else {
        return super::become_command(spec);
    };
    crate::say(match rules.network {
        true => "warning: the Windows sandbox is experimental and has never been run by its makers",
        false => {
            "warning: the Windows sandbox is experimental and has never been run by its makers; \
             it asks programs to stay off the network, and cannot hold them"
        }
    })?;
    let program = spec.find_program().map_err(not_started)?;
    let words = std::iter::once(program.into_os_string()).chain(spec.args.iter().cloned());
    let variables = spec.env.iter_os();
    let request = Request {
        rules,
        command: words.collect(),
        cwd: spec.cwd.clone(),
        env: variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        time_limit: None,
    };
    let code = codex_windows_sandbox::run_windows_sandbox(&request);
    let code = code.map_err(|error| CliError::chain(&error, &[]).and_code(REFUSED))?;
    // This side of the command line knows codes of one byte only.
    Ok(u8::try_from(code).unwrap_or(1))
}
