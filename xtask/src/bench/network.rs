//! Who is contacted that the user did not ask for, as strace sees it.
//!
//! Every `connect` and `sendto` of a run and its children is written down; loopback and Unix
//! sockets are ours or the scripted provider's, everything else is unasked for.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use codex_test_support::{
    MockResponses, ev_assistant_message, ev_completed, ev_response_created, sse,
};

use super::subject::Subject;
use crate::parts::STRACE;
use crate::step;

const RUN_LIMIT: Duration = Duration::from_secs(60);

/// Prints the row; returns 1 when ours contacts anybody.
pub(super) fn report(ours: &Subject, theirs: Option<&Subject>) -> Result<usize> {
    if let Err(error) = STRACE.provide() {
        println!("network: not measured: {error:#}");
        return Ok(0);
    }
    let show = |found: &BTreeSet<String>| match found.len() {
        0 => "none".to_owned(),
        _ => found.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let own = contacted(ours)?;
    let other = theirs.map(contacted).transpose()?;
    let verdict = if own.is_empty() { "held" } else { "MISSED" };
    println!("network nobody asked for: ours {}  {verdict}", show(&own));
    if let Some(other) = other {
        println!("network nobody asked for: theirs {}", show(&other));
    }
    Ok(usize::from(!own.is_empty()))
}

/// Runs `--version`, `mcp list` and one turn, and returns the addresses outside of loopback.
fn contacted(subject: &Subject) -> Result<BTreeSet<String>> {
    subject.configure("")?;
    let provider = MockResponses::start();
    provider.otherwise(sse(vec![
        ev_response_created("resp"),
        ev_assistant_message("msg", "done"),
        ev_completed("resp"),
    ]));
    let base_url = format!("model_providers.bench.base_url=\"{}\"", provider.base_url());
    let exec = [
        "exec",
        "--json",
        "--skip-git-repo-check",
        "-c",
        &base_url,
        "go on",
    ];
    let mut found = BTreeSet::new();
    for args in [&["--version"][..], &["mcp", "list"], &exec] {
        let folder = tempfile::tempdir()?;
        let trace = folder.path().join("trace");
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-e",
            "trace=connect,sendto,sendmsg,sendmmsg",
            "-o",
        ]);
        command.arg(&trace).arg(&subject.program).args(args);
        subject.set_up(&mut command);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut group = step::Group::start(&mut command, "strace")?;
        let start = std::time::Instant::now();
        // The reference may wait for its network; what it tried until then is the finding.
        while group.child.try_wait()?.is_none() && start.elapsed() < RUN_LIMIT {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(group);
        let text = std::fs::read_to_string(&trace).context("strace wrote nothing")?;
        found.extend(text.lines().filter_map(address));
    }
    Ok(found)
}

/// Returns the address of a line when it leaves the machine.
fn address(line: &str) -> Option<String> {
    let quoted = |mark: &str| {
        let rest = &line[line.find(mark)? + mark.len()..];
        rest.split('"').nth(1).map(str::to_owned)
    };
    let host = quoted("inet_addr(").or_else(|| quoted("inet_pton("))?;
    let is_loopback = host.starts_with("127.") || host == "::1" || host == "::ffff:127.0.0.1";
    let port = line.split("htons(").nth(1)?.split(')').next()?;
    (!is_loopback).then(|| {
        if port == "53" {
            "a name server".to_owned()
        } else {
            format!("{host}:{port}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn only_addresses_outside_of_loopback_count() {
        let line = |host: &str| {
            format!(
                "7 connect(9, {{sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr(\"{host}\")}}, 16) = 0"
            )
        };
        assert_eq!(
            address(&line("203.0.113.7")).as_deref(),
            Some("203.0.113.7:443")
        );
        assert_eq!(address(&line("127.0.0.1")), None);
        assert_eq!(
            address("7 connect(3, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 16) = 0"),
            None
        );
        let six = "7 connect(3, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), \
                   inet_pton(AF_INET6, \"2001:db8::1\", &sin6_addr), sin6_scope_id=0}, 28) = 0";
        assert_eq!(address(six).as_deref(), Some("a name server"));
    }
}
