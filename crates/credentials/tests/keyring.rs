//! The keyring backend and the policies, against a keyring in memory that has faults.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests prepare files directly"
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_credentials::{
    Backend, Collection, Deleted, KeyringBackend, KeyringError, Notice, SecretStore, StoreError,
    StorePolicy,
};
use serde_json::json;
use support::{
    FakeKeyring, Fault, Home, LIMIT, found, key, large_record, no_keyring, record, save, secret,
};

const WINDOWS: Fault = Fault::Small(2560);

async fn keyring_error(store: &SecretStore) -> KeyringError {
    match store.test().await.unwrap_err() {
        StoreError::Keyring(error) => error,
        StoreError::File(error) => panic!("{error}"),
    }
}

async fn save_one(store: &SecretStore, n: u64) -> Result<Backend, StoreError> {
    let lock = store.lock(&key("a"), SecretStore::LOCK_LIMIT).await;
    store
        .save(&lock.unwrap(), &record(json!({"expires_at": n})))
        .await
}

async fn delete(store: &SecretStore) -> Deleted {
    let lock = store.lock(&key("a"), SecretStore::LOCK_LIMIT).await;
    store.delete(&lock.unwrap()).await
}

fn fell_back(store: &SecretStore, why: KeyringError) {
    let notices = store.take_notices();
    assert!(
        notices.contains(&Notice::FileInsteadOfKeyring { why }),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_working_keyring_takes_the_record_and_the_file_copy_goes() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::None));
    save_one(&home.file_store(), 1).await.unwrap();
    let store = home.store(StorePolicy::Auto, &keyring.backend());
    assert_eq!(store.test().await.unwrap(), Backend::Keyring);
    assert_eq!(save_one(&store, 2).await.unwrap(), Backend::Keyring);
    assert_eq!(
        found(&store, &key("a")).await,
        Some(json!({"expires_at": 2}))
    );
    assert_eq!(home.names(), [""; 0]);
    assert_eq!(keyring.users(), [key("a").as_str()]);
    assert_eq!(store.take_notices(), []);
}

#[tokio::test]
async fn each_backend_gets_its_own_form() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::None));
    let both = codex_credentials::Record {
        file: secret(&json!({"in": "file"})),
        keyring: secret(&json!({"in": "keyring"})),
    };
    for policy in [StorePolicy::Keyring, StorePolicy::File] {
        let store = home.store(policy, &keyring.backend());
        save(&store, &key("a"), &both).await;
        let stored = store.load(&key("a")).await.unwrap().found.unwrap();
        let expected = json!({"in": stored.backend.to_string()});
        assert_eq!(stored.json, secret(&expected));
    }
}

#[tokio::test]
async fn of_two_copies_the_later_wins_and_at_equality_the_keyring() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::None));
    let in_keyring = home.store(StorePolicy::Keyring, &keyring.backend());
    let auto = home.store(StorePolicy::Auto, &keyring.backend());
    save_one(&in_keyring, 5).await.unwrap();
    for (in_file, winner) in [
        (4, Backend::Keyring),
        (5, Backend::Keyring),
        (6, Backend::File),
    ] {
        save_one(&home.file_store(), in_file).await.unwrap();
        let stored = auto.load(&key("a")).await.unwrap().found.unwrap();
        assert_eq!(stored.backend, winner, "file {in_file}");
    }
}

#[tokio::test]
async fn without_a_keyring_auto_takes_the_file_with_one_notice_and_keyring_is_an_error() {
    let home = Home::new();
    let store = home.store(StorePolicy::Auto, &no_keyring());
    assert_eq!(save_one(&store, 1).await.unwrap(), Backend::File);
    assert_eq!(save_one(&store, 2).await.unwrap(), Backend::File);
    let notices = store.take_notices();
    let [Notice::FileInsteadOfKeyring { why }] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert!(!why.may_hold_a_copy());
    let deleted = delete(&store).await;
    assert_eq!(deleted.removed, [Backend::File]);
    assert!(deleted.failed.is_empty());

    let strict = home.store(StorePolicy::Keyring, &no_keyring());
    let error = keyring_error(&strict).await;
    assert!(matches!(error, KeyringError::Absent(_)), "{error}");
    save_one(&strict, 1).await.unwrap_err();
    strict.load(&key("a")).await.unwrap_err();
    assert_eq!(home.names(), [""; 0]);
}

#[tokio::test]
async fn a_locked_keyring_is_asked_once_and_the_file_is_used() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::Locked));
    let backend = keyring.backend();
    let store = home.store(StorePolicy::Auto, &backend);
    let loaded = store.load(&key("a")).await.unwrap();
    assert_eq!(loaded.keyring_unread, Some(KeyringError::Locked));
    assert_eq!(save_one(&store, 1).await.unwrap(), Backend::File);
    fell_back(&store, KeyringError::Locked);
    assert!(found(&store, &key("a")).await.is_some());
    assert_eq!(keyring.n_calls(), 1);
    let deleted = delete(&store).await;
    assert_eq!(deleted.removed, [Backend::File]);
    assert!(matches!(
        deleted.failed.as_slice(),
        [StoreError::Keyring(KeyringError::Locked)]
    ));
    let strict = home.store(StorePolicy::Keyring, &backend);
    assert_eq!(keyring_error(&strict).await, KeyringError::Locked);
}

