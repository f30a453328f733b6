//! What is measured, and the bars.

use anyhow::{Context, Result, ensure};
use codex_test_support::{
    MockResponses, Reply, ev_assistant_message, ev_completed, ev_function_call, ev_item_added,
    ev_namespaced_call, ev_response_created, ev_text_delta, sse,
};
use serde_json::Value;

use super::subject::{Sample, Subject};
use crate::workspace;

const MIB: f64 = 1024.0 * 1024.0;

/// One scenario that both programs run.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) limits: Limits,
    /// Takes seconds, so it runs in fewer rounds.
    pub(super) heavy: bool,
    pub(super) run: fn(&Subject) -> Result<Sample>,
}

/// The most that is allowed; what is not set is printed and not judged.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) memory: Option<f64>,
    /// Seconds.
    pub(super) cpu: Option<f64>,
    pub(super) cpu_ratio: Option<f64>,
    pub(super) first_request_ratio: Option<f64>,
    pub(super) wall_ratio: Option<f64>,
}

/// Returns the rows in the order of the table.
pub(super) fn all() -> Vec<Row> {
    vec![
        Row {
            name: "--version",
            limits: Limits {
                memory: Some(6.0 * MIB),
                ..Limits::default()
            },
            heavy: false,
            run: |subject| subject.sample(&["--version"]),
        },
        Row {
            name: "mcp list, 10 servers",
            limits: Limits {
                memory: Some(12.0 * MIB),
                cpu_ratio: Some(0.5),
                ..Limits::default()
            },
            heavy: false,
            run: |subject| {
                subject.configure(&stdio_servers(10)?)?;
                subject.sample(&["mcp", "list"])
            },
        },
        Row {
            name: "loading 4 layers, 100 servers",
            limits: Limits {
                cpu: Some(0.003),
                ..Limits::default()
            },
            heavy: false,
            run: loading,
        },
        Row {
            name: "exec, one turn",
            limits: Limits {
                memory: Some(25.0 * MIB),
                cpu_ratio: Some(0.25),
                first_request_ratio: Some(0.25),
                ..Limits::default()
            },
            heavy: false,
            run: one_turn,
        },
        Row {
            name: "exec, 20 servers",
            limits: Limits {
                first_request_ratio: Some(0.6),
                ..Limits::default()
            },
            heavy: true,
            run: twenty_servers,
        },
        Row {
            name: "50 calls, one by one",
            limits: Limits {
                wall_ratio: Some(0.4),
                ..Limits::default()
            },
            heavy: true,
            run: |subject| fifty_calls(subject, 1),
        },
        Row {
            name: "50 calls, all at once",
            limits: Limits {
                wall_ratio: Some(0.4),
                ..Limits::default()
            },
            heavy: true,
            run: |subject| fifty_calls(subject, 50),
        },
        Row {
            name: "50 shell calls in one turn",
            limits: Limits {
                memory: Some(30.0 * MIB),
                wall_ratio: Some(0.3),
                ..Limits::default()
            },
            heavy: true,
            run: fifty_commands,
        },
        Row {
            name: "5 MB in 64-byte deltas",
            limits: Limits {
                memory: Some(60.0 * MIB),
                cpu_ratio: Some(0.4),
                ..Limits::default()
            },
            heavy: true,
            run: long_answer,
        },
        Row {
            name: "what the sandbox adds to a command",
            limits: Limits {
                cpu: Some(0.005),
                ..Limits::default()
            },
            heavy: false,
            run: sandbox_overhead,
        },
    ]
}

/// The difference between the same command with and without sandbox, a mean of several runs:
/// one of them takes but a few ticks of the clock by which the kernel counts CPU time.
fn sandbox_overhead(subject: &Subject) -> Result<Sample> {
    const RUNS: u32 = 5;
    subject.configure("")?;
    let run = |mode: &str| {
        let mode = format!("sandbox_mode=\"{mode}\"");
        subject.sample(&["sandbox", "-c", &mode, "--", "true"])
    };
    let (mut cpu, mut wall, mut peak_memory) = (0.0, 0.0, 0.0_f64);
    for _ in 0..RUNS {
        let (held, free) = (run("workspace-write")?, run("danger-full-access")?);
        cpu += (held.cpu - free.cpu) / f64::from(RUNS);
        wall += (held.wall - free.wall) / f64::from(RUNS);
        peak_memory = peak_memory.max(held.peak_memory);
    }
    Ok(Sample {
        wall,
        cpu,
        peak_memory,
        first_request: None,
    })
}

pub(super) fn one_turn(subject: &Subject) -> Result<Sample> {
    subject.configure("")?;
    let provider = MockResponses::start();
    provider.otherwise(answer("done"));
    subject.exec(&provider)
}

