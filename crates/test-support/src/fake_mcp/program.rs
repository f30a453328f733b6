//! The program `fake-mcp-server`: JSON lines on stdin and stdout, one thread per request.

use std::io::{BufRead, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::exchange::Exchange;
use super::journal::Journal;
use super::script::{Answer, Era, Peer, Script, is_modern};
use super::tools::wait_for_file;

const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// How the process behaves, apart from what it says.
#[derive(Debug, Default)]
struct Manners {
    journal: Option<Journal>,
    stderr: Option<String>,
    stderr_flood: usize,
    exit_at_once: Option<u8>,
    fail_first_start: Option<String>,
    hang_in_initialize: bool,
    wait_for: Option<String>,
    start_after: Duration,
    noise: bool,
    huge_line: Option<usize>,
    exit_on: Vec<String>,
    silent_on: Vec<String>,
    error_on: Vec<String>,
    ask_on: Vec<String>,
    ignore_sigterm: bool,
    ignore_eof: bool,
    grandchildren: usize,
}

struct Server {
    script: Script,
    manners: Manners,
    exchange: Exchange,
    stdout: Mutex<std::io::Stdout>,
    /// Ids of open `subscriptions/listen` requests.
    listeners: Mutex<Vec<Value>>,
}

/// Runs the server until stdin ends.
pub fn main() -> ExitCode {
    let (script, manners) = parse(std::env::args().skip(1));
    let server = Server {
        script,
        manners,
        exchange: Exchange::default(),
        stdout: Mutex::new(std::io::stdout()),
        listeners: Mutex::default(),
    };
    server.note("start", json!({"pid": std::process::id()}));
    if let Some(code) = server.prepare() {
        return ExitCode::from(code);
    }
    Arc::new(server).serve();
    ExitCode::SUCCESS
}

impl Server {
    /// Does what comes before the first read; a code ends the program.
    fn prepare(&self) -> Option<u8> {
        let manners = &self.manners;
        if manners.ignore_sigterm {
            self.survive_sigterm();
        }
        for _ in 0..manners.grandchildren {
            // It inherits stdout and stderr: whoever reads them to the end waits for it too.
            let child = Command::new("sleep")
                .arg("1000")
                .stdin(Stdio::null())
                .spawn();
            let pid = child.expect("`sleep` can be started").id();
            self.note("grandchild", json!({ "pid": pid }));
        }
        let mut stderr = std::io::stderr();
        if let Some(line) = &manners.stderr {
            let _ = writeln!(stderr, "{line}");
        }
        for n in 0..manners.stderr_flood {
            let _ = writeln!(stderr, "flood {n} {}", "y".repeat(1000));
        }
        if let Some(code) = manners.exit_at_once {
            return Some(code);
        }
        if let Some(marker) = &manners.fail_first_start
            && std::fs::File::create_new(marker).is_ok()
        {
            return Some(1);
        }
        if let Some(file) = &manners.wait_for {
            wait_for_file(file, WAIT_LIMIT);
        }
        std::thread::sleep(manners.start_after);
        if manners.noise {
            self.write_line("Welcome to the fake server, listening on stdio!");
        }
        None
    }

    fn serve(self: Arc<Self>) {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { break };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice::<Value>(&line) {
                Ok(message) => self.receive(message),
                Err(why) => self.note("bad line", json!({"why": why.to_string()})),
            }
        }
        self.note("stdin closed", json!({}));
        if self.manners.ignore_eof {
            std::thread::sleep(WAIT_LIMIT);
        }
    }

    fn receive(self: &Arc<Self>, message: Value) {
        self.note("message", json!({ "message": message }));
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        if self.manners.exit_on.contains(&method) {
            self.exit(1);
        }
        if self.exchange.take_in(&message) || message.get("id").is_none() {
            return;
        }
        let handshake = method == "initialize" || method == "server/discover";
        let silent = self.manners.silent_on.contains(&method);
        if silent || (handshake && self.manners.hang_in_initialize) {
            return;
        }
        let server = Arc::clone(self);
        std::thread::spawn(move || server.respond(&method, &message));
    }

    fn respond(self: Arc<Self>, method: &str, request: &Value) {
        let id = &request["id"];
        if method == "subscriptions/listen" && self.script.era.speaks_modern() {
            self.listeners
                .lock()
                .expect("no holder panics")
                .push(id.clone());
            self.send(&json!({
                "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": {
                    "_meta": {"io.modelcontextprotocol/subscriptionId": id},
                    "notifications": request["params"]["notifications"],
                },
            }));
            return;
        }
        let peer = StdioPeer {
            server: &self,
            modern: is_modern(request),
        };
        let is_in = |methods: &[String]| methods.iter().any(|other| other == method);
        if is_in(&self.manners.ask_on) {
            let _ = peer.ask("elicitation/create", json!({"message": "May I?"}));
        }
        let answer = if is_in(&self.manners.error_on) {
            Answer::error(-32603, format!("the fake refuses {method}"))
        } else {
            self.script.answer(request, &peer)
        };
        if self.manners.noise {
            self.write_line("some library prints here");
        }
        if let Some(n_bytes) = self.manners.huge_line.filter(|_| method == "tools/list") {
            self.write_line(&"z".repeat(n_bytes));
        }
        if let Some(message) = answer.message(id) {
            self.send(&message);
        }
    }

    fn send(&self, message: &Value) {
        self.write_line(&message.to_string());
    }

    fn write_line(&self, line: &str) {
        let mut stdout = self.stdout.lock().expect("no holder panics");
        let sent = stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.write_all(b"\n"))
            .and_then(|()| stdout.flush());
        if sent.is_err() && !self.manners.ignore_eof {
            self.exit(1);
        }
    }

    /// Registers a handler that only notes: tokio never gives the default action back.
    fn survive_sigterm(&self) {
        let journal = self.manners.journal.clone();
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime can be built").block_on(async {
                let kind = tokio::signal::unix::SignalKind::terminate();
                let mut signals = tokio::signal::unix::signal(kind).expect("a handler can be set");
                let _ = ready.send(());
                while signals.recv().await.is_some() {
                    if let Some(journal) = &journal {
                        journal.note("sigterm", json!({}));
                    }
                }
            });
        });
        let _ = is_ready.recv();
    }

    /// Dies as it stands: a server that crashes does not unwind.
    fn exit(&self, code: i32) -> ! {
        self.note("exit", json!({ "code": code }));
        std::process::exit(code)
    }

    fn note(&self, event: &str, more: Value) {
        if let Some(journal) = &self.manners.journal {
            journal.note(event, more);
        }
    }
}

