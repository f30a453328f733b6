//! The profile for `sandbox-exec` of macOS.
//!
//! Written after the public descriptions of the profile language; it was compared as text only and
//! has not run on a Mac yet (docs/sandbox.md says so). Paths are parameters, so that no quoting is
//! needed. Everything is denied but what is listed; of the rules that fit the last one counts. A path
//! that may not be written is denied by name, whether or not it exists; so a root, and with it each
//! directory on the way to such a path (`access.rs`), can be neither moved nor removed. Of terminals a
//! command has what it was started with, open by then, and those that it makes.

use std::ffi::OsString;
use std::fmt::Write;

use crate::access::Access;

/// Only this one: another `sandbox-exec` on the `PATH` could be anything.
const PROGRAM: &str = "/usr/bin/sandbox-exec";

const BASE: &str = r#"(version 1)
(deny default)
(allow process-exec process-fork)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow sysctl-read user-preference-read)
(allow file-read* file-test-existence)
(allow file-write-data file-ioctl
  (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty")
  (literal "/dev/ptmx") (literal "/dev/dtracehelper"))
(deny file-read-data (regex #"^/dev/ttys[0-9]+$"))
(allow file-ioctl (regex #"^/dev/ttys[0-9]+$"))
(allow pseudo-tty)
(allow file-read* file-write*
  (require-all (regex #"^/dev/ttys[0-9]+$") (extension "com.apple.sandbox.pty")))
(allow ipc-posix-sem)
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.notification_center")
  (global-name "com.apple.logd"))
"#;

const NETWORK: &str = r#"(allow network-outbound network-inbound system-socket)
(allow mach-lookup
  (global-name "com.apple.SystemConfiguration.configd")
  (global-name "com.apple.trustd.agent")
  (global-name "com.apple.networkd"))
"#;

/// Returns the words in front of a command.
pub(crate) fn front(access: &Access) -> Vec<OsString> {
    let (profile, parameters) = profile(access);
    let mut words: Vec<OsString> = vec![PROGRAM.into(), "-p".into(), profile.into()];
    words.extend(parameters);
    words.push("--".into());
    words
}

fn profile(access: &Access) -> (String, Vec<OsString>) {
    let mut text = BASE.to_owned();
    let mut parameters = Vec::new();
    let mut parameter = |name: &str, path: &std::path::Path| {
        let mut word = OsString::from(format!("-D{name}="));
        word.push(path);
        parameters.push(word);
    };
    let kept: Vec<_> = access.read_only.iter().chain(&access.absent).collect();
    for (number, path) in kept.iter().enumerate() {
        parameter(&format!("KEPT_{number}"), path);
    }
    let except: String = (0..kept.len())
        .map(|number| format!(" (require-not (subpath (param \"KEPT_{number}\")))"))
        .collect();
    for (number, root) in access.writable.iter().enumerate() {
        parameter(&format!("ROOT_{number}"), root);
        let _ = writeln!(
            text,
            "(allow file-write* (require-all (subpath (param \"ROOT_{number}\")){except}))"
        );
    }
    for number in 0..access.writable.len() {
        let _ = writeln!(
            text,
            "(deny file-write-unlink (literal (param \"ROOT_{number}\")))"
        );
    }
    if access.network {
        text.push_str(NETWORK);
    }
    (text, parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(access: &Access) -> String {
        let (text, parameters) = profile(access);
        let tail = text.strip_prefix(BASE).unwrap();
        let parameters = parameters.iter().map(|word| word.to_string_lossy());
        parameters.fold(tail.to_owned(), |all, word| all + &word + "\n")
    }

    #[test]
    fn read_only_is_the_base_alone() {
        assert_eq!(tail(&Access::default()), "");
        assert!(!BASE.contains("network") && !BASE.contains("subpath"));
    }

    #[test]
    fn no_terminal_of_others_is_opened() {
        let allowed = BASE.split("\n(").filter(|rule| rule.starts_with("allow"));
        let on_terminals = allowed.filter(|rule| rule.contains("ttys"));
        let may_open =
            on_terminals.filter(|rule| rule.contains("file-read") || rule.contains("file-write"));
        let may_open: Vec<_> = may_open.collect();
        assert_eq!(may_open.len(), 1, "{may_open:?}");
        assert!(may_open[0].contains("(extension \"com.apple.sandbox.pty\")"));
        // Everything else may be read.
        let deny = BASE
            .find("(deny file-read-data (regex #\"^/dev/ttys")
            .unwrap();
        assert!(BASE.find("(allow file-read* ").unwrap() < deny);
    }

    #[test]
    fn roots_are_open_but_for_what_is_kept() {
        let access = Access {
            writable: vec!["/w".into(), "/tmp".into()],
            read_only: vec!["/w/.git".into()],
            absent: vec!["/w/.codex".into()],
            network: false,
        };
        let except =
            r#" (require-not (subpath (param "KEPT_0"))) (require-not (subpath (param "KEPT_1")))"#;
        let expected = format!(
            "(allow file-write* (require-all (subpath (param \"ROOT_0\")){except}))\n\
             (allow file-write* (require-all (subpath (param \"ROOT_1\")){except}))\n\
             (deny file-write-unlink (literal (param \"ROOT_0\")))\n\
             (deny file-write-unlink (literal (param \"ROOT_1\")))\n\
             -DKEPT_0=/w/.git\n-DKEPT_1=/w/.codex\n-DROOT_0=/w\n-DROOT_1=/tmp\n"
        );
        assert_eq!(tail(&access), expected);
    }

    #[test]
    fn the_network_is_one_more_paragraph() {
        let access = Access {
            network: true,
            ..Access::default()
        };
        assert_eq!(tail(&access), NETWORK);
    }

    #[test]
    fn parentheses_balance() {
        let access = Access {
            writable: vec!["/w".into()],
            absent: vec!["/w/.git".into()],
            network: true,
            ..Access::default()
        };
        let (text, _) = profile(&access);
        assert_eq!(text.matches('(').count(), text.matches(')').count());
    }

    #[test]
    fn the_command_follows_a_double_dash() {
        let words = front(&Access::default());
        assert_eq!(words[0], PROGRAM);
        assert_eq!(words[words.len() - 1], "--");
    }
}
