//! Becoming another program instead of starting it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::{ChildSpec, SpawnError};

/// Replaces this process by a program. Returns only when that failed.
///
/// Descriptors, terminal and process id stay. No thread but this one may have work to finish.
pub fn replace_process(spec: &ChildSpec) -> SpawnError {
    let program = match spec.find_program() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let error = Command::new(&program)
        .arg0(&spec.program)
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter_os())
        .current_dir(&spec.cwd)
        .exec();
    SpawnError::from_os(program, error)
}