/// What the layers cost: the list of their servers, less the same command without any.
fn loading(subject: &Subject) -> Result<Sample> {
    const COMMAND: [&str; 3] = ["mcp", "list", "--json"];
    const FILES: [&str; 3] = [
        "codex-home/bench.config.toml",
        "codex-home/managed_config.toml",
        "work/.codex/config.toml",
    ];
    let servers = |from: usize| -> String {
        let table = |index| {
            format!(
                "[mcp_servers.l{index}]\ncommand = \"prog-{index}\"\nargs = [\"--port\", \"{index}\"]\n\
                 env = {{ MODE = \"fast\" }}\nstartup_timeout_sec = 12.5\nenabled_tools = [\"a\", \"b\"]\n\n"
            )
        };
        (from..from + 25).map(table).collect()
    };
    subject.configure("")?;
    FILES.iter().try_for_each(|name| subject.write(name, ""))?;
    let without = subject.sample(&COMMAND)?;
    let trust = format!(
        "[projects.{:?}]\ntrust_level = \"trusted\"\n",
        subject.work()
    );
    subject.configure(&format!("{}{trust}", servers(0)))?;
    for (place, name) in FILES.iter().enumerate() {
        subject.write(name, &servers(25 * (place + 1)))?;
    }
    let with = subject.sample(&[&["-p", "bench"], &COMMAND[..]].concat());
    // The next row begins without them, whatever happened here.
    FILES.iter().try_for_each(|name| subject.write(name, ""))?;
    let with = with?;
    Ok(Sample {
        wall: with.wall - without.wall,
        cpu: with.cpu - without.cpu,
        ..with
    })
}

fn twenty_servers(subject: &Subject) -> Result<Sample> {
    subject.configure(&stdio_servers(20)?)?;
    let provider = MockResponses::start();
    provider.otherwise(answer("done"));
    subject.exec(&provider)
}

/// Fifty calls of a real server, `at_once` of them in each response.
fn fifty_calls(subject: &Subject, at_once: usize) -> Result<Sample> {
    subject.configure(&stdio_servers(1)?)?;
    let call = |id: &str| ev_namespaced_call(id, "mcp__s0", "echo", "{\"text\":\"x\"}");
    fifty(subject, at_once, call, "Output:")
}

/// Fifty commands in the sandbox, each in a response of its own.
fn fifty_commands(subject: &Subject) -> Result<Sample> {
    subject.configure("")?;
    let call = |id: &str| ev_function_call(id, "exec_command", "{\"cmd\":\"echo x\"}");
    fifty(subject, 1, call, "Process exited with code 0")
}

/// One turn of fifty calls; the output of each must hold `proof` and the `x` that was asked for.
fn fifty(
    subject: &Subject,
    at_once: usize,
    call: impl Fn(&str) -> Value,
    proof: &str,
) -> Result<Sample> {
    const CALLS: usize = 50;
    let ids: Vec<String> = (0..CALLS).map(|call| format!("call_{call}")).collect();
    let provider = MockResponses::start();
    for response in ids.chunks(at_once) {
        let mut events = vec![ev_response_created("resp")];
        events.extend(response.iter().map(|id| call(id)));
        events.push(ev_completed("resp"));
        provider.queue(sse(events));
    }
    provider.otherwise(answer("done"));
    let sample = subject.exec(&provider)?;
    // A turn that calls nothing would be a fast one.
    let requests = provider.requests();
    let last = requests.last().context("no request came in")?;
    for id in &ids {
        let output = last.function_call_output_text(id).unwrap_or_default();
        // The reference shows the structured content alone, we the text: both hold the `x`.
        let ran = output.contains(proof) && output.contains('x');
        ensure!(
            ran,
            "{}: {id} of {CALLS} did not run: {output}",
            subject.name
        );
    }
    Ok(sample)
}

fn long_answer(subject: &Subject) -> Result<Sample> {
    const SIZE: usize = 5 * 1000 * 1000;
    subject.configure("")?;
    let piece = "0123456789abcdef".repeat(4);
    let n_pieces = SIZE / piece.len();
    let mut events = vec![ev_response_created("resp"), ev_item_added("msg")];
    events.extend(std::iter::repeat_n(ev_text_delta("msg", &piece), n_pieces));
    events.push(ev_assistant_message("msg", &piece.repeat(n_pieces)));
    events.push(ev_completed("resp"));
    let provider = MockResponses::start();
    provider.queue(sse(events));
    provider.otherwise(Reply::error(400, "unexpected", "one request was expected"));
    subject.exec(&provider)
}

fn answer(text: &str) -> Reply {
    sse(vec![
        ev_response_created("resp"),
        ev_assistant_message("msg", text),
        ev_completed("resp"),
    ])
}

/// Returns the tables of so many fake servers, from the release build.
fn stdio_servers(count: usize) -> Result<String> {
    let program = workspace::target()?.join("release/fake-mcp-server");
    let program = Value::from(program.to_string_lossy().into_owned());
    let table = |index| format!("[mcp_servers.s{index}]\ncommand = {program}\nargs = []\n\n");
    Ok((0..count).map(table).collect())
}
