//! The manager against servers written by hand: starts, failures, restarts, changes, calls, the end.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests prepare files directly"
)]

mod apply;
mod calls;
mod front;
mod login;
mod statuses;
mod support;

use std::time::{Duration, Instant};

use codex_config::StartupReadiness;
use codex_host::{AbsPath, CodexHome};
use codex_mcp::{CallContext, ElicitationPolicy, ServerState, StartError, ToolPins};
use codex_protocol::McpOutcome;
use codex_test_support::{FakeStdio, Journal, process_lives, wait_until_gone};
use serde_json::json;
use support::{LIMIT, World, args, http, stdio, text_of, tool};

#[tokio::test]
async fn all_servers_start_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let journals: Vec<Journal> = (0..3)
        .map(|n| Journal::new(folder.path().join(format!("{n}"))))
        .collect();
    let servers = journals.iter().enumerate().map(|(n, journal)| {
        stdio(
            &format!("s{n}"),
            &FakeStdio::new().noting_in(journal).start_when(&gate),
        )
    });
    let mut world = World::start(servers);
    // None of them answers before all of them run: one after another would never get here.
    for journal in journals {
        tokio::task::spawn_blocking(move || journal.wait_for("start", 1, LIMIT))
            .await
            .unwrap();
    }
    std::fs::write(&gate, "").unwrap();
    world.ready(None).await.unwrap();
    assert_eq!(
        world.flat_names(),
        ["mcp__s0__echo", "mcp__s1__echo", "mcp__s2__echo"]
    );
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn every_fault_of_a_start_is_named_and_costs_only_its_server() {
    let mut hanging = stdio("hangs", &FakeStdio::new().hang_in_initialize());
    hanging.startup_timeout = Some(Duration::from_millis(400));
    let mut absent = stdio("absent", &FakeStdio::new());
    absent.transport =
        codex_config::McpServerConfig::stdio(absent.name.clone(), "/no/such/program").transport;
    let mut world = World::start([
        stdio(
            "exits",
            &FakeStdio::new()
                .stderr("cannot open database")
                .exit_at_once(3),
        ),
        hanging,
        absent,
        stdio("no-list", &FakeStdio::new().error_on("tools/list")),
        stdio("noisy", &FakeStdio::new().stdout_noise().stderr_flood(2000)),
        stdio("sound", &FakeStdio::new()),
    ]);
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__noisy__echo", "mcp__sound__echo"]);
    let mut notices = world.stop().await;
    notices.sort();
    let starts: Vec<&str> = notices
        .iter()
        .map(|text| text.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        starts,
        [
            "MCP server `absent` failed to start",
            "MCP server `exits` failed to start",
            "MCP server `hangs` failed to start",
            "MCP server `no-list` failed to start",
        ],
        "{notices:#?}"
    );
    assert!(
        notices[1].contains("exit status 3") && notices[1].contains("cannot open database"),
        "{}",
        notices[1]
    );
}

/// Row 5.required.
#[tokio::test]
async fn required_servers_that_fail_are_one_sentence() {
    let mut missing = stdio("b", &FakeStdio::new()).required();
    if let codex_config::McpTransport::Stdio(transport) = &mut missing.transport {
        let source = None;
        transport.env_vars = vec![codex_config::EnvVar {
            name: "NOPE".to_owned(),
            source,
        }];
    }
    let mut world = World::start([
        stdio("a", &FakeStdio::new().exit_at_once(3)).required(),
        missing,
        stdio("c", &FakeStdio::new()).required(),
        stdio("d", &FakeStdio::new().exit_at_once(1)),
    ]);
    let error = world.ready(None).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("required MCP servers failed to initialize: a: "),
        "{text}"
    );
    assert!(
        text.contains("; b: Environment variable NOPE for MCP server 'b' is not set"),
        "{text}"
    );
    assert!(
        !text.contains("c: ") && !text.contains("d: ") && !text.contains("MCP server `a`"),
        "{text}"
    );
    let hint = "set NOPE in the environment that codex is started from".to_owned();
    assert!(error.hints().contains(&hint), "{:?}", error.hints());
    world.stop().await;
}

