//! `codex doctor`: each check by its id, whatever else is wrong.

use codex_test_support::{
    CommandOutput, FakeStdio, MockResponses, TestHome, codex_program, private_etc,
};
use insta::assert_snapshot;
use serde_json::Value;

fn doctor(home: &TestHome, more: &[&str]) -> CommandOutput {
    let fixed = ["doctor"];
    home.codex(fixed.iter().chain(more))
        .env("TERM", "dumb")
        .env("OPENAI_BASE_URL", NOBODY)
        .run()
}

/// A provider that cannot be reached; no test may ask the real one.
const NOBODY: &str = "http://127.0.0.1:1/v1";

fn check(home: &TestHome, id: &str) -> (Option<i32>, Value) {
    let output = doctor(home, &["--json"]);
    (output.exit(), output.json()["checks"][id].clone())
}

/// Logins go into a file: no test may ask the keyring of this machine.
const STORE: &str = "mcp_oauth_credentials_store = \"file\"\n";

#[test]
fn a_sound_home_has_no_failure() {
    let model = MockResponses::start();
    let home = TestHome::with_config(&format!(
        "{STORE}openai_base_url = \"{}\"\n{}",
        model.base_url(),
        FakeStdio::new().toml("x")
    ));
    let output = doctor(&home, &["--json"]);
    let report = output.json();
    assert_eq!(output.exit(), Some(0), "{output}");
    assert_eq!(report["schemaVersion"], 1);
    assert_ne!(report["overallStatus"], "fail");
    let generated = report["generatedAt"].as_str().unwrap();
    assert!(generated.ends_with("s since unix epoch"), "{generated}");
    let checks = report["checks"].as_object().unwrap();
    let ids: Vec<&String> = checks.keys().collect();
    assert_eq!(
        ids,
        [
            "auth.credentials",
            "background.server",
            "config.load",
            "git.environment",
            "installation",
            "mcp.config",
            "mcp.credentials",
            "network.env",
            "network.provider_reachability",
            "policy.requirements",
            "sandbox.helpers",
            "state.paths",
            "terminal.env",
            "updates.status",
        ]
    );
    for (id, check) in checks {
        assert_eq!(check["id"], id.as_str());
        assert!(check["durationMs"].is_u64() && check["details"].is_object());
    }
    assert_eq!(checks["mcp.config"]["summary"], "1 server");
    assert_eq!(
        checks["mcp.credentials"]["summary"],
        "logins are stored in the file"
    );
}

