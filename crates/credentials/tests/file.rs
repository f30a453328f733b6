//! The file backend and its faults.

#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests prepare files directly"
)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use codex_credentials::{Backend, FileError, Notice, SecretStore, StoreError, StorePolicy};
use codex_host::SecretFileError;
use serde_json::json;
use support::{Home, found, home_of_child, key, no_keyring, passed, record, save, spawn, store_at};

/// Two entries as codex 0.169.0 wrote them (2026-11-20), with a field and an entry of the future.
const OF_THE_REFERENCE: &str = concat!(
    r#"{"figma|4282f2a9112820d2":{"server_name":"figma","server_url":"https://mcp.example.com/mcp","#,
    r#""issuer":"https://as.example.com","client_id":"c","access_token":"at","#,
    r#""expires_at":1795207882000,"refresh_token":"rt","scopes":["openid"],"later":[1.5]},"#,
    r#""odd":"kept"}"#
);

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn write(home: &Home, text: &str) {
    std::fs::write(home.file(), text).unwrap();
    std::fs::set_permissions(home.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn load_error(store: &SecretStore) -> FileError {
    match store.load(&key("figma")).await.unwrap_err() {
        StoreError::File(error) => error,
        StoreError::Keyring(error) => panic!("{error}"),
    }
}

async fn save_error(store: &SecretStore) -> FileError {
    let lock = store.lock(&key("figma"), SecretStore::LOCK_LIMIT).await;
    let saved = store.save(&lock.unwrap(), &record(json!({"n": 1}))).await;
    match saved.unwrap_err() {
        StoreError::File(error) => error,
        StoreError::Keyring(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_login_of_the_reference_is_found_under_its_key() {
    let home = Home::new();
    write(&home, OF_THE_REFERENCE);
    let login = found(&home.file_store(), &key("figma")).await.unwrap();
    assert_eq!(login["refresh_token"], "rt");
}

#[tokio::test]
async fn what_is_not_ours_survives_a_write_to_the_byte() {
    let home = Home::new();
    write(&home, OF_THE_REFERENCE);
    save(&home.file_store(), &key("b"), &record(json!({"n": 1}))).await;
    let ours = r#","b|4282f2a9112820d2":{"n":1}}"#;
    let expected = format!(
        "{}{ours}",
        OF_THE_REFERENCE.trim_end_matches('}').to_owned()
    );
    assert_eq!(home.text(), expected);
}

#[tokio::test]
async fn a_new_file_is_private_and_goes_with_its_last_entry() {
    let home = Home::new();
    let store = home.file_store();
    save(&store, &key("a"), &record(json!({"n": 1}))).await;
    assert_eq!(mode(&home.file()), 0o600);
    let lock = store
        .lock(&key("a"), SecretStore::LOCK_LIMIT)
        .await
        .unwrap();
    let deleted = store.delete(&lock).await;
    assert_eq!(deleted.removed, [Backend::File]);
    assert!(deleted.failed.is_empty());
    assert_eq!(home.names(), [""; 0]);
    assert!(store.delete(&lock).await.removed.is_empty());
}

#[tokio::test]
async fn reading_an_empty_home_makes_nothing() {
    let home = Home::new();
    assert_eq!(found(&home.file_store(), &key("a")).await, None);
    assert_eq!(std::fs::read_dir(home.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn umask_000_still_gives_0600() {
    if let Some(home) = home_of_child() {
        let store = store_at(&home, StorePolicy::File, no_keyring());
        return save(&store, &key("a"), &record(json!({"n": 1}))).await;
    }
    for umask in ["000", "777"] {
        let home = Home::new();
        // The lock directory is made before, for nobody could use one that is made under 777.
        save(&home.file_store(), &key("b"), &record(json!({"n": 1}))).await;
        std::fs::remove_file(home.file()).unwrap();
        let lock = home.file_store();
        drop(lock.lock(&key("a"), SecretStore::LOCK_LIMIT).await.unwrap());
        let test = "umask_000_still_gives_0600";
        passed(spawn(test, home.folder.path(), &format!("umask {umask}")));
        assert_eq!(mode(&home.file()), 0o600, "umask {umask}");
    }
}

#[tokio::test]
async fn a_world_readable_file_is_narrowed_with_one_notice() {
    let home = Home::new();
    write(&home, OF_THE_REFERENCE);
    std::fs::set_permissions(home.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = home.file_store();
    assert!(found(&store, &key("figma")).await.is_some());
    assert_eq!(mode(&home.file()), 0o600);
    let (path, mode) = (home.file(), 0o644);
    assert_eq!(store.take_notices(), [Notice::Narrowed { path, mode }]);
    found(&store, &key("figma")).await;
    assert_eq!(store.take_notices(), []);
}

#[tokio::test]
async fn a_truncated_file_is_an_error_and_is_never_overwritten() {
    let home = Home::new();
    let half = &OF_THE_REFERENCE[..60];
    write(&home, half);
    let store = home.file_store();
    let error = load_error(&store).await;
    assert!(
        matches!(error, FileError::Damaged { line: 1, .. }),
        "{error}"
    );
    assert!(!error.to_string().contains("figma"));
    let lock = store.lock(&key("figma"), SecretStore::LOCK_LIMIT).await;
    let deleted = store.delete(&lock.unwrap()).await;
    assert_eq!((deleted.removed.len(), deleted.failed.len()), (0, 1));
    assert_eq!(home.text(), half);
}

#[tokio::test]
async fn a_new_login_sets_a_damaged_file_aside() {
    let home = Home::new();
    write(&home, "[]");
    let store = home.file_store();
    save(&store, &key("a"), &record(json!({"n": 1}))).await;
    assert_eq!(found(&store, &key("a")).await, Some(json!({"n": 1})));
    let aside = home.folder.path().join(".credentials.json.damaged-1");
    assert_eq!(std::fs::read_to_string(&aside).unwrap(), "[]");
    assert_eq!(mode(&aside), 0o600);
    let path = home.file();
    assert_eq!(store.take_notices(), [Notice::SetAside { path, aside }]);
}

#[tokio::test]
async fn a_symlinked_store_is_refused() {
    let home = Home::new();
    let theirs = home.folder.path().join("theirs");
    std::fs::write(&theirs, "{}").unwrap();
    symlink(&theirs, home.file()).unwrap();
    let store = home.file_store();
    for error in [load_error(&store).await, save_error(&store).await] {
        let FileError::Refused(SecretFileError::Link(path)) = error else {
            panic!("{error}")
        };
        assert_eq!(path, home.file());
    }
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "{}");
}

#[tokio::test]
async fn a_hard_linked_store_is_refused() {
    let home = Home::new();
    write(&home, OF_THE_REFERENCE);
    std::fs::hard_link(home.file(), home.folder.path().join("theirs")).unwrap();
    let error = save_error(&home.file_store()).await;
    assert!(
        matches!(error, FileError::Refused(SecretFileError::Link(_))),
        "{error}"
    );
    assert_eq!(home.text(), OF_THE_REFERENCE);
}

#[tokio::test]
async fn a_file_of_another_user_is_refused() {
    let home = Home::new();
    write(&home, OF_THE_REFERENCE);
    if std::os::unix::fs::chown(home.file(), Some(1), None).is_err() {
        eprintln!("left out: only root can give a file away");
        return;
    }
    let error = load_error(&home.file_store()).await;
    assert!(
        matches!(error, FileError::Refused(SecretFileError::ForeignOwner(_))),
        "{error}"
    );
}

#[tokio::test]
async fn on_a_full_disk_the_old_record_stays() {
    let large = record(json!({"access_token": "x".repeat(200_000)}));
    if let Some(home) = home_of_child() {
        let store = store_at(&home, StorePolicy::File, no_keyring());
        let lock = store.lock(&key("a"), SecretStore::LOCK_LIMIT).await;
        let error = store.save(&lock.unwrap(), &large).await.unwrap_err();
        assert_eq!(error.backend(), Backend::File);
        return;
    }
    let home = Home::new();
    let store = home.file_store();
    save(&store, &key("a"), &record(json!({"n": 1}))).await;
    // A limit on the size of files cuts the write where a full disk would.
    let test = "on_a_full_disk_the_old_record_stays";
    passed(spawn(
        test,
        home.folder.path(),
        "trap '' XFSZ; ulimit -f 64",
    ));
    assert_eq!(found(&store, &key("a")).await, Some(json!({"n": 1})));
    assert_eq!(home.names(), [".credentials.json"]);
}

#[tokio::test]
async fn the_test_before_a_login_fails_where_a_save_would() {
    if let Some(home) = home_of_child() {
        let store = store_at(&home, StorePolicy::File, no_keyring());
        store.test().await.unwrap_err();
        return;
    }
    let home = Home::new();
    assert_eq!(home.file_store().test().await.unwrap(), Backend::File);
    assert_eq!(home.names(), [""; 0]);
    let test = "the_test_before_a_login_fails_where_a_save_would";
    passed(spawn(test, home.folder.path(), "trap '' XFSZ; ulimit -f 2"));
    symlink("nowhere", home.file()).unwrap();
    home.file_store().test().await.unwrap_err();
}

#[tokio::test]
async fn two_processes_that_write_at_once_lose_nothing() {
    const ROUNDS: usize = 25;
    let test = "two_processes_that_write_at_once_lose_nothing";
    if let Some(home) = home_of_child() {
        let store = store_at(&home, StorePolicy::File, no_keyring());
        for round in 0..ROUNDS {
            let lock = store.lock(&key("shared"), SecretStore::LOCK_LIMIT).await;
            let count = found(&store, &key("shared")).await;
            let count = count.map_or(0, |value| value["n"].as_u64().unwrap());
            let next = record(json!({"n": count + 1}));
            store.save(&lock.unwrap(), &next).await.unwrap();
            let own = key(&format!("{}-{round}", std::process::id()));
            save(&store, &own, &record(json!({}))).await;
        }
        return;
    }
    let home = Home::new();
    let process = || spawn(test, home.folder.path(), "");
    [process(), process()].into_iter().for_each(passed);
    let shared = found(&home.file_store(), &key("shared")).await;
    assert_eq!(shared, Some(json!({"n": 2 * ROUNDS})));
    let entries: serde_json::Value = serde_json::from_str(&home.text()).unwrap();
    assert_eq!(entries.as_object().unwrap().len(), 2 * ROUNDS + 1);
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_what_it_reported_as_saved() {
    let test = "a_writer_that_is_killed_leaves_what_it_reported_as_saved";
    if let Some(home) = home_of_child() {
        let store = store_at(&home, StorePolicy::File, no_keyring());
        for n in 1_u64.. {
            let login = json!({"n": n, "access_token": "x".repeat(5000)});
            save(&store, &key("a"), &record(login)).await;
            // Not through the macros: those are kept for the end, which does not come.
            writeln!(std::io::stdout(), "saved {n}").unwrap();
        }
    }
    let home = Home::new();
    for round in 1..=8 {
        let mut writer = spawn(test, home.folder.path(), "");
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let saved = lines.filter_map(|line| line.unwrap().strip_prefix("saved ")?.parse().ok());
        let reported: u64 = saved.take(round * 3).last().unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();
        let kept = found(&home.file_store(), &key("a")).await.unwrap();
        assert!(kept["n"].as_u64().unwrap() >= reported);
        // Its locks died with it, and what it left half written is no obstacle.
        save(&home.file_store(), &key("a"), &record(json!({"n": 0}))).await;
        assert_eq!(home.names(), [".credentials.json"]);
    }
}

#[tokio::test]
async fn a_held_key_is_waited_for_and_names_its_holder_at_the_limit() {
    let home = Home::new();
    let store = home.file_store();
    let held = store
        .lock(&key("a"), SecretStore::LOCK_LIMIT)
        .await
        .unwrap();
    let error = store.lock(&key("a"), std::time::Duration::ZERO).await;
    let pid = format!("(pid {})", std::process::id());
    assert!(error.unwrap_err().to_string().contains(&pid));
    // Another key is another lock, and a freed one is had by who waits.
    store
        .lock(&key("b"), SecretStore::LOCK_LIMIT)
        .await
        .unwrap();
    let waiting_key = key("a");
    let waiting = store.lock(&waiting_key, SecretStore::LOCK_LIMIT);
    let (got, ()) = tokio::join!(waiting, async { drop(held) });
    got.unwrap();
}

#[tokio::test]
async fn entries_of_a_server_that_is_gone_can_be_found_by_their_content() {
    let home = Home::new();
    write(&home, OF_THE_REFERENCE);
    let store = home.file_store();
    let removed = store.delete_from_file_where(|_, entry| {
        let entry: serde_json::Value = entry.parse().unwrap();
        entry["server_name"] == "figma"
    });
    assert_eq!(removed.await.unwrap(), [key("figma")]);
    assert_eq!(home.text(), r#"{"odd":"kept"}"#);
    let key = "odd".to_owned();
    assert_eq!(store.take_notices(), [Notice::EntryKept { key }]);
}