/// Row 8.mcp_optional_startup_grace_ms.
#[tokio::test]
async fn a_late_server_is_named_when_the_grace_is_over_and_joins_the_next_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let mut world = World::start([
        stdio("late", &FakeStdio::new().start_when(&gate)),
        stdio("prompt", &FakeStdio::new()),
        stdio("must", &FakeStdio::new()).required(),
    ]);
    world.ready(Some(Duration::from_millis(300))).await.unwrap();
    let snapshot = world.handle.catalog();
    let mut catalogs = world.handle.catalogs();
    assert!(snapshot.server(&support::name("late")).is_none());
    std::fs::write(&gate, "").unwrap();
    let late =
        |catalog: &codex_mcp::ToolCatalog| catalog.lookup(Some("mcp__late"), "echo").is_some();
    let found = tokio::time::timeout(LIMIT, catalogs.wait_for(|catalog| late(catalog))).await;
    drop(found.expect("the late server joins in time").unwrap());
    assert!(late(&world.handle.catalog()));
    assert!(!late(&snapshot), "a snapshot never changes");
    let notices = world.stop().await;
    let text = "MCP servers still starting: late; their tools join when they are ready";
    assert!(notices.contains(&text.to_owned()), "{notices:?}");
}

/// Row 5.startup_readiness.
#[tokio::test]
async fn ready_means_connected_or_listed_as_the_config_says() {
    for (readiness, is_ready) in [
        (StartupReadiness::Connection, true),
        (StartupReadiness::Catalog, false),
    ] {
        let mut config = stdio("x", &FakeStdio::new().silent_on("tools/list")).required();
        config.startup_readiness = readiness;
        config.startup_timeout = Some(Duration::from_secs(2));
        let mut world = World::start([config]);
        assert_eq!(world.ready(None).await.is_ok(), is_ready, "{readiness:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_long_wait_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let mut world = World::start([
        stdio("a", &FakeStdio::new().start_when(&gate)),
        stdio("b", &FakeStdio::new()),
        stdio("c", &FakeStdio::new().start_when(&gate)),
    ]);
    let handle = world.handle.clone();
    let cancel = world.cancel.clone();
    let told = async {
        assert_eq!(world.next_notice().await, "Waiting for MCP servers: a, c");
        std::fs::write(&gate, "").unwrap();
    };
    let (ready, ()) = tokio::join!(handle.ready(None, &cancel), told);
    ready.unwrap();
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_crash_is_told_and_the_next_call_meets_the_new_server() {
    let mut world = World::start([stdio("x", &FakeStdio::new().tools(["die", "echo", "pid"]))]);
    world.ready(None).await.unwrap();
    let before = world.handle.catalog();
    let first = text_of(&world.call("x", "pid", json!({})).await.unwrap());
    let error = world.call("x", "die", json!({})).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("MCP server `x` ended during the call: "),
        "{error}"
    );
    let second = text_of(&world.call("x", "pid", json!({})).await.unwrap());
    assert_ne!(first, second);
    assert_eq!(
        before.tools().count(),
        world.handle.catalog().tools().count()
    );
    let notices = world.stop().await;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].starts_with("MCP server `x` ended unexpectedly (exit status "),
        "{notices:?}"
    );
    assert!(notices[0].ends_with("; restarting"), "{notices:?}");
}