#[tokio::test]
async fn that_no_record_is_there_is_said_only_for_certain() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::None));
    for backend in [keyring.backend(), no_keyring()] {
        let store = home.store(StorePolicy::Auto, &backend);
        assert!(store.holds_none(&key("a")).await);
        save_one(&store, 1).await.unwrap();
        assert!(!store.holds_none(&key("a")).await);
        delete(&store).await;
        assert!(store.holds_none(&key("a")).await);
    }
    let locked = FakeKeyring::new(Fault::Locked);
    let store = home.store(StorePolicy::Auto, &locked.backend());
    assert!(!store.holds_none(&key("a")).await);
}

#[test]
fn a_hanging_keyring_costs_one_limit_and_never_the_exit() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::Hangs));
    let backend = keyring.backend();
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = home.store(StorePolicy::Auto, &backend);
        let loaded = store.load(&key("a")).await.unwrap();
        assert_eq!(loaded.keyring_unread, Some(KeyringError::Hangs(LIMIT)));
        assert_eq!(save_one(&store, 1).await.unwrap(), Backend::File);
        assert!(found(&store, &key("a")).await.is_some());
        fell_back(&store, KeyringError::Hangs(LIMIT));
        let deleted = delete(&store).await;
        assert_eq!((deleted.removed.len(), deleted.failed.len()), (1, 1));
        let strict = home.store(StorePolicy::Keyring, &backend);
        assert_eq!(keyring_error(&strict).await, KeyringError::Hangs(LIMIT));
    });
    drop(runtime);
    assert!(start.elapsed() < LIMIT * 2, "{:?}", start.elapsed());
    assert_eq!(keyring.n_calls(), 1);
}

#[tokio::test]
async fn a_keyring_that_forgets_is_found_out_before_the_browser() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::Forgets));
    let store = home.store(StorePolicy::Auto, &keyring.backend());
    assert_eq!(store.test().await.unwrap(), Backend::File);
    fell_back(&store, KeyringError::NotKept);
    let strict = home.store(StorePolicy::Keyring, &keyring.backend());
    assert_eq!(keyring_error(&strict).await, KeyringError::NotKept);
}

#[tokio::test]
async fn a_record_that_is_not_given_back_is_kept_in_the_file() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::None));
    let store = home.store(StorePolicy::Auto, &keyring.backend());
    store.test().await.unwrap();
    keyring.set_fault(Fault::Forgets);
    assert_eq!(save_one(&store, 1).await.unwrap(), Backend::File);
    fell_back(&store, KeyringError::NotKept);
}

#[tokio::test]
async fn a_volatile_keyring_is_never_used() {
    let home = Home::new();
    // The mock of the library says of itself that it lasts no longer than the process.
    let backend = KeyringBackend::with_store(keyring_core::mock::Store::new().unwrap());
    let strict = home.store(StorePolicy::Keyring, &backend);
    assert_eq!(keyring_error(&strict).await, KeyringError::Volatile);
    let store = home.store(StorePolicy::Auto, &backend);
    assert_eq!(save_one(&store, 1).await.unwrap(), Backend::File);
    fell_back(&store, KeyringError::Volatile);
}

#[tokio::test]
async fn the_policy_file_never_touches_the_keyring() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::None));
    let store = home.store(StorePolicy::File, &keyring.backend());
    store.test().await.unwrap();
    save_one(&store, 1).await.unwrap();
    assert!(found(&store, &key("a")).await.is_some());
    assert_eq!(delete(&store).await.removed, [Backend::File]);
    assert_eq!(store.take_notices(), [Notice::KeyringLeftAlone]);
    assert_eq!(keyring.n_calls(), 0);
}

#[tokio::test]
async fn a_logout_clears_keyring_and_file() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(WINDOWS));
    let store = home.store(StorePolicy::Keyring, &keyring.backend());
    save(&store, &key("a"), &large_record()).await;
    save_one(&home.file_store(), 1).await.unwrap();
    let deleted = delete(&store).await;
    assert_eq!(deleted.removed, [Backend::Keyring, Backend::File]);
    assert_eq!(keyring.users(), [""; 0]);
    assert_eq!(home.names(), [""; 0]);
}

#[tokio::test]
async fn a_record_beyond_the_limit_of_windows_lies_in_pieces() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(WINDOWS));
    let store = home.store(StorePolicy::Keyring, &keyring.backend());
    let (large, small) = (large_record(), record(json!({"expires_at": 2})));
    save(&store, &key("a"), &large).await;
    assert_eq!(keyring.users().len(), 4, "{:?}", keyring.users());
    let stored = store.load(&key("a")).await.unwrap().found.unwrap();
    assert_eq!(stored.json, large.keyring);
    // Over and over: nothing is left behind, and a small one needs no pieces again.
    for (record, n_entries) in [(&large, 4), (&large, 4), (&small, 1), (&large, 4)] {
        save(&store, &key("a"), record).await;
        assert_eq!(keyring.users().len(), n_entries, "{:?}", keyring.users());
        let stored = store.load(&key("a")).await.unwrap().found.unwrap();
        assert_eq!(stored.json, record.keyring);
    }
}

