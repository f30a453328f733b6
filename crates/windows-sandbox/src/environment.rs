//! The variables of a command: all that it was given, and without network no way out.
//!
//! Programs that heed a proxy are sent to a port where nobody listens, package managers are told to
//! stay off the network. It is advice, no wall.

use std::ffi::{OsStr, OsString};

use crate::WindowsSandboxError;

/// Port 9 is "discard": nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

const OFFLINE: &[(&str, &str)] = &[
    ("CODEX_SANDBOX_NETWORK_DISABLED", "1"),
    ("HTTP_PROXY", NOWHERE),
    ("HTTPS_PROXY", NOWHERE),
    ("ALL_PROXY", NOWHERE),
    ("NO_PROXY", "localhost,127.0.0.1,::1"),
    ("GIT_SSH_COMMAND", "cmd /c exit 1"),
    ("GIT_ALLOW_PROTOCOL", "file"),
    ("CARGO_NET_OFFLINE", "true"),
    ("NPM_CONFIG_OFFLINE", "true"),
    ("PIP_NO_INDEX", "1"),
    ("GOPROXY", "off"),
];

/// Returns the variables in the order in which Windows wants them.
pub(crate) fn of_command(
    given: &[(OsString, OsString)],
    network: bool,
) -> Result<Vec<(OsString, OsString)>, WindowsSandboxError> {
    let offline = if network { &[] } else { OFFLINE };
    let is_replaced = |name: &OsStr| {
        let mut replaced = offline.iter();
        replaced.any(|(known, _)| name.eq_ignore_ascii_case(known))
    };
    let kept = given.iter().filter(|(name, _)| !is_replaced(name)).cloned();
    let added = offline
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    let mut all: Vec<(OsString, OsString)> = kept.chain(added).collect();
    if all.iter().any(|(name, value)| !is_valid(name, value)) {
        return Err(WindowsSandboxError::Variable);
    }
    all.sort_by_key(|(name, _)| name.to_ascii_uppercase());
    Ok(all)
}

fn is_valid(name: &OsStr, value: &OsStr) -> bool {
    let (name, value) = (name.as_encoded_bytes(), value.as_encoded_bytes());
    // The shell there keeps the directories of drives in variables like `=C:`.
    let has_equals = name.iter().skip(1).any(|byte| *byte == b'=');
    !name.is_empty() && !has_equals && !name.contains(&0) && !value.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(given: &[(&str, &str)], network: bool) -> Option<Vec<String>> {
        let given: Vec<_> = given.iter().map(|(n, v)| (n.into(), v.into())).collect();
        let all = of_command(&given, network).ok()?;
        let line = |(name, value): &(OsString, OsString)| {
            format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
        };
        Some(all.iter().map(line).collect())
    }

    #[test]
    fn with_network_the_variables_are_those_that_were_given_in_order() {
        let all = made(&[("b", "2"), ("A", "1"), ("=C:", r"C:\x")], true).unwrap();
        assert_eq!(all, [r"=C:=C:\x", "A=1", "b=2"]);
    }

    #[test]
    fn without_network_no_variable_names_a_way_out() {
        let all = made(&[("https_proxy", "http://proxy:1"), ("Path", "p")], false).unwrap();
        assert!(all.contains(&"HTTPS_PROXY=http://127.0.0.1:9".to_owned()));
        assert!(all.contains(&"Path=p".to_owned()));
        assert!(!all.iter().any(|line| line.contains("proxy:1")), "{all:?}");
    }

    #[test]
    fn what_windows_cannot_take_is_refused() {
        for bad in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "x\0")] {
            assert_eq!(made(&[bad], true), None, "{bad:?}");
        }
    }
}