#[tokio::test]
async fn a_restart_remembers_the_era_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal"));
    let server = FakeStdio::new().tools(["die", "echo"]).noting_in(&journal);
    let mut world = World::start_with([stdio("x", &server)], |settings| {
        settings.probe = codex_mcp::Probe::Modern;
    });
    world.ready(None).await.unwrap();
    world.call("x", "die", json!({})).await.unwrap_err();
    world.next_notice().await;
    let again = world.call("x", "echo", json!({"text": "on"})).await;
    assert_eq!(text_of(&again.unwrap()), "ECHO:on");
    let methods = journal.methods();
    let count = |name: &str| methods.iter().filter(|method| *method == name).count();
    assert_eq!(
        (count("server/discover"), count("initialize")),
        (1, 2),
        "{methods:?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_call_that_waits_behind_a_crash_is_not_lost() {
    let mut world = World::start([stdio("x", &FakeStdio::new().tools(["die", "echo"]))]);
    world.ready(None).await.unwrap();
    let (died, answered) = tokio::join!(
        world.call("x", "die", json!({})),
        world.call("x", "echo", json!({"text": "hi"}))
    );
    assert!(died.is_err());
    assert_eq!(text_of(&answered.unwrap()), "ECHO:hi");
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_keeps_ending_is_given_up_and_loses_its_tools() {
    let mut world = World::start_with([stdio("x", &FakeStdio::new().tools(["die"]))], |settings| {
        settings.restart.max_restarts = 1;
        settings.restart.first_delay = Duration::from_millis(1);
    });
    world.ready(None).await.unwrap();
    world.call("x", "die", json!({})).await.unwrap_err();
    world.call("x", "die", json!({})).await.unwrap_err();
    let mut catalogs = world.handle.catalogs();
    let emptied = catalogs.wait_for(|catalog| catalog.tools().next().is_none());
    drop(
        tokio::time::timeout(LIMIT, emptied)
            .await
            .expect("in time")
            .unwrap(),
    );
    let state = world.handle.statuses().remove(0).state;
    assert!(matches!(state, ServerState::Failed(_)), "{state:?}");
    let error = world
        .call("x", "die", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("MCP server `x` is not running: it ended 2 times in a row"),
        "{error}"
    );
    let notices = world.stop().await;
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(
        notices[1].starts_with("MCP server `x` failed to start: it ended 2 times in a row"),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_required_server_that_is_lost_later_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server");
    let fake = FakeStdio::new().tools(["die", "echo"]);
    std::os::unix::fs::symlink(fake.program(), &program).unwrap();
    let mut server = stdio("x", &fake).required();
    if let codex_config::McpTransport::Stdio(transport) = &mut server.transport {
        transport.command = program.to_string_lossy().into_owned();
    }
    let mut world = World::start_with([server], |settings| {
        settings.restart.max_restarts = 2;
        settings.restart.first_delay = Duration::from_millis(1);
    });
    world.ready(None).await.unwrap();
    std::fs::remove_file(&program).unwrap();
    world.call("x", "die", json!({})).await.unwrap_err();
    let error = world
        .call("x", "echo", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("MCP server `x` is not running: could not be started: "),
        "{error}"
    );
    let notices = world.stop().await;
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[0].ends_with("; restarting"), "{notices:?}");
    assert!(
        notices[1].starts_with("MCP server `x` failed to start: could not be started: "),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_changed_list_becomes_a_new_snapshot() {
    let mut world = World::start([stdio("x", &FakeStdio::new().tools(["change_tools"]))]);
    world.ready(None).await.unwrap();
    let mut catalogs = world.handle.catalogs();
    world
        .call("x", "change_tools", json!({"name": "fresh"}))
        .await
        .unwrap();
    let changed = catalogs.wait_for(|catalog| catalog.lookup(None, "mcp__x__fresh").is_some());
    drop(
        tokio::time::timeout(LIMIT, changed)
            .await
            .expect("in time")
            .unwrap(),
    );
    assert_eq!(
        world.flat_names(),
        ["mcp__x__change_tools", "mcp__x__fresh"]
    );
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_tool_that_joins_a_pinned_server_is_held_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = CodexHome::at(AbsPath::new(folder.path()).unwrap());
    let mut server = stdio("x", &FakeStdio::new().tools(["change_tools"]));
    server.pin_tools = true;
    let pins = ToolPins::of(&home);
    let mut world = World::start_with([server], |settings| settings.pins = Some(pins));
    world.ready(None).await.unwrap();
    let mut catalogs = world.handle.catalogs();
    world
        .call("x", "change_tools", json!({"name": "fresh"}))
        .await
        .unwrap();
    let server = support::name("x");
    let held = catalogs.wait_for(|catalog| {
        catalog
            .server(&server)
            .is_some_and(|tools| tools.hidden.iter().any(|tool| tool.name == "fresh"))
    });
    drop(
        tokio::time::timeout(LIMIT, held)
            .await
            .expect("in time")
            .unwrap(),
    );
    assert_eq!(world.flat_names(), ["mcp__x__change_tools"]);
    for tool in ["fresh", "never_listed"] {
        let refused = world.call("x", tool, json!({})).await.unwrap_err();
        assert!(refused.to_string().contains("pinned"), "{refused}");
    }
    assert_eq!(
        world.stop().await,
        [
            "the tools of MCP server `x` are not those that were pinned: `fresh` is new; what differs is held back"
        ]
    );
}

#[tokio::test]
async fn a_list_of_resources_that_is_not_whole_is_told() {
    let mut world = World::start([stdio("x", &FakeStdio::new().endless_pages())]);
    world.ready(None).await.unwrap();
    let server = support::name("x");
    let listed = world.handle.list_resources(&server, &world.cancel).await;
    assert_eq!(listed.unwrap().len(), 2);
    assert_eq!(
        world.stop().await,
        ["the resources of MCP server `x` are incomplete: page 2 repeats a cursor"]
    );
}

/// Rows 5.enabled_tools, 5.disabled_tools.
#[tokio::test]
async fn filters_hold_for_the_catalog_and_for_calls() {
    let mut server = stdio("x", &FakeStdio::new().tools(["echo", "write", "destroy"]));
    server.tools.enabled = Some(vec![
        "echo".to_owned(),
        "write".to_owned(),
        "ecoh".to_owned(),
    ]);
    server.tools.disabled = vec!["write".to_owned(), "gone".to_owned()];
    let mut world = World::start([server]);
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__x__echo"]);
    let refused = world
        .call("x", "write", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "tool `x/write` is not available: disabled_tools of the server leaves it out"
    );
    let refused = world
        .call("x", "destroy", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "tool `x/destroy` is not available: enabled_tools of the server leaves it out"
    );
    let notices = world.stop().await;
    assert_eq!(
        notices,
        ["MCP server `x` has no tool named `ecoh` (in enabled_tools), `gone` (in disabled_tools)"]
    );
}

/// Row 5.tool_input_schema_max_bytes.
#[tokio::test]
async fn a_bad_schema_takes_out_its_tool_alone() {
    let mut server = stdio(
        "x",
        &FakeStdio::new().tools(["echo", "bad_schema", "remote_ref"]),
    );
    server.tool_input_schema_max_bytes = Some(100_000);
    let mut world = World::start([server]);
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__x__echo"]);
    let refused = world
        .call("x", "remote_ref", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.starts_with("tool `x/remote_ref` is not available: "),
        "{refused}"
    );
    let notices = world.stop().await;
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(
        notices[0].starts_with("tool `bad_schema` of MCP server `x` is left out: "),
        "{notices:?}"
    );
    assert!(
        notices[1].starts_with("tool `remote_ref` of MCP server `x` is left out: "),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_tool_that_cannot_be_used_is_told_with_the_way_to_silence_it() {
    let fake = FakeStdio::new().tools(["echo", "task_only"]);
    let mut world = World::start([stdio("x", &fake)]);
    world.ready(None).await.unwrap();
    let notice = world.notice().await;
    assert_eq!(
        notice.text,
        "tool `task_only` of MCP server `x` is left out: it runs only as a task, which this client does not support"
    );
    assert_eq!(notice.hints, ["add it to disabled_tools to silence this"]);
    assert_eq!(world.stop().await, [] as [&str; 0]);

    let mut disabled = stdio("x", &fake);
    disabled.tools.disabled = vec!["task_only".to_owned()];
    let mut not_enabled = stdio("y", &fake);
    not_enabled.tools.enabled = Some(vec!["echo".to_owned()]);
    let mut world = World::start([disabled, not_enabled]);
    world.ready(None).await.unwrap();
    let catalog = world.handle.catalog();
    let reasons: Vec<_> = catalog
        .servers()
        .iter()
        .flat_map(|server| &server.hidden)
        .map(|hidden| hidden.reason.clone())
        .collect();
    assert_eq!(
        reasons,
        [
            codex_mcp::HiddenReason::Filter("disabled_tools"),
            codex_mcp::HiddenReason::Filter("enabled_tools"),
        ]
    );
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

/// Row 5.enabled.
#[tokio::test]
async fn a_server_that_is_off_is_not_started_and_says_why() {
    let mut server = stdio("x", &FakeStdio::new());
    server.enablement = codex_config::Enablement::Off(codex_config::OffReason::User);
    let mut world = World::start([server]);
    world.ready(None).await.unwrap();
    let error = world
        .call("x", "echo", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "MCP server `x` is off: enabled = false");
    let error = world
        .call("y", "echo", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "No MCP server named 'y' found.");
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn nobody_is_alive_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let journals: Vec<Journal> = (0..2)
        .map(|n| Journal::new(folder.path().join(format!("{n}"))))
        .collect();
    let stubborn = FakeStdio::new()
        .ignore_sigterm()
        .ignore_stdin_end()
        .grandchildren(1)
        .noting_in(&journals[0]);
    let mut world = World::start([
        stdio("stubborn", &stubborn),
        stdio("mild", &FakeStdio::new().noting_in(&journals[1])),
    ]);
    world.ready(None).await.unwrap();
    let pids: Vec<u32> = journals.iter().flat_map(Journal::pids).collect();
    assert!(pids.len() >= 3, "{pids:?}");
    assert!(pids.iter().all(|&pid| process_lives(pid)));
    let begin = Instant::now();
    world.stop().await;
    assert!(
        begin.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begin.elapsed()
    );
    for pid in pids {
        assert!(
            wait_until_gone(pid, Duration::from_secs(10)),
            "{pid} is still alive"
        );
    }
}

#[tokio::test]
async fn a_start_that_is_cancelled_ends_soon() {
    let world = World::start([stdio("x", &FakeStdio::new().hang_in_initialize())]);
    let cancel = tokio_util::sync::CancellationToken::new();
    let ready = world.handle.ready(None, &cancel);
    let (ready, ()) = tokio::join!(ready, async { cancel.cancel() });
    assert!(matches!(ready, Err(StartError::Cancelled)));
    let begin = Instant::now();
    world.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(3));
}

/// Row 5.http_headers.
#[tokio::test]
async fn headers_of_all_kinds_reach_an_http_server() {
    let server = codex_test_support::FakeHttp::new()
        .require_bearer("s3cret")
        .start();
    let mut config = http("h", &server.url());
    if let codex_config::McpTransport::StreamableHttp(transport) = &mut config.transport {
        transport.bearer_token_env_var = Some("TOKEN".to_owned());
        transport
            .http_headers
            .insert("X-A".to_owned(), codex_host::Secret::new("1"));
        transport
            .env_http_headers
            .insert("X-Team".to_owned(), "TEAM".to_owned());
    }
    let mut world = World::start([config]);
    world.ready(None).await.unwrap();
    assert_eq!(
        text_of(
            &world
                .call("h", "echo", json!({"text": "hi"}))
                .await
                .unwrap()
        ),
        "ECHO:hi"
    );
    assert!(
        server
            .seen()
            .iter()
            .all(|post| post.header("x-a") == Some("1") && post.header("x-team") == Some("blue"))
    );
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

/// Row 5.http_headers_helper.
#[tokio::test]
async fn a_helper_prints_headers_and_is_asked_once_more_after_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let helper = support::script(
        &folder.path().join("helper"),
        "#!/bin/sh\nif [ -e used ]; then token=good; else token=old; : > used; fi\nprintf '{\"Authorization\": \"Bearer %s\"}' $token\n",
    );
    let server = codex_test_support::FakeHttp::new()
        .require_bearer("good")
        .start();
    let mut config = http("h", &server.url());
    if let codex_config::McpTransport::StreamableHttp(transport) = &mut config.transport {
        transport.http_headers_helper = Some(helper);
    }
    let mut world = World::start_with([config], |settings| {
        settings.cwd = codex_host::AbsPath::new(folder.path()).unwrap();
    });
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__h__echo"]);
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_server_that_wants_a_login_says_so() {
    let server = codex_test_support::FakeHttp::new()
        .require_bearer("good")
        .start();
    let mut world = World::start([http("h", &server.url())]);
    world.ready(None).await.unwrap();
    let ServerState::Failed(failure) = world.handle.statuses().remove(0).state else {
        panic!("it cannot work without a login");
    };
    assert_eq!(failure.step(), codex_mcp::FailedStep::Auth);
    let notices = world.stop().await;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("login"), "{notices:?}");
}
