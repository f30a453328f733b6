//! The real parts: programs that nobody here wrote, and the one place that installs them.
//!
//! | part | from | what for |
//! |---|---|---|
//! | `npm` | npm, `xtask/parts/npm` | conformance suite, reference MCP server, authorization servers, driver of Chromium, TypeScript SDK of `exec`, Node 22 |
//! | `python` | PyPI, `xtask/parts/python` | the time server, two more authorization servers with MCP servers, Python SDK of `exec` |
//! | `reference` | npm, `xtask/parts/reference` | the published binary, for `bench` only |
//!
//! Needed on the machine: `npm` with a Node, `python3` with `venv`, a Secret Service for the suite of
//! the keyring, Chromium for one login, and `strace` for one row of `bench` (`parts/machine.rs`). Parts lie in the cache
//! folder under a stamp of their lists, are made in a temporary folder and moved into place, so that
//! two runs and a broken run do no harm.
//! The TypeScript SDK wants the published binary of a few hundred MB; the list puts a tiny package in
//! its place, because the SDK drives ours.
//! The registries are those that npm and pip are set up for; the lock files name none.

mod machine;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{step, workspace};
use machine::Need;
pub(crate) use machine::STRACE;

const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// One group of programs that are installed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Npm,
    Python,
    Reference,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Python => "python",
            Self::Reference => "reference",
        }
    }

    /// What must be there before it can be installed.
    fn needs(self) -> &'static Need {
        match self {
            Self::Npm | Self::Reference => &machine::NPM,
            Self::Python => &machine::VENV,
        }
    }

    /// The suites that need it.
    fn suites(self) -> &'static str {
        match self {
            Self::Npm => "real servers, real logins, the public SDKs, conformance",
            Self::Python => "real servers, real logins, the public SDKs",
            Self::Reference => "bench",
        }
    }

    fn lists(self) -> &'static [&'static str] {
        match self {
            Self::Npm | Self::Reference => &["package.json", "package-lock.json"],
            Self::Python => &["requirements.txt"],
        }
    }

    /// Returns where the part lies, whether or not it is there.
    pub(crate) fn folder(self) -> Result<PathBuf> {
        let mut stamp = Fnv::new();
        for list in self.lists() {
            stamp.add(&std::fs::read(self.source().join(list))?);
        }
        let folder = format!("{}-{:016x}", self.name(), stamp.0);
        Ok(workspace::cache()?.join("parts").join(folder))
    }

    /// Installs the part unless it is there, and returns its folder.
    pub(crate) fn install(self) -> Result<PathBuf> {
        let folder = self.folder()?;
        if folder.exists() {
            return Ok(folder);
        }
        self.needs()
            .provide()
            .with_context(|| format!("the part `{}`", self.name()))?;
        eprintln!(
            "installing the part `{}` into {}",
            self.name(),
            folder.display()
        );
        let parent = folder.parent().context("a part lies in a folder")?;
        std::fs::create_dir_all(parent)?;
        let fresh = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(parent)?;
        for list in self.lists() {
            std::fs::copy(self.source().join(list), fresh.path().join(list))?;
        }
        match self {
            Self::Npm | Self::Reference => npm_install(fresh.path())?,
            Self::Python => pip_install(fresh.path(), &folder)?,
        }
        match std::fs::rename(fresh.path(), &folder) {
            // Another run was quicker; its part is as good as ours.
            Err(_) if folder.exists() => {}
            result => result.with_context(|| format!("cannot make {}", folder.display()))?,
        }
        Ok(folder)
    }

    fn source(self) -> PathBuf {
        workspace::root().join("xtask/parts").join(self.name())
    }
}

/// The installed parts that tests may use, under one folder with a link for each.
///
/// Tests find it through `CODEX_TEST_PARTS` (`codex_test_support::RealParts`).
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) folder: PathBuf,
    pub(crate) missing: Vec<Missing>,
}

