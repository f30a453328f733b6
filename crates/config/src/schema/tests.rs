//! The committed schema is current, describes every key, and judges files as the strict loader does.

use codex_host::{AbsPath, CodexHome, Env};
use codex_utils_json_schema::JsonSchema;
use serde_json::Value;

use super::requirements::requirements_schema;
use super::{WRITE, config_schema};
use crate::requirements::{KNOWN, Requirements};
use crate::system::PreferenceTexts;
use crate::{LoadRequest, SystemPaths, load};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
const README: &str = include_str!("../../../../README.md");
const DOCS: [&str; 5] = [
    include_str!("../../../../docs/approvals.md"),
    include_str!("../../../../docs/config.md"),
    include_str!("../../../../docs/exec.md"),
    include_str!("../../../../docs/mcp.md"),
    include_str!("../../../../docs/mcp-oauth.md"),
];

/// Row 13.current.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the one way to ask a test to write its file"
)]
fn the_committed_schema_is_current() {
    for (name, schema) in [
        ("config.schema.json", config_schema()),
        ("requirements.schema.json", requirements_schema()),
    ] {
        let file = format!("{COMMITTED}/{name}");
        let fresh = format!("{schema:#}\n");
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&file, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == fresh,
            "docs/{name} is stale: run `cargo xtask write-config-schema`"
        );
    }
}

/// What the schema says about a file; `Err` is its first complaint.
fn by_schema(text: &str) -> Result<(), String> {
    by(&config_schema(), text)
}

fn by(schema: &Value, text: &str) -> Result<(), String> {
    let value: Value = toml_edit::de::from_str(text).map_err(|error| error.to_string())?;
    let schema = JsonSchema::compile(schema).expect("it is a schema");
    schema
        .validate(&value)
        .map_err(|mismatch| mismatch.to_string())
}

/// What the loader says about it under `--strict-config`.
fn by_loader(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::from_pairs([("CODEX_HOME", folder.path())]);
    let home = CodexHome::find(&env).unwrap();
    codex_host::PrivateFile::replace(&home.config_file(), text.as_bytes()).unwrap();
    let system = SystemPaths::below(&folder.path().join("no-system"));
    let mut request = LoadRequest::new(home, AbsPath::new("/").unwrap(), system);
    request.strict = true;
    load(&request).map(drop).map_err(|error| error.to_string())
}

fn examples(docs: &str) -> impl Iterator<Item = &str> {
    let fences = docs.split("```toml\n").skip(1);
    fences.map(|rest| rest.split_once("```").expect("a fence is closed").0)
}

/// Row 13.examples.
#[test]
fn every_example_of_the_docs_is_a_good_file() {
    let whole_files: Vec<&str> = DOCS.into_iter().flat_map(examples).collect();
    assert!(whole_files.len() >= 2, "the docs lost their examples");
    for example in whole_files {
        assert_eq!(by_schema(example), Ok(()), "{example}");
        assert_eq!(by_loader(example), Ok(()), "{example}");
    }
    // The README shows what to add to a file that is there.
    for example in examples(README) {
        assert_eq!(by_schema(example), Ok(()), "{example}");
    }
}

/// Row 13.agreement.
#[test]
fn the_schema_and_the_strict_loader_agree_on_good_files() {
    for text in [
        "",
        "model = \"m\"\n[tui]\ntheme = \"dark\"\n",
        "approval_policy = \"on-request\"\nsandbox_mode = \"workspace-write\"\n",
        "[tools]\nupdate_plan = { enabled = true }\n",
        "[features]\nunified_exec = false\nview_image_tool = true\nrmcp_client = true\n",
        "experimental_use_rmcp_client = true\n[tools]\nview_image = false\n",
        "[projects.\"/srv\"]\ntrust_level = \"trusted\"\n",
        "[model_providers.x]\nname = \"X\"\nbase_url = \"http://127.0.0.1:1/v1\"\n",
        "[mcp_servers.a]\ncommand = \"x\"\nenv_vars = [\"A\", { name = \"B\", source = \"local\" }]\n",
        "[mcp_servers.a]\ncommand = \"x\"\nstartup_timeout_sec = 1.5\nenabled = false\n",
        "[mcp_servers.a]\nurl = \"http://127.0.0.1/\"\n[mcp_servers.a.oauth]\nclient_id = \"c\"\n",
        "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.a.tools.t]\napproval_mode = \"approve\"\n",
    ] {
        assert_eq!(by_schema(text), Ok(()), "{text}");
        assert_eq!(by_loader(text), Ok(()), "{text}");
    }
}

