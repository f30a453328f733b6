//! One of the two programs, with a home that is warm and its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use codex_test_support::MockResponses;

use super::launcher;
use crate::step::Group;
use crate::workspace;

const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Which dialect of the configuration a program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    Ours,
    Reference,
}

/// A program and the places it works in.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    flavour: Flavour,
    /// Not below the temporary folder: the reference refuses some helpers there.
    folder: PathBuf,
}

/// The figures of one run: seconds and bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) wall: f64,
    pub(super) cpu: f64,
    pub(super) peak_memory: f64,
    /// From start to the arrival of the first model request.
    pub(super) first_request: Option<f64>,
}

impl Subject {
    pub(super) fn new(name: &'static str, program: PathBuf, flavour: Flavour) -> Result<Self> {
        let folder = workspace::cache()?.join("bench").join(name);
        for part in ["codex-home", "home", "work"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        ensure!(program.is_file(), "{} is not there", program.display());
        Ok(Self {
            name,
            program,
            flavour,
            folder,
        })
    }

    /// Replaces `config.toml`: the provider of the bench and these MCP servers.
    pub(super) fn configure(&self, servers: &str) -> Result<()> {
        let own = match self.flavour {
            Flavour::Ours => "tool_dialect = \"openai\"\n",
            Flavour::Reference => "",
        };
        let text = format!(
            "model = \"gpt-5.5\"\nmodel_provider = \"bench\"\napproval_policy = \"never\"\n\
             sandbox_mode = \"read-only\"\n\n[model_providers.bench]\nname = \"bench\"\n\
             base_url = \"http://127.0.0.1:1/v1\"\nwire_api = \"responses\"\n\
             supports_websockets = false\n{own}\n{servers}"
        );
        Ok(std::fs::write(
            self.folder.join("codex-home/config.toml"),
            text,
        )?)
    }

    /// Writes a further file of configuration, by its name below the home or the working folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(std::fs::write(path, text)?)
    }

    /// Returns the folder in which the program is run.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Runs the program and returns its figures.
    pub(super) fn sample(&self, args: &[&str]) -> Result<Sample> {
        self.run(args, None)
    }

    /// Runs one turn of `exec` against a provider.
    pub(super) fn exec(&self, provider: &MockResponses) -> Result<Sample> {
        let base_url = format!("model_providers.bench.base_url=\"{}\"", provider.base_url());
        let args = [
            "exec",
            "--json",
            "--skip-git-repo-check",
            "-c",
            &base_url,
            "go on",
        ];
        self.run(&args, Some(provider))
    }

    /// Prepares the program in its places, without the launcher.
    pub(super) fn set_up(&self, command: &mut Command) {
        command
            .env_clear()
            .current_dir(self.work())
            .stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.join("home"));
        command.env("CODEX_HOME", self.folder.join("codex-home"));
        command.env("LANG", "C.UTF-8");
    }

    fn run(&self, args: &[&str], provider: Option<&MockResponses>) -> Result<Sample> {
        let scratch = tempfile::tempdir()?;
        let (usage, output) = (scratch.path().join("usage"), scratch.path().join("output"));
        let mut command = launcher::command(&usage, &self.program)?;
        command.args(args);
        self.set_up(&mut command);
        let file = std::fs::File::create(&output)?;
        command.stdout(file.try_clone()?).stderr(file);
        let start = Instant::now();
        let mut group = Group::start(&mut command, self.name)?;
        while group.child.try_wait()?.is_none() {
            let text = || std::fs::read_to_string(&output).unwrap_or_default();
            ensure!(
                start.elapsed() < RUN_LIMIT,
                "{} {args:?} takes too long\n{}",
                self.name,
                text()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let usage = launcher::read(&usage)?;
        let text = std::fs::read_to_string(&output).unwrap_or_default();
        ensure!(
            usage.exit == 0,
            "{} {args:?} ended with {}\n{text}",
            self.name,
            usage.exit
        );
        ensure!(
            provider.is_none() || text.contains("\"turn.completed\""),
            "{} {args:?} completed no turn\n{text}",
            self.name
        );
        let first_request = provider.and_then(|provider| {
            let is_turn = |path: &str| path.ends_with("/responses");
            let index = provider
                .requests()
                .iter()
                .position(|request| is_turn(&request.path))?;
            Some(
                provider.arrival_times()[index]
                    .duration_since(start)
                    .as_secs_f64(),
            )
        });
        Ok(Sample {
            wall: usage.wall,
            cpu: usage.cpu,
            peak_memory: usage.peak_memory,
            first_request,
        })
    }
}
