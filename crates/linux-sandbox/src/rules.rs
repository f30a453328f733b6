//! What the helper enforces, and its spelling as words of a command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What a command may touch. Everything may be read; what is not listed may not be written.
///
/// Paths are absolute, and what must exist exists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Directories that may be written.
    pub writable: Vec<PathBuf>,
    /// Files and directories inside of them that may not.
    pub read_only: Vec<PathBuf>,
    /// Names inside of them that do not exist and may not be created.
    pub absent: Vec<PathBuf>,
    /// Whether the network can be used.
    pub network: bool,
    /// Whether the helper says [`WITHOUT_NAMESPACES`](crate::WITHOUT_NAMESPACES) on its stderr also
    /// where nothing may be written.
    pub tell_ground: bool,
}

const WRITABLE: &str = "--writable";
const READ_ONLY: &str = "--read-only";
const ABSENT: &str = "--absent";
const NETWORK: &str = "--network";
/// Asks for [`Rules::tell_ground`].
pub const TELL_GROUND: &str = "--tell-ground";

impl Rules {
    /// Returns the words that stand before the program and its arguments, `--` included.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        let lists = [
            (WRITABLE, &self.writable),
            (READ_ONLY, &self.read_only),
            (ABSENT, &self.absent),
        ];
        for (flag, paths) in lists {
            for path in paths {
                args.extend([flag.into(), path.clone().into_os_string()]);
            }
        }
        for (flag, is_set) in [(NETWORK, self.network), (TELL_GROUND, self.tell_ground)] {
            args.extend(is_set.then(|| flag.into()));
        }
        args.push("--".into());
        args
    }

    /// Reads the words back; the second value is the program with its arguments, never empty.
    pub fn parse(args: Vec<OsString>) -> Result<(Self, Vec<OsString>), &'static str> {
        let mut rules = Self::default();
        let mut args = args.into_iter();
        loop {
            let word = args.next().ok_or("the command is missing")?;
            let list = match word.to_str() {
                Some("--") => break,
                Some(NETWORK) => {
                    rules.network = true;
                    continue;
                }
                Some(TELL_GROUND) => {
                    rules.tell_ground = true;
                    continue;
                }
                Some(WRITABLE) => &mut rules.writable,
                Some(READ_ONLY) => &mut rules.read_only,
                Some(ABSENT) => &mut rules.absent,
                _ => return Err("an unknown word before `--`"),
            };
            let path = PathBuf::from(args.next().ok_or("a path is missing")?);
            if !path.is_absolute() {
                return Err("a path is not absolute");
            }
            list.push(path);
        }
        let command: Vec<OsString> = args.collect();
        if command.is_empty() {
            return Err("the command is missing");
        }
        Ok((rules, command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn rules_survive_the_command_line() {
        let rules = Rules {
            writable: vec!["/w".into(), "/tmp".into()],
            read_only: vec!["/w/.git".into()],
            absent: vec!["/w/.codex".into()],
            network: true,
            tell_ground: true,
        };
        let mut args = rules.to_args();
        args.extend(words("sh -c --network"));
        let (read, command) = Rules::parse(args).unwrap();
        assert_eq!(read, rules);
        assert_eq!(command, words("sh -c --network"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "--writable",
            "--writable w -- sh",
            "--no-such -- sh",
            "--",
            "sh",
        ] {
            assert!(Rules::parse(words(line)).is_err(), "{line}");
        }
    }
}
