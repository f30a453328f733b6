//! Newer settings while servers run.

use std::time::Duration;

use codex_config::{Enablement, OffReason, ServerChange, ToolFilter};
use codex_mcp::ServerState;
use codex_test_support::{FakeStdio, Journal, process_lives, wait_until_gone};
use serde_json::json;

use crate::support::{LIMIT, World, name, stdio, text_of};

struct Three {
    folder: tempfile::TempDir,
}

impl Three {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn journal(&self, server: &str) -> Journal {
        Journal::new(self.folder.path().join(server))
    }

    fn fake(&self, server: &str) -> FakeStdio {
        FakeStdio::new().noting_in(&self.journal(server))
    }

    fn pids(&self, server: &str) -> Vec<u32> {
        self.journal(server).pids()
    }
}

#[tokio::test]
async fn only_the_server_that_changed_gets_another_process() {
    let three = Three::new();
    let servers = ["a", "b"].map(|server| stdio(server, &three.fake(server)));
    let mut world = World::start(servers.clone());
    world.ready(None).await.unwrap();
    let (a, b) = (three.pids("a"), three.pids("b"));

    let changed = stdio("b", &three.fake("b").tools(["echo", "add"]));
    let [first, _] = servers;
    world
        .apply(
            [first.clone(), changed.clone()],
            &[("b", ServerChange::Endpoint)],
        )
        .await;
    world.ready(None).await.unwrap();
    assert_eq!(
        world.flat_names(),
        ["mcp__a__echo", "mcp__b__add", "mcp__b__echo"]
    );
    assert_eq!(three.pids("a"), a);
    assert!(process_lives(a[0]));
    // The old process was gone before the new one was there.
    let entries = three.journal("b").events("start");
    assert_eq!(entries.len(), 2);
    assert!(!process_lives(b[0]));

    // One that is turned off ends, one that is added starts, the third stays.
    let mut off = changed;
    off.enablement = Enablement::Off(OffReason::User);
    let added = stdio("c", &three.fake("c"));
    world
        .apply(
            [first, off, added],
            &[("b", ServerChange::Removed), ("c", ServerChange::Added)],
        )
        .await;
    assert_eq!(world.flat_names(), ["mcp__a__echo"]);
    let refused = world.call("b", "echo", json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("is off"), "{refused}");
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__a__echo", "mcp__c__echo"]);
    assert!(wait_until_gone(three.pids("b")[1], LIMIT));
    assert_eq!(three.pids("a"), a);
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn other_filters_need_no_other_process() {
    let three = Three::new();
    let mut server = stdio("a", &three.fake("a").tools(["echo", "add"]));
    let mut world = World::start([server.clone()]);
    world.ready(None).await.unwrap();
    let mut catalogs = world.handle.catalogs();
    catalogs.borrow_and_update();
    server.tools = ToolFilter {
        enabled: Some(vec!["add".to_owned()]),
        ..ToolFilter::default()
    };
    world
        .apply([server], &[("a", ServerChange::Settings)])
        .await;
    // At once for calls, and for the catalog as soon as the tools are listed again.
    world.call("a", "echo", json!({})).await.unwrap_err();
    let listed = catalogs.wait_for(|catalog| catalog.tools().count() == 1);
    tokio::time::timeout(LIMIT, listed).await.unwrap().unwrap();
    assert_eq!(world.flat_names(), ["mcp__a__add"]);
    assert_eq!(three.pids("a").len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_was_given_up_is_tried_again_when_it_changes() {
    let three = Three::new();
    let mut broken = stdio("a", &three.fake("a").exit_at_once(3));
    broken.required = true;
    let mut world = World::start([broken]);
    world.ready(None).await.unwrap_err();
    let mut changes = world.handle.status_changes();
    let sound = stdio("a", &three.fake("a"));
    world.apply([sound], &[("a", ServerChange::Endpoint)]).await;
    world.ready(None).await.unwrap();
    let answer = world.call("a", "echo", json!({"text": "hi"})).await;
    assert!(text_of(&answer.unwrap()).contains("hi"));
    let statuses = tokio::time::timeout(LIMIT, changes.next()).await.unwrap();
    let statuses = statuses.unwrap();
    assert_eq!(statuses[0].server, name("a"));
    assert!(matches!(statuses[0].state, ServerState::Ready(_)));
    world.stop().await;
}

#[tokio::test]
async fn orders_that_follow_fast_leave_one_process() {
    let three = Three::new();
    let server = stdio("a", &three.fake("a"));
    let mut off = server.clone();
    off.enablement = Enablement::Off(OffReason::User);
    let mut world = World::start([server.clone()]);
    for _ in 0..5 {
        world
            .apply([off.clone()], &[("a", ServerChange::Removed)])
            .await;
        world
            .apply([server.clone()], &[("a", ServerChange::Added)])
            .await;
    }
    world.ready(None).await.unwrap();
    world.call("a", "echo", json!({"text": "x"})).await.unwrap();
    let alive = three
        .pids("a")
        .into_iter()
        .filter(|pid| process_lives(*pid));
    assert_eq!(alive.count(), 1);
    // A removed one is unknown and ends too.
    world.apply([], &[("a", ServerChange::Removed)]).await;
    assert!(world.handle.statuses().is_empty());
    for pid in three.pids("a") {
        assert!(wait_until_gone(pid, LIMIT));
    }
    world.handle.shutdown(Duration::from_secs(1)).await;
    world.stop().await;
}
