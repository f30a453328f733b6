//! The keyring backend against a real Secret Service on a private bus, in every state it can have.
//!
//! Each test runs itself again under `secret-service.sh`, which makes the state. Needs the programs
//! of [`PROGRAMS`]; where they are missing the tests are left out by name, and under CI they fail.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "the second process finds its orders in the environment; what is left out is named"
)]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use codex_credentials::{
    Backend, Collection, KeyringBackend, KeyringError, Notice, SecretStore, StoreError, StorePolicy,
};
use codex_host::Env;
use serde_json::json;
use support::{CHILD_HOME, Home, LIMIT, found, home_of_child, key, large_record, record, save};

/// What the suite starts, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 4] = [
    ("dbus-run-session", "dbus"),
    ("dbus-send", "dbus"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("secret-tool", "libsecret-tools"),
];
/// All that the private bus and the daemon may take on a busy machine, besides the test's waiting.
const OVERHEAD: Duration = Duration::from_secs(10);

/// Runs a test again beside a Secret Service in the given state; `false`: this is the second run.
fn runs_in(state: &str, test: &str) -> bool {
    if home_of_child().is_some() {
        return false;
    }
    if let Some((program, package)) = PROGRAMS.iter().find(|(program, _)| !is_installed(program)) {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        assert!(
            !is_ci,
            "CI leaves nothing out: `{program}` is missing (package {package})"
        );
        eprintln!("left out: {test}: `{program}` is missing (package {package})");
        return true;
    }
    let home = Home::new();
    let start = Instant::now();
    let output = Command::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/secret-service.sh"
    ))
    .arg(state)
    .arg(std::env::current_exe().unwrap())
    .args(["--exact", test])
    .env(CHILD_HOME, home.folder.path())
    .env("RECORD_SERVICE", Collection::LOGINS.keyring_service)
    .env("RECORD_USER", key("a").as_str())
    .output()
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{state}: {text}\n{errors}"
    );
    // The exit is part of it: a thread that hangs in the keyring must not hold the process.
    assert!(start.elapsed() < LIMIT + OVERHEAD, "{:?}", start.elapsed());
    true
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn store(policy: StorePolicy) -> SecretStore {
    let keyring = KeyringBackend::system(&Env::from_process());
    support::store_at(&home_of_child().unwrap(), policy, keyring)
}