struct StdioPeer<'a> {
    server: &'a Server,
    modern: bool,
}

impl Peer for StdioPeer<'_> {
    fn send(&self, message: Value) {
        self.server.send(&message);
    }

    fn ask(&self, method: &str, params: Value) -> Option<Value> {
        let id = self.server.exchange.next_id();
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        self.server.exchange.answer(&id, WAIT_LIMIT)
    }

    fn wait_for_cancel(&self, id: &Value, limit: Duration) -> bool {
        let seen = self.server.exchange.cancelled(id, limit);
        if let Some(params) = &seen {
            self.server
                .note("cancelled", json!({"id": id, "params": params}));
        }
        seen.is_some()
    }

    fn die(&self) {
        self.server.exit(3)
    }

    fn broadcast(&self, mut message: Value) {
        if !self.modern {
            return self.send(message);
        }
        for id in self
            .server
            .listeners
            .lock()
            .expect("no holder panics")
            .iter()
        {
            message["params"]["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id});
            self.send(message.clone());
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> (Script, Manners) {
    let mut script = Script {
        name: "fake".into(),
        ..Script::default()
    };
    let mut manners = Manners::default();
    while let Some(name) = args.next() {
        let mut value = || {
            args.next()
                .unwrap_or_else(|| panic!("{name} needs a value"))
        };
        match name.as_str() {
            "--tools" => script.tools = value().split(',').map(str::to_owned).collect(),
            "--describe" => {
                let value = value();
                let (name, text) = value.split_once('=').expect("NAME=TEXT");
                script.descriptions.push((name.to_owned(), text.to_owned()));
            }
            "--count" => script.count = number(&value()),
            "--page-size" => script.page_size = Some(number(&value())),
            "--endless-pages" => script.endless_pages = true,
            "--skills" => script.has_skills = true,
            "--name" => script.name = value(),
            "--instructions" => script.instructions = Some(value()),
            "--era" => {
                script.era = match value().as_str() {
                    "legacy" => Era::Legacy,
                    "modern" => Era::Modern,
                    "both" => Era::Both,
                    other => panic!("unknown era {other}"),
                }
            }
            "--protocol-version" => script.forced_version = Some(value()),
            "--journal" => manners.journal = Some(Journal::new(value())),
            "--stderr" => manners.stderr = Some(value()),
            "--stderr-flood" => manners.stderr_flood = number(&value()),
            "--exit-at-once" => manners.exit_at_once = Some(value().parse().expect("a code")),
            "--fail-first-start" => manners.fail_first_start = Some(value()),
            "--hang-in-initialize" => manners.hang_in_initialize = true,
            "--wait-for" => manners.wait_for = Some(value()),
            "--start-after-ms" => {
                manners.start_after = Duration::from_millis(value().parse().expect("a number"));
            }
            "--noise" => manners.noise = true,
            "--huge-line" => manners.huge_line = Some(number(&value())),
            "--exit-on" => manners.exit_on.push(value()),
            "--silent-on" => manners.silent_on.push(value()),
            "--error-on" => manners.error_on.push(value()),
            "--ask-on" => manners.ask_on.push(value()),
            "--ignore-sigterm" => manners.ignore_sigterm = true,
            "--ignore-eof" => manners.ignore_eof = true,
            "--grandchildren" => manners.grandchildren = number(&value()),
            other => panic!("unknown argument {other}"),
        }
    }
    (script, manners)
}

fn number(text: &str) -> usize {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no number"))
}
