//! What to start: the program, its words, its whole environment, its directory.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use codex_host::Env;

/// A program to start. Nothing is added to it: the environment is complete.
#[derive(Clone)]
pub struct ChildSpec {
    /// A path, or a name that is looked up on the `PATH` of `env`. A relative path with a slash
    /// counts from `cwd`.
    pub program: OsString,
    /// The arguments without the program's name.
    pub args: Vec<OsString>,
    /// The whole environment of the child.
    pub env: Env,
    /// The directory in which it starts.
    pub cwd: PathBuf,
}

impl ChildSpec {
    /// Makes a spec without arguments.
    pub fn new(program: impl Into<OsString>, env: Env, cwd: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env,
            cwd: cwd.into(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

// Arguments and values may hold secrets: only counts and names are shown.
impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("program", &self.program)
            .field("n_args", &self.args.len())
            .field("env", &self.env)
            .field("cwd", &self.cwd)
            .finish()
    }
}

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The name is in no directory of the child's `PATH`.
    #[error("program not found on PATH: `{program}`")]
    NotOnPath {
        /// The name.
        program: String,
        /// The `PATH` that was searched.
        path: String,
    },
    /// The path names no file.
    #[error("program not found: `{}`", program.display())]
    NotFound {
        /// The path.
        program: PathBuf,
    },
    /// The file is there but is not a program.
    #[error("not an executable file: `{}`", program.display())]
    NotExecutable {
        /// The path.
        program: PathBuf,
    },
    /// The first line of a script names an interpreter that is not there.
    #[error("the interpreter of `{}` was not found", program.display())]
    NoInterpreter {
        /// The path.
        program: PathBuf,
    },
    /// The working directory is missing or is no directory.
    #[error("working directory not found: `{}`", cwd.display())]
    NoCwd {
        /// The directory.
        cwd: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot start `{}`", program.display())]
    Io {
        /// The path.
        program: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

impl SpawnError {
    /// Returns the word of machine-readable output; it stays what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotOnPath { .. } | Self::NotFound { .. } => "program_not_found",
            Self::NotExecutable { .. } => "not_executable",
            Self::NoInterpreter { .. } => "no_interpreter",
            Self::NoCwd { .. } => "bad_cwd",
            Self::Io { .. } => "spawn",
        }
    }

    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NotOnPath { program, path } => match as_command_line(program) {
                Some(hint) => vec![hint],
                None => vec![
                    format!("PATH of the program is `{path}`"),
                    format!("install `{program}`, or give its full path"),
                ],
            },
            Self::NotFound { program } => as_command_line(&program.to_string_lossy())
                .into_iter()
                .collect(),
            Self::NotExecutable { program } => {
                vec![format!(
                    "make it executable: `chmod +x {}`",
                    program.display()
                )]
            }
            Self::NoInterpreter { .. } => {
                vec!["look at the first line of that file (`#!…`)".to_owned()]
            }
            Self::NoCwd { .. } => vec!["create the directory, or change `cwd`".to_owned()],
            Self::Io { .. } => Vec::new(),
        }
    }

    /// Reads what the operating system said about a file that is there and executable.
    pub(crate) fn from_os(program: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoInterpreter { program },
            _ => Self::Io { program, source },
        }
    }
}

/// Says how a command line in the place of a program's name is split: no shell does it here.
fn as_command_line(program: &str) -> Option<String> {
    let mut words = program.split_whitespace();
    let command = words.next()?;
    let args: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    (!args.is_empty()).then(|| {
        let args = args.join(", ");
        format!(
            "if that is a command line, split it: the command is `{command}`, its args are {args}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_in_the_place_of_a_program_is_split_in_the_hint() {
        let missing = |program: &str| SpawnError::NotFound {
            program: program.into(),
        };
        assert_eq!(missing("/bin/no").hints(), [""; 0]);
        let expected =
            "if that is a command line, split it: the command is `/bin/ls`, its args are `-l`, `/`";
        assert_eq!(missing("/bin/ls  -l /").hints(), [expected]);
        let unknown = SpawnError::NotOnPath {
            program: "/bin/ls -l /".to_owned(),
            path: "/bin".to_owned(),
        };
        assert_eq!(unknown.hints(), [expected]);
    }
}