/// Calls the program of another implementation on the same item.
fn secret_tool(verb: &str, attributes: &[&str], stdin: &str) -> String {
    let mut command = Command::new("secret-tool");
    command.arg(verb);
    if verb == "store" {
        command.arg("--label=test");
    }
    let mut child = command
        .args(["service", Collection::LOGINS.keyring_service])
        .args(["username", key("a").as_str()])
        .args(attributes)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// Under `auto` the file serves, with a notice; under `keyring` it is an error; both at once.
async fn falls_back(why: &dyn Fn(&KeyringError) -> bool) {
    let start = Instant::now();
    let auto = store(StorePolicy::Auto);
    assert_eq!(auto.test().await.unwrap(), Backend::File);
    save(&auto, &key("b"), &record(json!({"n": 1}))).await;
    assert_eq!(found(&auto, &key("b")).await, Some(json!({"n": 1})));
    let notices = auto.take_notices();
    let fell_back = notices.iter().any(|notice| match notice {
        Notice::FileInsteadOfKeyring { why: found } => why(found),
        _ => false,
    });
    assert!(fell_back, "{notices:?}");
    assert!(start.elapsed() < LIMIT + Duration::from_secs(1));

    let start = Instant::now();
    let strict = store(StorePolicy::Keyring);
    let StoreError::Keyring(error) = strict.test().await.unwrap_err() else {
        panic!("the file is not used under `keyring`")
    };
    assert!(why(&error), "{error}");
    assert!(!error.hints().is_empty());
    assert!(start.elapsed() < LIMIT + Duration::from_secs(1));
}

#[tokio::test]
async fn an_unlocked_keyring_keeps_changes_and_deletes_6_kb() {
    if runs_in(
        "unlocked",
        "an_unlocked_keyring_keeps_changes_and_deletes_6_kb",
    ) {
        return;
    }
    let auto = store(StorePolicy::Auto);
    assert_eq!(auto.test().await.unwrap(), Backend::Keyring);
    for record in [large_record(), record(json!({"n": 2})), large_record()] {
        save(&auto, &key("a"), &record).await;
        let stored = auto.load(&key("a")).await.unwrap().found.unwrap();
        assert_eq!(stored.backend, Backend::Keyring);
        assert_eq!(stored.json, record.keyring);
        // Another process, and another implementation: the record lies there in one piece.
        let other = store(StorePolicy::Keyring).load(&key("a")).await.unwrap();
        assert_eq!(other.found, Some(stored));
        assert_eq!(secret_tool("lookup", &[], ""), record.keyring.expose());
    }
    let lock = auto.lock(&key("a"), SecretStore::LOCK_LIMIT).await.unwrap();
    assert_eq!(auto.delete(&lock).await.removed, [Backend::Keyring]);
    assert_eq!(secret_tool("lookup", &[], ""), "");
    assert_eq!(found(&auto, &key("a")).await, None);
    assert_eq!(auto.take_notices(), []);
    assert!(!home_of_child().unwrap().join(".credentials.json").exists());
}

#[tokio::test]
async fn an_item_of_the_reference_is_found_and_changed_in_place() {
    if runs_in(
        "unlocked",
        "an_item_of_the_reference_is_found_and_changed_in_place",
    ) {
        return;
    }
    // codex 0.169.0 writes through keyring 3, which adds these two (2026-11-20).
    let attributes = ["target", "default", "application", "rust-keyring"];
    secret_tool("store", &attributes, r#"{"server_name":"a"}"#);
    let store = store(StorePolicy::Keyring);
    assert_eq!(
        found(&store, &key("a")).await,
        Some(json!({"server_name": "a"}))
    );
    save(&store, &key("a"), &record(json!({"n": 2}))).await;
    assert_eq!(secret_tool("lookup", &attributes, ""), r#"{"n":2}"#);
    let lock = store
        .lock(&key("a"), SecretStore::LOCK_LIMIT)
        .await
        .unwrap();
    assert_eq!(store.delete(&lock).await.removed, [Backend::Keyring]);
    assert_eq!(secret_tool("lookup", &attributes, ""), "");
}

#[tokio::test]
async fn two_items_of_one_name_are_both_deleted() {
    if runs_in("unlocked", "two_items_of_one_name_are_both_deleted") {
        return;
    }
    for target in ["one", "two"] {
        secret_tool("store", &["target", target], "{}");
    }
    let store = store(StorePolicy::Keyring);
    assert_eq!(found(&store, &key("a")).await, Some(json!({})));
    let lock = store
        .lock(&key("a"), SecretStore::LOCK_LIMIT)
        .await
        .unwrap();
    assert_eq!(store.delete(&lock).await.removed, [Backend::Keyring]);
    assert_eq!(secret_tool("lookup", &[], ""), "");
}

#[tokio::test]
async fn a_locked_keyring_is_no_keyring_for_now_and_its_copy_is_not_forgotten() {
    let test = "a_locked_keyring_is_no_keyring_for_now_and_its_copy_is_not_forgotten";
    if runs_in("locked", test) {
        return;
    }
    falls_back(&|why| *why == KeyringError::Locked).await;
    let auto = store(StorePolicy::Auto);
    let loaded = auto.load(&key("a")).await.unwrap();
    assert_eq!(loaded.found, None);
    assert_eq!(loaded.keyring_unread, Some(KeyringError::Locked));
    let lock = auto.lock(&key("a"), SecretStore::LOCK_LIMIT).await.unwrap();
    let deleted = auto.delete(&lock).await;
    assert!(matches!(
        deleted.failed.as_slice(),
        [StoreError::Keyring(KeyringError::Locked)]
    ));
}

#[tokio::test]
async fn a_hanging_keyring_ends_at_the_limit() {
    if runs_in("hanging", "a_hanging_keyring_ends_at_the_limit") {
        return;
    }
    falls_back(&|why| *why == KeyringError::Hangs(LIMIT)).await;
}

#[tokio::test]
async fn a_bus_without_a_keyring_holds_no_copy() {
    if runs_in("empty", "a_bus_without_a_keyring_holds_no_copy") {
        return;
    }
    falls_back(&|why| !why.may_hold_a_copy()).await;
}

#[tokio::test]
async fn the_address_of_a_bus_that_is_gone_is_no_keyring() {
    if runs_in("no-bus", "the_address_of_a_bus_that_is_gone_is_no_keyring") {
        return;
    }
    falls_back(&|why| !why.may_hold_a_copy()).await;
}

#[tokio::test]
async fn a_collection_that_lives_in_memory_is_not_used() {
    if runs_in("session", "a_collection_that_lives_in_memory_is_not_used") {
        return;
    }
    falls_back(&|why| *why == KeyringError::Volatile).await;
}

#[tokio::test]
async fn a_daemon_that_dies_between_two_calls_leaves_the_file() {
    let test = "a_daemon_that_dies_between_two_calls_leaves_the_file";
    if runs_in("unlocked", test) {
        return;
    }
    goes_on_after("-KILL").await;
}

#[tokio::test]
async fn a_daemon_that_stops_between_two_calls_leaves_the_file() {
    let test = "a_daemon_that_stops_between_two_calls_leaves_the_file";
    if runs_in("unlocked", test) {
        return;
    }
    goes_on_after("-STOP").await;
}

/// Saves, sends the daemon a signal, and saves again: the file serves, or it is an error, both in time.
async fn goes_on_after(signal: &str) {
    let auto = store(StorePolicy::Auto);
    let strict = store(StorePolicy::Keyring);
    save(&strict, &key("b"), &large_record()).await;
    save(&auto, &key("a"), &large_record()).await;
    let stored = auto.load(&key("a")).await.unwrap().found.unwrap();
    assert_eq!(stored.backend, Backend::Keyring);
    let daemon = std::env::var("KEYRING_PID").unwrap();
    let killed = Command::new("kill").args([signal, &daemon]).status();
    assert!(killed.unwrap().success());
    let start = Instant::now();
    save(&auto, &key("a"), &record(json!({"n": 2}))).await;
    assert!(start.elapsed() < LIMIT + Duration::from_secs(1));
    let stored = auto.load(&key("a")).await.unwrap().found.unwrap();
    assert_eq!(stored.backend, Backend::File);
    let start = Instant::now();
    let lock = strict
        .lock(&key("b"), SecretStore::LOCK_LIMIT)
        .await
        .unwrap();
    let refused = strict.save(&lock, &large_record()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Keyring(_)), "{refused}");
    assert!(start.elapsed() < LIMIT + Duration::from_secs(1));
    let notices = auto.take_notices();
    assert!(matches!(
        notices.first(),
        Some(Notice::FileInsteadOfKeyring { .. })
    ));
}
