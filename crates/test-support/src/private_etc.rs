//! An `/etc` of one command's own, so that the product's fixed paths can be tested as they are.
//!
//! The command runs in a mount namespace in which a folder of the test lies over `/etc`, with links to
//! everything of the real one. Nothing outside of the namespace changes. It needs root, or a system
//! that lets users have namespaces.

use std::path::Path;
use std::process::{Command, Stdio};

const SCRIPT: &str = r#"
set -eu
etc=$1; real=$1.real; shift
mkdir -p "$real"
mount --bind /etc "$real"
for entry in "$real"/* "$real"/.[!.]*; do
    name=${entry##*/}
    [ -e "$etc/$name" ] || ln -sfn "$entry" "$etc/$name"
done
mount --bind "$etc" /etc
exec "$@"
"#;

/// Tells whether commands can have an `/etc` of their own here. A test that gets `false` is left out:
/// it says so on stderr, and under CI that is a failure.
pub fn private_etc() -> bool {
    let mut tried = unshare();
    tried
        .args(["true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if tried.status().is_ok_and(|status| status.success()) {
        return true;
    }
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    assert!(
        !is_ci,
        "CI leaves nothing out: run as root, or allow mount namespaces"
    );
    eprintln!("left out: this system gives no mount namespace (`unshare --mount`)");
    false
}

/// Prepares a program that sees `etc` as `/etc`; its arguments are added by the caller.
pub(crate) fn enter(etc: &Path, program: &Path) -> Command {
    let mut command = unshare();
    command
        .args(["sh", "-c", SCRIPT, "private-etc"])
        .arg(etc)
        .arg(program);
    command
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--");
    command
}