/// Row 7.views.
#[test]
fn the_screen_groups_the_checks_and_counts_them() {
    let config = format!(
        "{STORE}[mcp_servers.docs]\ncommand = \"no-such-program\"\nheaders = {{}}\n[mcp_servers.bad]\ncommand = 3\n"
    );
    let home = TestHome::with_config(&config);
    let output = doctor(&home, &[]);
    assert_eq!(output.exit(), Some(1), "{output}");
    let text = output.filtered_stdout();
    assert!(text.starts_with("Codex Doctor v"), "{text}");
    for line in [
        "\nNotes\n",
        "\nEnvironment\n",
        "\nConfiguration\n",
        "\nUpdates\n  [--] updates.status                 not applicable: ",
        "\nConnectivity\n",
        "\nBackground Server\n  [--] background.server              not applicable: ",
        "  [XX] mcp.config: codex mcp check NAME tells more\n",
        "  [XX] mcp.config                     2 of 2 servers to look at\n",
        "         docs: [CODEX_HOME]/config.toml:4:1: `headers` is ignored. Did you mean `http_headers`?\n",
        "               program not found on PATH: `no-such-program`\n",
        "         bad: [CODEX_HOME]/config.toml:6:11: invalid type: integer `3`, expected a string\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let rows = doctor(&home, &["--summary", "--ascii"]).filtered_stdout();
    assert!(!rows.contains("         docs:"), "{rows}");
    assert!(rows.is_ascii(), "{rows}");
}

#[test]
fn a_config_that_cannot_be_read_fails_its_check_only() {
    let home = TestHome::with_config("a = \n");
    let (exit, load) = check(&home, "config.load");
    assert_eq!((exit, &load["status"]), (Some(1), &"fail".into()), "{load}");
    assert!(
        load["details"]["cause"][0]
            .as_str()
            .unwrap()
            .contains("config.toml:1:")
    );
    assert_eq!(check(&home, "mcp.config").1["status"], "skipped");
    assert_eq!(check(&home, "state.paths").1["status"], "ok");
}

#[test]
fn requirements_that_cannot_be_read_are_named() {
    if !private_etc() {
        return;
    }
    let home = TestHome::with_config(STORE);
    let text = "[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\n[mcp_server_allowlist.bad]\n";
    home.write_system_file("requirements.toml", text);
    let (exit, policy) = check(&home, "policy.requirements");
    assert_eq!(
        (exit, &policy["status"]),
        (Some(1), &"fail".into()),
        "{policy}"
    );
    let problem = policy["details"]["problems"][0].as_str().unwrap();
    assert!(problem.contains("requirements.toml:3:"), "{policy}");
}

#[test]
fn requirements_are_counted_and_what_they_turn_off_is_named() {
    if !private_etc() {
        return;
    }
    let home = TestHome::with_config(&format!(
        "{STORE}[mcp_servers.docs]\ncommand = \"true\"\n[mcp_servers.evil]\ncommand = \"true\"\n"
    ));
    let policy = |text: &str| {
        home.write_system_file("requirements.toml", text);
        check(&home, "policy.requirements").1
    };
    let list = "[mcp_server_allowlist.docs]\ncommand = \"true\"\n[mcp_servers.web.identity]\nurl = \"http://a/b\"\n";
    let more = "allowed_sandbox_modes = [\"read-only\", \"workspace-write\"]\n[features]\nview_image = false\n";
    let listed = policy(&format!("{more}{list}"));
    assert_eq!(listed["status"], "ok", "{listed}");
    assert_snapshot!(listed["summary"].as_str().unwrap(), @"/etc/codex/requirements.toml allows MCP servers of 2 names, pins 1 feature, sets allowed_sandbox_modes");
    assert_snapshot!(listed["details"], @r#"{"sources":["/etc/codex/requirements.toml"],"turned_off":["evil: its name is not listed"],"allowed_sandbox_modes":"\"read-only\", \"workspace-write\""}"#);
    assert_snapshot!(policy("[mcp_servers]\n")["summary"], @r#""/etc/codex/requirements.toml allows no MCP server""#);
    assert_snapshot!(policy(more)["summary"], @r#""/etc/codex/requirements.toml allows any MCP server, pins 1 feature, sets allowed_sandbox_modes""#);
    let broken = policy("[mcp_servers.bad]\n");
    assert_eq!(broken["status"], "fail", "{broken}");
    assert_snapshot!(broken["summary"], @r#""/etc/codex/requirements.toml allows MCP servers of 1 name; 1 problem""#);
}

#[test]
fn the_provider_is_connected_to_and_asked_nothing() {
    let model = MockResponses::start();
    let config = |url: &str| {
        format!(
            "{STORE}model_provider = \"own\"\n[model_providers.own]\nname = \"own\"\nbase_url = \"{url}\"\n"
        )
    };
    let reached = |url: &str| {
        let home = TestHome::with_config(&config(url));
        check(&home, "network.provider_reachability").1
    };
    let good = reached(&model.base_url());
    assert_eq!(good["status"], "ok", "{good}");
    assert!(model.requests().is_empty());
    let refused = reached("http://127.0.0.1:1/hidden");
    assert_eq!(refused["status"], "fail", "{refused}");
    assert_snapshot!(refused["summary"], @r#""cannot reach `http://127.0.0.1:1`: connection refused""#);
    let home = TestHome::with_config(&format!("{STORE}model_provider = \"gone\"\n"));
    let gone = check(&home, "network.provider_reachability").1;
    assert_snapshot!(gone["summary"], @r#""Model provider `gone` not found""#);
}

#[cfg(target_os = "linux")]
#[test]
fn a_sandbox_is_tried_and_what_it_lacks_is_said() {
    let home = TestHome::with_config(STORE);
    let (_, sandbox) = check(&home, "sandbox.helpers");
    assert_snapshot!(sandbox["summary"], @r#""namespaces, Landlock and seccomp hold a command""#);
    let nothing = home.codex(["doctor", "--json"]).env("PATH", "/nowhere");
    let nothing = nothing.env("OPENAI_BASE_URL", NOBODY).run().json();
    let sandbox = &nothing["checks"]["sandbox.helpers"];
    assert_eq!(sandbox["status"], "warning", "{sandbox}");
    assert!(
        sandbox["summary"].as_str().unwrap().contains("`true`"),
        "{sandbox}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_sandbox_without_namespaces_is_a_warning() {
    const WITHOUT: &str = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"";
    let home = TestHome::with_config(STORE);
    let codex = codex_program();
    let words = ["--user", "--map-root-user", "sh", "-c", WITHOUT, "sh"];
    let unshare = home.program("unshare", words).arg(codex);
    let doctor = unshare.arg("doctor").arg("--json");
    let report = doctor.env("OPENAI_BASE_URL", NOBODY).run().json();
    let sandbox = &report["checks"]["sandbox.helpers"];
    assert_eq!(sandbox["status"], "warning", "{sandbox}");
    assert_snapshot!(sandbox["summary"], @r#""Landlock and seccomp alone hold a command: no namespaces""#);
    let told = sandbox["details"]["helper"].as_str().unwrap();
    assert!(
        told.contains("no namespaces here (make namespaces: "),
        "{told}"
    );
}

#[test]
fn secrets_and_paths_of_urls_are_not_shown() {
    let config = format!(
        "{STORE}[mcp_servers.far]\nurl = \"http://127.0.0.1:1/private/path?token=hidden\"\n"
    );
    let home = TestHome::with_config(&config);
    let output = home
        .codex(["doctor", "--all"])
        .env(
            "HTTPS_PROXY",
            "http://me:hunter2@proxy.example:3128/private",
        )
        .env("OPENAI_API_KEY", "sk-hunter2")
        .env(
            "OPENAI_BASE_URL",
            "http://127.0.0.1:1/private/v1?key=hunter2",
        )
        .run();
    for secret in ["hunter2", "hidden", "private"] {
        assert!(!output.stdout.contains(secret), "{output}");
    }
    assert!(
        output
            .stdout
            .contains("HTTPS_PROXY: http://proxy.example:3128"),
        "{output}"
    );
    assert!(output.stdout.contains("OPENAI_API_KEY is set"), "{output}");
    assert!(
        output
            .stdout
            .contains("cannot reach `http://127.0.0.1:1`: connection refused"),
        "{output}"
    );
}

#[test]
fn what_is_to_look_at_is_laid_out_below_its_key() {
    let home = TestHome::with_config(&format!("{STORE}modle = 1\nmodel = 3\n"));
    let output = doctor(&home, &["--no-color"]);
    let text = output.filtered_stdout();
    let start = text.find("[!!] config.load  ").unwrap();
    let (row, rest) = text[start..].split_once('\n').unwrap();
    assert!(row.ends_with("  1 layer, 2 to look at"), "{row}");
    assert_snapshot!(&rest[..rest.find("\n  [").unwrap()], @"
             layers: user ([CODEX_HOME]/config.toml)
             warnings: [CODEX_HOME]/config.toml:3:9: invalid type: integer `3`, expected a string
                       in `model`
                       The setting is ignored.
                       Codex is ignoring 1 unrecognized configuration setting. Check for typos or deprecated settings.
                         user ([CODEX_HOME]/config.toml:2:1): `modle` is ignored. Did you mean `model`?
    ");
    assert!(text.contains("auth.credentials: give a key of provider `openai` in the environment: export OPENAI_API_KEY=…"), "{text}");
}

#[test]
fn only_the_network_is_looked_at_when_that_is_asked() {
    let output = TestHome::new()
        .codex(["doctor", "--network-only"])
        .env("SSL_CERT_FILE", "/no/such/file")
        .env("OPENAI_BASE_URL", NOBODY)
        .run();
    assert_snapshot!(output.filtered_stdout().split_once("\n\n").unwrap().1, @"
    Notes
      [XX] network.env: correct SSL_CERT_FILE, or unset it
      [XX] network.provider_reachability: check that the server runs and that the port is right

    Connectivity
      [XX] network.env                    SSL_CERT_FILE cannot be read: No such file or directory (os error 2)
             SSL_CERT_FILE: /no/such/file
      [XX] network.provider_reachability  cannot reach `http://127.0.0.1:[PORT]`: connection refused
             address: http://127.0.0.1:[PORT]

    0 ok · 0 warnings · 2 failed · 0 skipped
    ");
    assert_eq!(output.exit(), Some(1));
}

#[cfg(unix)]
#[test]
fn private_files_that_others_can_read_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let home = TestHome::with_config(STORE);
    let file = home.codex_home().join(".credentials.json");
    std::fs::write(&file, "{}").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, state) = check(&home, "state.paths");
    assert_eq!(state["status"], "warning", "{state}");
    assert!(
        state["details"]["readable"][0]
            .as_str()
            .unwrap()
            .ends_with("has mode 644")
    );
}
