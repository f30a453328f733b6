//! The place where a case is played: a provider, a home, and the package that drives us.

use std::time::Duration;

use codex_test_support::{
    MockResponses, RealParts, Reply, SECRET_MARK, TestHome, UsageCounts, codex_program,
    ev_assistant_message, ev_completed_with_usage, ev_function_call, ev_response_created, sse,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(90);

/// One of the two packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sdk {
    TypeScript,
    Python,
}

/// A provider, a home, and the package that drives us.
pub(crate) struct Room {
    pub(crate) sdk: Sdk,
    parts: RealParts,
    pub(crate) provider: MockResponses,
    pub(crate) home: TestHome,
}

/// Plays a case, and notes for `cargo xtask test` how it ended.
pub(crate) fn enter(sdk: Sdk, name: &str, case: fn(&Room)) {
    let Some(parts) = RealParts::find() else {
        return;
    };
    // Until it has passed it has failed, also when its process is ended.
    note(sdk, name, "FAILED");
    case(&Room {
        sdk,
        parts,
        provider: MockResponses::start(),
        home: TestHome::new(),
    });
    note(sdk, name, "ok");
}

fn note(sdk: Sdk, name: &str, word: &str) {
    let Some(folder) = std::env::var_os("CODEX_TEST_TRANSCRIPTS") else {
        return;
    };
    let folder = std::path::Path::new(&folder).join("public-sdks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{sdk:?} {name}")), word).unwrap();
}

impl Room {
    /// Returns the key that both packages are given.
    pub(crate) fn key() -> String {
        format!("sdk{SECRET_MARK}-key")
    }

    /// Plays threads at once; returns `{id, turns}` of each.
    pub(crate) fn play(&self, codex: Value, threads: Vec<Value>) -> Vec<Value> {
        let mut codex = with_defaults(
            codex,
            json!({"codex_path_override": codex_program(), "api_key": Self::key()}),
        );
        if codex["api_key"].is_null() {
            codex.as_object_mut().unwrap().remove("api_key");
        }
        let place = json!({"skip_git_repo_check": true, "working_directory": self.home.cwd()});
        let threads: Vec<Value> = threads
            .into_iter()
            .map(|mut thread| {
                thread["thread"] = with_defaults(thread["thread"].take(), place.clone());
                thread
            })
            .collect();
        let script = json!({"codex": codex, "threads": threads});
        let (program, args) = self.driver();
        let output = self
            .home
            .program(program, args)
            .env("OPENAI_BASE_URL", self.provider.base_url())
            .stdin(script.to_string())
            .limit(LIMIT)
            .without_secrets()
            .run();
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|why| panic!("{:?}: {why}\n{output}", self.sdk))
    }

    /// Plays the steps of one thread; returns its `{id, turns}`.
    pub(crate) fn thread(&self, options: Value, steps: Value) -> Value {
        self.play(json!({}), vec![json!({"thread": options, "turns": steps})])
            .remove(0)
    }

    /// Plays a step in a recorded thread; returns `{id, turns}`.
    pub(crate) fn resume(&self, id: &Value, options: Value, step: Value) -> Value {
        let thread = json!({"resume": id, "thread": options, "turns": [step]});
        self.play(json!({}), vec![thread]).remove(0)
    }

    /// Plays one turn and returns it.
    pub(crate) fn turn(&self, options: Value, step: Value) -> Value {
        self.thread(options, json!([step]))["turns"][0].clone()
    }

    /// Plays the words `go on` in one turn and returns it.
    pub(crate) fn run(&self, options: Value) -> Value {
        self.turn(options, json!({"input": "go on"}))
    }

    /// Plays the words `go on` and returns the events.
    pub(crate) fn events(&self, options: Value) -> Vec<Value> {
        let turn = self.turn(options, json!({"input": "go on", "streamed": true}));
        turn["events"]
            .as_array()
            .unwrap_or_else(|| panic!("{turn}"))
            .clone()
    }

    fn driver(&self) -> (std::path::PathBuf, Vec<String>) {
        let script =
            |name: &str| format!("{}/tests/public_sdks/{name}", env!("CARGO_MANIFEST_DIR"));
        match self.sdk {
            Sdk::TypeScript => {
                let module = self.parts.npm_folder();
                let module = module.join("node_modules/@openai/codex-sdk/dist/index.js");
                let module = module.to_string_lossy().into_owned();
                (self.parts.node(), vec![script("drive.mjs"), module])
            }
            Sdk::Python => (self.parts.python(), vec![script("drive.py")]),
        }
    }
}

fn with_defaults(given: Value, mut defaults: Value) -> Value {
    let all = defaults.as_object_mut().unwrap();
    for (key, value) in given.as_object().into_iter().flatten() {
        all.insert(key.clone(), value.clone());
    }
    defaults
}

/// A whole response of these items; each counts 10 tokens in, 4 of them cached, and 3 out.
pub(crate) fn answers(mut items: Vec<Value>) -> Reply {
    items.insert(0, ev_response_created("r"));
    items.push(ev_completed_with_usage(
        "r",
        UsageCounts {
            input: 10,
            cached: 4,
            output: 3,
            reasoning: 1,
        },
    ));
    sse(items)
}

/// An answer in words.
pub(crate) fn says(text: &str) -> Reply {
    answers(vec![ev_assistant_message("m", text)])
}

/// An answer that runs a command line.
pub(crate) fn runs(cmd: &str) -> Reply {
    calls(json!({"cmd": cmd, "login": false}))
}

/// An answer that calls `exec_command`.
pub(crate) fn calls(arguments: Value) -> Reply {
    answers(vec![ev_function_call(
        "c1",
        "exec_command",
        &arguments.to_string(),
    )])
}

/// The types of events; an item's type stands behind its event's.
pub(crate) fn types(events: &[Value]) -> Vec<String> {
    let told = |event: &Value| match event["item"]["type"].as_str() {
        Some(item) => format!("{} {item}", event["type"].as_str().unwrap()),
        None => event["type"].as_str().unwrap().to_owned(),
    };
    events.iter().map(told).collect()
}

/// The items of one type in a turn.
pub(crate) fn items_of<'a>(turn: &'a Value, kind: &str) -> Vec<&'a Value> {
    let items = turn["items"].as_array().unwrap_or_else(|| panic!("{turn}"));
    items.iter().filter(|item| item["type"] == kind).collect()
}

/// The only item of a type in a turn.
pub(crate) fn item_of<'a>(turn: &'a Value, kind: &str) -> &'a Value {
    match items_of(turn, kind)[..] {
        [item] => item,
        _ => panic!("not one {kind}: {turn}"),
    }
}

/// What a turn failed with.
pub(crate) fn error_of(turn: &Value) -> String {
    let error = turn["error"].as_str();
    error
        .unwrap_or_else(|| panic!("no error: {turn}"))
        .to_owned()
}
