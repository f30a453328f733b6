//! The managed preferences of macOS, read with the system's own tools.
//!
//! Only the property lists that a device management writes count (`/Library/Managed Preferences`, which
//! belongs to root): `defaults read` would take a user's own value too, and then a user could replace a
//! policy. Programs are started by absolute path, each with a limit.
//! Not tested against a real device management; what runs a program is tested everywhere.

use std::path::PathBuf;

use super::PreferenceTexts;
use crate::ConfigError;

/// Where this machine's device management writes.
#[cfg(target_os = "macos")]
const FOLDER: &str = "/Library/Managed Preferences";

/// Names what has to be looked at to see a change.
pub(super) fn places_of_this_machine() -> Vec<PathBuf> {
    #[cfg(target_os = "macos")]
    return plists::places(FOLDER.as_ref());
    #[cfg(not(target_os = "macos"))]
    Vec::new()
}

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
    use std::path::Path;

    let folder = Path::new(FOLDER);
    if matches!(folder.try_exists(), Ok(false)) {
        return Ok(PreferenceTexts::default());
    }
    // Not `$USER`, which a user may set.
    let id = Path::new("/usr/bin/id");
    let user = run::output(id, &["-un".as_ref()], run::LIMIT);
    let user = user.map_err(|error| plists::unreadable(folder, &error.to_string()))?;
    let plists = plists::Plists {
        folder,
        user: user.unwrap_or_default().trim().to_owned(),
        plutil: Path::new("/usr/bin/plutil"),
    };
    plists.read()
}

#[cfg(any(target_os = "macos", all(unix, test)))]
mod plists {
    use std::ffi::OsStr;
    use std::path::{Path, PathBuf};

    use super::run;
    use crate::ConfigError;
    use crate::system::PreferenceTexts;

    const FILE: &str = "com.openai.codex.plist";

    /// Names the lists of the machine and of each of its users, and the folder, which changes when a
    /// user comes: to ask who we are would take a program.
    pub(super) fn places(folder: &Path) -> Vec<PathBuf> {
        let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let users = inside
            .map(|entry| entry.path())
            .filter(|path| path.is_dir());
        let folders = users.chain([folder.to_owned()]);
        let files = folders.map(|folder| folder.join(FILE));
        files.chain([folder.to_owned()]).collect()
    }

    /// The property lists of a machine, and the program that reads them.
    pub(super) struct Plists<'a> {
        pub(super) folder: &'a Path,
        pub(super) user: String,
        pub(super) plutil: &'a Path,
    }

    impl Plists<'_> {
        /// Reads them; one that is there and cannot be read is an error, for it may hold a policy.
        pub(super) fn read(&self) -> Result<PreferenceTexts, ConfigError> {
            let mut texts = PreferenceTexts::default();
            // What is said about the user beats what is said about the machine.
            for folder in [self.folder.join(&self.user), self.folder.to_owned()] {
                let file = folder.join(FILE);
                let exists = file.try_exists();
                if !exists.map_err(|error| unreadable(&file, &error.to_string()))? {
                    continue;
                }
                // `-extract` ends in the same way for a key that is not there and for a file that is none.
                if self.ask(&["-lint", "-s"], &file)?.is_none() {
                    return Err(unreadable(&file, "it is no property list"));
                }
                for (text, key) in [
                    (&mut texts.config, "config_toml_base64"),
                    (&mut texts.requirements, "requirements_toml_base64"),
                ] {
                    if text.is_none() {
                        *text = self.ask(&["-extract", key, "raw", "-o", "-"], &file)?;
                    }
                }
            }
            Ok(texts)
        }

        fn ask(&self, words: &[&str], file: &Path) -> Result<Option<String>, ConfigError> {
            let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
            let words = [&words[..], &[file.as_os_str()]].concat();
            run::output(self.plutil, &words, run::LIMIT)
                .map_err(|error| unreadable(file, &error.to_string()))
        }
    }

    pub(super) fn unreadable(file: &Path, why: &str) -> ConfigError {
        let file = file.display();
        ConfigError::Invalid {
            text: format!("the managed preferences `{file}` cannot be read: {why}"),
            origin: None,
            hints: vec![
                "they may hold a policy, so nothing runs without them".to_owned(),
                format!(
                    "`plutil -lint '{file}'` tells more; tell the administrator of this machine"
                ),
            ],
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Stands for `plutil`: a list begins with `plist`, and its lines are keys.
        const PLUTIL: &str = r#"#!/bin/sh
case "$1" in
-lint) IFS= read -r first < "$3"; test "$first" = plist ;;
-extract) while IFS== read -r key value; do test "$key" = "$2" && echo "$value" && exit 0; done < "$6"; exit 1 ;;
esac
"#;

        /// What a machine with these files says: of the machine, and of its user.
        #[expect(
            clippy::disallowed_methods,
            reason = "a test prepares its files directly"
        )]
        fn said(machine: Option<&str>, user: Option<&str>) -> String {
            use std::os::unix::fs::PermissionsExt;
            let folder = tempfile::tempdir().unwrap();
            let plutil = folder.path().join("plutil");
            std::fs::write(&plutil, PLUTIL).unwrap();
            std::fs::set_permissions(&plutil, std::fs::Permissions::from_mode(0o755)).unwrap();
            std::fs::create_dir(folder.path().join("ada")).unwrap();
            for (place, text) in [(FILE.to_owned(), machine), (format!("ada/{FILE}"), user)] {
                if let Some(text) = text {
                    std::fs::write(folder.path().join(place), text).unwrap();
                }
            }
            let plists = Plists {
                folder: folder.path(),
                user: "ada".to_owned(),
                plutil: &plutil,
            };
            match plists.read() {
                Ok(texts) => [texts.config, texts.requirements]
                    .map(|text| text.unwrap_or("-".to_owned()).trim().to_owned())
                    .join(" "),
                Err(error) => {
                    let text = format!("{error}\n{}", error.hints().join("\n"));
                    text.replace(&folder.path().display().to_string(), "FOLDER")
                }
            }
        }

        #[test]
        fn what_is_said_about_the_user_beats_what_is_said_about_the_machine() {
            assert_eq!(said(None, None), "- -");
            let machine = "plist\nconfig_toml_base64=m\nrequirements_toml_base64=r\n";
            assert_eq!(said(Some(machine), None), "m r");
            assert_eq!(
                said(Some(machine), Some("plist\nconfig_toml_base64=u\n")),
                "u r"
            );
        }

        #[test]
        #[expect(
            clippy::disallowed_methods,
            reason = "a test prepares its files directly"
        )]
        fn every_list_that_may_be_ours_is_looked_at() {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("ada")).unwrap();
            std::fs::write(folder.path().join("other.plist"), "").unwrap();
            let places = [&format!("ada/{FILE}"), FILE, ""];
            assert_eq!(
                super::places(folder.path()),
                places.map(|place| folder.path().join(place))
            );
            assert_eq!(super::places(&folder.path().join("no")).len(), 2);
        }

        #[test]
        fn a_list_that_cannot_be_read_does_not_vanish() {
            let other = "plist\nconfig_toml_base64=m\n";
            let broken = said(Some("junk\n"), None);
            insta::assert_snapshot!(broken, @"
            the managed preferences `FOLDER/com.openai.codex.plist` cannot be read: it is no property list
            they may hold a policy, so nothing runs without them
            `plutil -lint 'FOLDER/com.openai.codex.plist'` tells more; tell the administrator of this machine
            ");
            assert_eq!(said(Some("junk\n"), Some(other)), broken);
            assert!(said(Some(other), Some("junk\n")).contains("FOLDER/ada/"));
        }
    }
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
