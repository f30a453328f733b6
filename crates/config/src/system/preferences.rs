//! The managed preferences of macOS, read with the system's own tools.
//!
//! Only the property lists that a device management writes count (`/Library/Managed Preferences`, which
//! belongs to root): `defaults read` would take a user's own value too, and then a user could replace a
//! policy. Programs are started by absolute path, each with a limit.
//! Not tested against a real device management; what runs a program is tested everywhere.

use super::PreferenceTexts;
use crate::ConfigError;

/// Reads what this machine's device management says.
#[cfg(not(target_os = "macos"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere there is nothing that could fail"
)]
pub(super) fn of_this_machine() -> Result<PreferenceTexts, ConfigError> {
    Ok(PreferenceTexts::default())
}

/// Reads what this machine's device management says.
#[cfg(target_os = "macos")]
pub(super) fn of_this_machine() -> Result<PreferenceTexts, ConfigError> {
    const FOLDER: &str = "/Library/Managed Preferences";
    const FILE: &str = "com.openai.codex.plist";
    let folder = std::path::Path::new(FOLDER);
    if !folder.exists() {
        return Ok(PreferenceTexts::default());
    }
    let failed = |path: &std::path::Path, source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // Not `$USER`, which a user may set.
    let id = std::path::Path::new("/usr/bin/id");
    let user = run::output(id, &["-un".as_ref()], run::LIMIT).map_err(|error| failed(id, error))?;
    let user = user.unwrap_or_default();
    let mut texts = PreferenceTexts::default();
    // What is said about the user beats what is said about the machine.
    for file in [folder.join(user.trim()).join(FILE), folder.join(FILE)] {
        if !file.exists() {
            continue;
        }
        let read = |key: &str| {
            let arguments = ["-extract", key, "raw", "-o", "-"].map(std::ffi::OsStr::new);
            let arguments = [&arguments[..], &[file.as_os_str()]].concat();
            run::output("/usr/bin/plutil".as_ref(), &arguments, run::LIMIT)
                .map_err(|error| failed(&file, error))
        };
        if texts.config.is_none() {
            texts.config = read("config_toml_base64")?;
        }
        if texts.requirements.is_none() {
            texts.requirements = read("requirements_toml_base64")?;
        }
    }
    Ok(texts)
}

#[cfg(any(target_os = "macos", all(unix, test)))]
mod run {
    use std::ffi::OsStr;
    use std::io::{self, Read};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// How long the preferences may take.
    pub(super) const LIMIT: Duration = Duration::from_secs(2);
    /// Longest output: as long as a file may be, in base64.
    const MAX_OUTPUT: u64 = 6 * 1024 * 1024;
    const POLL: Duration = Duration::from_millis(5);

    /// Runs a program without input; `None` when it says by its exit code that there is nothing.
    pub(super) fn output(
        program: &Path,
        arguments: &[&OsStr],
        limit: Duration,
    ) -> io::Result<Option<String>> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.map(|pipe| pipe.take(MAX_OUTPUT).read_to_string(&mut text));
            read.unwrap_or(Ok(0)).map(|_| text)
        });
        let deadline = Instant::now() + limit;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(POLL),
                None => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        };
        let text = reader
            .join()
            .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok(status.success().then_some(text))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn shell(script: &str, limit: Duration) -> io::Result<Option<String>> {
            output("/bin/sh".as_ref(), &["-c".as_ref(), script.as_ref()], limit)
        }

        #[test]
        fn a_program_that_prints_is_read_and_one_that_fails_says_nothing() {
            assert_eq!(shell("echo x", LIMIT).unwrap().as_deref(), Some("x\n"));
            assert_eq!(shell("echo x; exit 1", LIMIT).unwrap(), None);
        }

        /// Row 1.limit.
        #[test]
        fn a_program_that_does_not_end_is_ended() {
            let error = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }
}
