//! A home in a temporary folder, a keyring with faults, and this test program as a second process.

#![expect(dead_code, reason = "each test program uses a part of it")]

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_credentials::{
    Collection, KeyringBackend, Record, SecretJson, SecretStore, StoreKey, StorePolicy,
    StoreSettings,
};
use codex_host::{AbsPath, CodexHome, Env};
use keyring_core::api::{CredentialApi, CredentialPersistence, CredentialStoreApi};
use keyring_core::{Credential, CredentialStore, Entry, Error};
use serde_json::{Value, json};

/// Short enough for a test, long enough for a busy machine to finish what does not hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
/// Tells the second process where the home is.
pub(crate) const CHILD_HOME: &str = "CREDENTIALS_TEST_HOME";

pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(".credentials.json")
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// A store that knows no keyring.
    pub(crate) fn file_store(&self) -> SecretStore {
        store_at(self.folder.path(), StorePolicy::File, no_keyring())
    }

    pub(crate) fn store(&self, policy: StorePolicy, keyring: &KeyringBackend) -> SecretStore {
        store_at(self.folder.path(), policy, keyring.clone())
    }

    /// Names of everything in the home but the locks.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "mcp-oauth-locks")
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn no_keyring() -> KeyringBackend {
    KeyringBackend::system(&Env::from_pairs([("XDG_RUNTIME_DIR", "/nowhere")]))
}

pub(crate) fn store_at(home: &Path, policy: StorePolicy, keyring: KeyringBackend) -> SecretStore {
    let home = CodexHome::at(AbsPath::new(home.to_owned()).unwrap());
    let settings = StoreSettings {
        policy,
        home,
        keyring,
        keyring_limit: LIMIT,
    };
    SecretStore::open(Collection::LOGINS, settings)
}

pub(crate) fn key(name: &str) -> StoreKey {
    StoreKey::for_server(name, "https://mcp.example.com/mcp")
}

pub(crate) fn secret(value: &Value) -> SecretJson {
    SecretJson::from_value(value).unwrap()
}

pub(crate) fn record(value: Value) -> Record {
    Record::same(secret(&value))
}

/// A login of some 6 KB, as providers with long tokens make them.
pub(crate) fn large_record() -> Record {
    record(json!({"access_token": "ä".repeat(3000), "expires_at": 1}))
}

pub(crate) async fn save(store: &SecretStore, key: &StoreKey, record: &Record) {
    let lock = store.lock(key, SecretStore::LOCK_LIMIT).await.unwrap();
    store.save(&lock, record).await.unwrap();
}

pub(crate) async fn found(store: &SecretStore, key: &StoreKey) -> Option<Value> {
    let loaded = store.load(key).await.unwrap();
    loaded.found.map(|stored| stored.json.parse().unwrap())
}