#[tokio::test]
async fn a_writer_that_breaks_off_between_pieces_leaves_the_old_record() {
    for n_pieces in 0..4 {
        let (home, keyring) = (Home::new(), FakeKeyring::new(WINDOWS));
        let (old, new) = (large_record(), record(json!({"t": "y".repeat(3000)})));
        let first = home.store(StorePolicy::Keyring, &keyring.backend());
        save(&first, &key("a"), &old).await;
        // The canary of the new process is the first text that it sets.
        keyring.set_fault(Fault::SmallAndFailsAfter(n_pieces + 1));
        let second = home.store(StorePolicy::Keyring, &keyring.backend());
        let lock = second.lock(&key("a"), SecretStore::LOCK_LIMIT).await;
        second.save(&lock.unwrap(), &new).await.unwrap_err();
        keyring.set_fault(WINDOWS);
        let stored = first.load(&key("a")).await.unwrap().found.unwrap();
        assert_eq!(stored.json, old.keyring, "after {n_pieces} pieces");
        save(&first, &key("a"), &new).await;
        assert_eq!(keyring.users().len(), 4, "{:?}", keyring.users());
    }
}

#[tokio::test]
async fn a_piece_that_is_gone_is_a_damaged_record_and_a_new_login_heals_it() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(WINDOWS));
    let store = home.store(StorePolicy::Keyring, &keyring.backend());
    save(&store, &key("a"), &large_record()).await;
    let piece = keyring.users().pop().unwrap();
    keyring.forget(&piece);
    let error = store.load(&key("a")).await.unwrap_err();
    assert!(matches!(error, StoreError::Keyring(KeyringError::Damaged)));
    save(&store, &key("a"), &large_record()).await;
    assert!(found(&store, &key("a")).await.is_some());
}

#[tokio::test]
async fn a_keyring_that_is_too_small_even_for_pieces_leaves_it_to_the_file() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::Small(100)));
    let store = home.store(StorePolicy::Auto, &keyring.backend());
    save(&store, &key("a"), &large_record()).await;
    fell_back(&store, KeyringError::TooLarge);
    let stored = store.load(&key("a")).await.unwrap().found.unwrap();
    assert_eq!(stored.backend, Backend::File);
}

#[tokio::test]
async fn no_canary_is_left_and_it_is_made_once() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::None));
    let backend = keyring.backend();
    home.store(StorePolicy::Auto, &backend)
        .test()
        .await
        .unwrap();
    let n_calls = keyring.n_calls();
    home.store(StorePolicy::Auto, &backend)
        .test()
        .await
        .unwrap();
    assert_eq!(keyring.n_calls(), n_calls);
    assert_eq!(keyring.users(), [""; 0]);
}

#[tokio::test]
async fn many_loads_at_once_hang_for_one_limit_in_all() {
    let (home, keyring) = (Home::new(), FakeKeyring::new(Fault::Hangs));
    let store = Arc::new(home.store(StorePolicy::Auto, &keyring.backend()));
    let start = Instant::now();
    let mut loads = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = Arc::clone(&store);
        loads.spawn(async move { store.load(&key(&n.to_string())).await.unwrap() });
    }
    assert!(
        loads
            .join_all()
            .await
            .iter()
            .all(|loaded| loaded.found.is_none())
    );
    assert!(start.elapsed() < LIMIT + Duration::from_secs(1));
}

#[tokio::test]
async fn no_secret_is_in_any_error_or_notice() {
    let canary = "canary-3f9a";
    let login = record(json!({"access_token": canary.repeat(500)}));
    for fault in [
        Fault::Locked,
        Fault::Forgets,
        Fault::Small(100),
        Fault::FailsAfter(1),
    ] {
        let (home, keyring) = (Home::new(), FakeKeyring::new(fault));
        for policy in [StorePolicy::Auto, StorePolicy::Keyring] {
            let store = home.store(policy, &keyring.backend());
            let lock = store.lock(&key("a"), SecretStore::LOCK_LIMIT).await;
            let saved = store.save(&lock.unwrap(), &login).await;
            let loaded = store.load(&key("a")).await;
            let notices = store.take_notices();
            let shown = format!("{saved:?} {loaded:?} {notices:?} {store:?} {login:?}");
            assert!(!shown.contains(canary), "{fault:?} {policy:?}");
        }
    }
}

#[test]
fn the_collections_are_those_of_the_contract() {
    let names =
        [Collection::LOGINS, Collection::CLIENTS].map(|kind| (kind.file, kind.keyring_service));
    assert_eq!(
        names,
        [
            (".credentials.json", "Codex MCP Credentials"),
            (".mcp-clients.json", "Codex MCP Clients"),
        ]
    );
}