/// Something that could not be installed.
#[derive(Debug)]
pub(crate) struct Missing {
    /// `None` for what the machine itself lacks.
    part: Option<Part>,
    /// What cannot run without it.
    pub(crate) suites: &'static str,
    pub(crate) why: String,
}

impl Installed {
    /// Installs what the tests use; what cannot be installed is named, not fatal.
    pub(crate) fn for_tests() -> Result<Self> {
        let folder = workspace::cache()?.join("parts").join("for-tests");
        std::fs::create_dir_all(&folder)?;
        let mut missing = Vec::new();
        for part in [Part::Npm, Part::Python] {
            let link = folder.join(part.name());
            match part.install() {
                Ok(target) => replace_link(&target, &link)?,
                Err(error) => {
                    let _ = std::fs::remove_file(&link);
                    missing.push(Missing {
                        part: Some(part),
                        suites: part.suites(),
                        why: format!("{error:#}"),
                    });
                }
            }
        }
        for (need, suites) in [
            (&machine::SECRET_SERVICE, "secret service"),
            (&machine::CHROMIUM, "logins in Chromium"),
        ] {
            if let Err(error) = need.provide() {
                missing.push(Missing {
                    part: None,
                    suites,
                    why: format!("{error:#}"),
                });
            }
        }
        Ok(Self { folder, missing })
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.missing
            .iter()
            .all(|missing| missing.part != Some(part))
    }
}

/// Returns the Node that the npm part brought, which is 22; the machine's may be older.
pub(crate) fn node(npm: &Path) -> PathBuf {
    npm.join("node_modules/node/bin/node")
}

/// Returns the reference binary itself: its npm wrapper would be measured too otherwise.
pub(crate) fn reference_binary(reference: &Path) -> Result<PathBuf> {
    let scope = reference.join("node_modules/@openai");
    for package in std::fs::read_dir(&scope)?.flatten() {
        let Ok(targets) = package.path().join("vendor").read_dir() else {
            continue;
        };
        for target in targets.flatten() {
            let program = target.path().join("bin/codex");
            if program.is_file() {
                return Ok(program);
            }
        }
    }
    bail!("no binary for this machine under {}", scope.display())
}

fn npm_install(folder: &Path) -> Result<()> {
    let mut command = Command::new("npm");
    command
        .current_dir(folder)
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    step::run("npm ci", &mut command, INSTALL_LIMIT)
}

/// Makes the environment at its final place: its scripts hold its path.
fn pip_install(fresh: &Path, folder: &Path) -> Result<()> {
    let venv = fresh.join("venv");
    let mut command = Command::new("python3");
    step::run(
        "python3 -m venv",
        command.args(["-m", "venv"]).arg(&venv),
        INSTALL_LIMIT,
    )?;
    let mut command = Command::new(venv.join("bin/python"));
    command
        .current_dir(fresh)
        .args(["-m", "pip", "install", "--quiet"]);
    command.args(["--disable-pip-version-check", "-r", "requirements.txt"]);
    step::run("pip install", &mut command, INSTALL_LIMIT)?;
    move_scripts(
        &venv.join("bin"),
        &venv.to_string_lossy(),
        &folder.join("venv").to_string_lossy(),
    )
}

fn move_scripts(bin: &Path, old: &str, new: &str) -> Result<()> {
    for entry in std::fs::read_dir(bin)?.flatten() {
        if !entry.file_type()?.is_file() {
            continue;
        }
        // Programs are not UTF-8 and hold no path of ours.
        if let Ok(text) = std::fs::read_to_string(entry.path())
            && text.contains(old)
        {
            std::fs::write(entry.path(), text.replace(old, new))?;
        }
    }
    Ok(())
}

fn replace_link(target: &Path, link: &Path) -> Result<()> {
    if std::fs::read_link(link).is_ok_and(|known| known == target) {
        return Ok(());
    }
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(target, link)
        .with_context(|| format!("cannot make {}", link.display()))
}

/// FNV-1a: the standard library's hasher may change between versions, a stamp may not.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