/// Starts one test of this program in a process of its own, after a piece of shell.
pub(crate) fn spawn(test: &str, home: &Path, prelude: &str) -> Child {
    let script = format!("{prelude}\nexec \"$0\" --exact \"$1\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap());
    command
        .arg(test)
        .env(CHILD_HOME, home)
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for the end of [`spawn`] and checks that the test ran there and passed.
pub(crate) fn passed(child: Child) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

/// Returns the home that the parent gave, in a child; the parent's own run of the test ends here.
pub(crate) fn home_of_child() -> Option<PathBuf> {
    std::env::var_os(CHILD_HOME).map(PathBuf::from)
}

/// How a keyring misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Locked,
    Hangs,
    Forgets,
    /// Takes that many bytes of UTF-16.
    Small(u32),
    /// Works until that many texts were set, then fails.
    FailsAfter(usize),
    /// As small as that of Windows, and fails like the one before.
    SmallAndFailsAfter(usize),
}

/// A keyring in memory that claims to last, with a fault.
pub(crate) struct FakeKeyring {
    inner: Arc<Inner>,
}

struct Inner {
    fault: Mutex<Fault>,
    entries: Mutex<BTreeMap<(String, String), String>>,
    n_sets: AtomicUsize,
    n_calls: AtomicUsize,
}

impl FakeKeyring {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            inner: Arc::new(Inner {
                fault: Mutex::new(fault),
                entries: Mutex::default(),
                n_sets: AtomicUsize::new(0),
                n_calls: AtomicUsize::new(0),
            }),
        }
    }

    /// A process that meets this keyring for the first time.
    pub(crate) fn backend(&self) -> KeyringBackend {
        let store: Arc<CredentialStore> = Arc::new(Store(Arc::clone(&self.inner)));
        KeyringBackend::with_store(store)
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        *self.inner.fault.lock().unwrap() = fault;
        self.inner.n_sets.store(0, Ordering::Relaxed);
    }

    pub(crate) fn users(&self) -> Vec<String> {
        let entries = self.inner.entries.lock().unwrap();
        entries.keys().map(|(_, user)| user.clone()).collect()
    }

    /// Loses an entry as a user does who tidies up by hand.
    pub(crate) fn forget(&self, user: &str) {
        let mut entries = self.inner.entries.lock().unwrap();
        entries.retain(|(_, entry), _| entry != user);
    }

    pub(crate) fn n_calls(&self) -> usize {
        self.inner.n_calls.load(Ordering::Relaxed)
    }
}

struct Store(Arc<Inner>);

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        "test".to_owned()
    }

    fn id(&self) -> String {
        "test".to_owned()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        _: Option<&HashMap<&str, &str>>,
    ) -> keyring_core::Result<Entry> {
        Ok(Entry::new_with_credential(Arc::new(Item {
            inner: Arc::clone(&self.0),
            name: (service.to_owned(), user.to_owned()),
        })))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn persistence(&self) -> CredentialPersistence {
        CredentialPersistence::UntilDelete
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

struct Item {
    inner: Arc<Inner>,
    name: (String, String),
}

impl Item {
    fn fault(&self) -> keyring_core::Result<Fault> {
        self.inner.n_calls.fetch_add(1, Ordering::Relaxed);
        let fault = *self.inner.fault.lock().unwrap();
        match fault {
            Fault::Locked => Err(Error::NoStorageAccess("locked".into())),
            Fault::Hangs => loop {
                std::thread::park();
            },
            _ => Ok(fault),
        }
    }
}

impl CredentialApi for Item {
    fn set_secret(&self, secret: &[u8]) -> keyring_core::Result<()> {
        let text = String::from_utf8(secret.to_vec()).unwrap();
        let fault = self.fault()?;
        let (limit, most_sets) = match fault {
            Fault::Forgets => return Ok(()),
            Fault::Small(limit) => (limit, usize::MAX),
            Fault::FailsAfter(most) => (u32::MAX, most),
            Fault::SmallAndFailsAfter(most) => (2560, most),
            Fault::None | Fault::Locked | Fault::Hangs => (u32::MAX, usize::MAX),
        };
        if text.encode_utf16().count() * 2 > limit as usize {
            let what = "password encoded as UTF-16".to_owned();
            return Err(Error::TooLong(what, limit));
        }
        if self.inner.n_sets.fetch_add(1, Ordering::Relaxed) >= most_sets {
            return Err(Error::PlatformFailure("broken".into()));
        }
        let mut entries = self.inner.entries.lock().unwrap();
        entries.insert(self.name.clone(), text);
        Ok(())
    }

    fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
        self.fault()?;
        let entries = self.inner.entries.lock().unwrap();
        let text = entries.get(&self.name).ok_or(Error::NoEntry)?;
        Ok(text.clone().into_bytes())
    }

    fn delete_credential(&self) -> keyring_core::Result<()> {
        self.fault()?;
        let mut entries = self.inner.entries.lock().unwrap();
        entries.remove(&self.name).map(drop).ok_or(Error::NoEntry)
    }

    fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some(self.name.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Item")
    }
}