/// Row 13.agreement.
#[test]
fn the_schema_and_the_strict_loader_agree_on_bad_files() {
    for text in [
        "modle = \"m\"\n",
        "model = 3\n",
        "model_context_window = -1\n",
        "mcp_oauth_callback_port = 70000\n",
        "approval_policy = \"sometimes\"\n",
        "sandbox_mode = \"loose\"\n",
        "[features]\nno_such_feature = true\n",
        "[features]\nunified_exec = \"yes\"\n",
        "[tools]\nupdate_plan = { enabled = 1 }\n",
        "[tools]\nupdate_plan = { on = true }\n",
        "[projects.\"/srv\"]\ntrust_level = \"maybe\"\n",
        "[mcp_servers.a]\ncommand = \"x\"\nheaders = {}\n",
        "[mcp_servers.a]\ncommand = [\"x\"]\n",
        "[mcp_servers.a]\ncommand = \"x\"\nenabled = \"yes\"\n",
        "[mcp_servers.a]\ncommand = \"x\"\nenv = { A = 1 }\n",
        "[mcp_servers.a]\ncommand = \"x\"\nenv_vars = [{ source = \"local\" }]\n",
        "[mcp_servers.a]\nurl = \"http://127.0.0.1/\"\nbearer_token = \"t\"\n",
        "[mcp_servers.a]\nurl = \"http://127.0.0.1/\"\noauth = { port = 1 }\n",
        "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.a.tools.t]\napproval_mode = \"perhaps\"\n",
    ] {
        assert!(by_schema(text).is_err(), "the schema takes {text}");
        assert!(by_loader(text).is_err(), "the loader takes {text}");
    }
}

/// Whether the requirements of a machine are without a fault for those who read them.
fn is_good_policy(text: &str) -> bool {
    let file = AbsPath::new("/etc/codex/requirements.toml").unwrap();
    let content = Ok(Some(std::sync::Arc::from(text)));
    let read = Requirements::read(&file, content, &PreferenceTexts::default());
    read.problems().is_empty()
}

/// Row 13.requirements.
#[test]
fn the_schema_and_the_reader_of_requirements_agree() {
    let schema = requirements_schema();
    let keys = schema["properties"].as_object().unwrap().keys();
    let known: std::collections::BTreeSet<&str> = KNOWN.iter().copied().collect();
    assert_eq!(
        keys.map(String::as_str).collect::<Vec<_>>(),
        known.into_iter().collect::<Vec<_>>()
    );
    for text in [
        "",
        "[mcp_server_allowlist]\n",
        "[mcp_server_allowlist.a]\ncommand = \"x\"\nallow = [\"cwd\"]\n",
        "[mcp_servers.a.identity]\nurl = { match = \"prefix\", value = \"https://h/\" }\n",
        "[mcp_servers.a.identity.command]\nexecutable = \"x\"\nargs = [{ match = \"regex\", expression = \"a+\" }]\n",
        "allowed_approval_policies = [\"never\"]\nallowed_sandbox_modes = [\"read-only\"]\n",
        "[features]\nunified_exec = false\n",
    ] {
        assert_eq!(by(&schema, text), Ok(()), "{text}");
        assert!(is_good_policy(text), "{text}");
    }
    for text in [
        "mcp_server_allow_list = {}\n",
        "mcp_servers = 3\n",
        "[mcp_server_allowlist.a]\ncommand = \"x\"\nargs = []\n",
        "[mcp_server_allowlist.a]\ncommand = [\"x\"]\n",
        "[mcp_servers.a]\ncommand = \"x\"\n",
        "[mcp_servers.a.identity]\nurl = { match = \"suffix\", value = \"x\" }\n",
        "[mcp_servers.a.identity]\ncommand = { args = [] }\n",
        "allowed_approval_policies = []\n",
        "allowed_sandbox_modes = [\"loose\"]\n",
        "[features]\nno_such_feature = true\n",
        "[features]\nunified_exec = 1\n",
    ] {
        assert!(by(&schema, text).is_err(), "the schema takes {text}");
        assert!(!is_good_policy(text), "the reader takes {text}");
    }
}

/// Row 13.keys.
#[test]
fn every_key_has_a_description() {
    fn walk(schema: &Value, path: &str, missing: &mut Vec<String>) {
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            if !inner["description"].is_string()
                && !path.contains("EnvVar.")
                && !path.contains("UpdatePlan.")
            {
                missing.push(path.clone());
            }
            walk(inner, &path, missing);
        }
    }
    let mut missing = Vec::new();
    for schema in [config_schema(), requirements_schema()] {
        walk(&schema, "", &mut missing);
        for (name, definition) in schema["definitions"].as_object().unwrap() {
            walk(definition, name, &mut missing);
        }
    }
    assert_eq!(missing, [""; 0]);
}
