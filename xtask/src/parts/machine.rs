//! What a part needs of the machine itself, and the Debian packages that bring it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::{step, workspace};

const APT_LIMIT: Duration = Duration::from_secs(600);

/// A program and how to tell that it works.
#[derive(Debug)]
pub(crate) struct Need {
    what: &'static str,
    /// Succeeds when it is there.
    probe: &'static [&'static str],
    packages: &'static [&'static str],
}

pub(super) const NPM: Need = Need {
    what: "npm",
    probe: &["npm", "--version"],
    packages: &["nodejs", "npm"],
};

/// Debian's `python3` comes without the installer that `venv` needs.
pub(super) const VENV: Need = Need {
    what: "python3 with venv",
    probe: &["python3", "-c", "import venv, ensurepip"],
    packages: &["python3", "python3-venv"],
};

/// Shows which addresses a program contacts.
pub(crate) const STRACE: Need = Need {
    what: "strace",
    probe: &["strace", "--version"],
    packages: &["strace"],
};

/// A browser for pages that nobody here wrote.
pub(super) const CHROMIUM: Need = Need {
    what: "Chromium",
    probe: &["chromium", "--version"],
    packages: &["chromium", "fonts-dejavu-core"],
};

/// A keyring of the desktop on a private bus.
pub(super) const SECRET_SERVICE: Need = Need {
    what: "a Secret Service",
    probe: &[
        "sh",
        "-c",
        "command -v dbus-run-session && command -v gnome-keyring-daemon && command -v secret-tool",
    ],
    packages: &["dbus", "gnome-keyring", "libsecret-tools"],
};

impl Need {
    /// Sees to it that it is there: installs it when we are root on Debian, else says how to.
    pub(crate) fn provide(&self) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let packages = self.packages.join(" ");
        if !rustix::process::getuid().is_root() || workspace::which("apt-get").is_none() {
            bail!(
                "{} is missing; install it, on Debian: apt-get install {packages}",
                self.what
            );
        }
        eprintln!("installing {packages}");
        apt_get(&["update"])?;
        let mut install = vec!["install", "-y", "--no-install-recommends"];
        install.extend(self.packages);
        apt_get(&install)?;
        ensure!(
            self.is_there(),
            "{} is still missing after apt-get install {packages}",
            self.what
        );
        Ok(())
    }

    fn is_there(&self) -> bool {
        let mut command = Command::new(self.probe[0]);
        command.args(&self.probe[1..]);
        let outcome = step::capture(self.what, &mut command, Duration::from_secs(60));
        outcome.is_ok_and(|(status, _)| status.success())
    }
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    step::run("apt-get", command.arg("-qq").args(args), APT_LIMIT)
}
