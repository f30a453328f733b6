//! A recorded turn, replayed against a real MCP server, told in words.
//!
//! The model's side comes from a recording (`xtask/demo/*.jsonl`); the server, the calls and their
//! results are real. With npm the server is the reference server of the MCP project; without npm
//! or network it is the self-contained server of our test support, and the demo says so. After the
//! installation nothing needs a network.

mod story;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use codex_test_support::{
    MockResponses, TestHome, ev_assistant_message, ev_completed, ev_namespaced_call, ev_reasoning,
    ev_response_created, sse,
};

use crate::parts::{Part, node};
use crate::{step, workspace};

const BUILD_LIMIT: Duration = Duration::from_secs(1800);
const PROMPT: &str = "Say hello through the server and add 19 and 23.";

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Use the self-contained server and install nothing
    #[arg(long)]
    offline: bool,
    /// Run this program instead of a fresh release build
    #[arg(long, hide = true, value_name = "PROGRAM")]
    program: Option<PathBuf>,
    /// Make the recording anew instead of replaying it
    #[arg(long, hide = true)]
    record: bool,
}

/// Builds, installs, replays and tells.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let program = match &args.program {
        Some(program) => std::path::absolute(program)?,
        None => build("codex-cli", "codex")?,
    };
    let server = match args.offline {
        true => Server::self_contained("--offline was given")?,
        false => {
            Server::from_npm().or_else(|error| Server::self_contained(&format!("{error:#}")))?
        }
    };
    println!("The server: {}", server.what);
    let home = TestHome::new();
    let codex = |args: &[&str]| {
        home.program(&program, args)
            .limit(Duration::from_secs(60))
            .run()
    };

    let mut add = vec!["mcp", "add", server.name, "--"];
    add.extend(server.command.iter().map(String::as_str));
    let added = codex(&add).success();
    println!(
        "\n$ codex mcp add {} -- …\n{}",
        server.name,
        added.filtered_stdout().trim_end()
    );
    let tools = codex(&["mcp", "tools", server.name]).success();
    println!(
        "\n$ codex mcp tools {}\n{}",
        server.name,
        tools.filtered_stdout().trim_end()
    );

    // The person who runs the demo has decided; `never` asks nobody.
    let approve = format!(
        "mcp_servers.{}.default_tools_approval_mode=\"approve\"",
        server.name
    );
    let file = server.recording.to_string_lossy();
    if args.record {
        return record(&server, &home, &program, &approve);
    }
    let output = codex(&[
        "exec",
        "--json",
        "--skip-git-repo-check",
        "-c",
        &approve,
        "--replay",
        &file,
    ]);
    println!(
        "\n$ codex exec --json --replay xtask/demo/{}",
        server.recording_name()
    );
    story::tell(&output.json_lines());
    ensure!(output.exit() == Some(0), "the replay failed:\n{output}");
    let n_calls = story::n_completed_calls(&output.json_lines());
    ensure!(
        n_calls == 2,
        "the turn was to make 2 calls and made {n_calls}:\n{output}"
    );
    println!("\nThat was a whole turn: 2 calls of a running MCP server, exit code 0.");
    Ok(())
}

struct Server {
    name: &'static str,
    what: String,
    command: Vec<String>,
    recording: PathBuf,
    sum_tool: &'static str,
    echo_argument: &'static str,
}

impl Server {
    fn from_npm() -> Result<Self> {
        let npm = Part::Npm.install()?;
        let script = npm.join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
        ensure!(script.is_file(), "{} is not there", script.display());
        let words = |path: &Path| path.to_string_lossy().into_owned();
        Ok(Self {
            name: "everything",
            what: "@modelcontextprotocol/server-everything, installed from npm".to_owned(),
            command: vec![words(&node(&npm)), words(&script), "stdio".to_owned()],
            recording: recording("everything.jsonl"),
            sum_tool: "get-sum",
            echo_argument: "message",
        })
    }

    fn self_contained(why: &str) -> Result<Self> {
        let program = build("codex-test-support", "fake-mcp-server")?;
        let args = ["--name", "self-contained", "--tools", "echo,add"].map(str::to_owned);
        Ok(Self {
            name: "contained",
            what: format!("our own self-contained test server, because: {why}"),
            command: std::iter::once(program.to_string_lossy().into_owned())
                .chain(args)
                .collect(),
            recording: recording("self-contained.jsonl"),
            sum_tool: "add",
            echo_argument: "text",
        })
    }

    fn recording_name(&self) -> String {
        self.recording
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

fn recording(name: &str) -> PathBuf {
    workspace::root().join("xtask/demo").join(name)
}

fn build(package: &str, program: &str) -> Result<PathBuf> {
    eprintln!("building {program} (release)");
    let mut command = workspace::cargo();
    command.args(["build", "--release", "-p", package, "--bin", program]);
    step::run("cargo build", &mut command, BUILD_LIMIT)?;
    Ok(workspace::target()?.join("release").join(program))
}

/// Runs the turn against a scripted provider and keeps what `--record` writes.
fn record(server: &Server, home: &TestHome, program: &Path, approve: &str) -> Result<()> {
    let namespace = format!("mcp__{}", server.name);
    let words = serde_json::json!({ server.echo_argument: "hello from Codex" }).to_string();
    let provider = MockResponses::start();
    provider.queue(sse(vec![
        ev_response_created("resp_1"),
        ev_reasoning(
            "rs_1",
            &["**Two calls**\n\nOne echoes, one adds; neither waits for the other."],
        ),
        ev_namespaced_call("call_hello", &namespace, "echo", &words),
        ev_namespaced_call(
            "call_sum",
            &namespace,
            &server.sum_tool.replace('-', "_"),
            "{\"a\":19,\"b\":23}",
        ),
        ev_completed("resp_1"),
    ]));
    provider.queue(sse(vec![
        ev_response_created("resp_2"),
        ev_assistant_message("msg_1", "The server says hello, and 19 + 23 = 42."),
        ev_completed("resp_2"),
    ]));
    let fresh = home.path().join("recording.jsonl");
    let base_url = format!("openai_base_url=\"{}\"", provider.base_url());
    let file = fresh.to_string_lossy();
    let args = [
        "exec",
        "--skip-git-repo-check",
        "-c",
        approve,
        "-c",
        &base_url,
        "--record",
        &file,
        PROMPT,
    ];
    home.program(program, args)
        .env("CODEX_API_KEY", "no-key-needed")
        .run()
        .success();
    std::fs::copy(&fresh, &server.recording)
        .with_context(|| format!("cannot write {}", server.recording.display()))?;
    println!("recorded {}", server.recording.display());
    Ok(())
}
