//! The one keyring of each platform, and how its absence looks.
//!
//! The kernel's keyutils are not among them: they forget everything at logout or reboot.

#[cfg(any(target_os = "linux", target_os = "macos", windows))]
use std::sync::Arc;

use codex_host::Env;
use keyring_core::Entry;

/// What the environment tells about the keyring.
#[derive(Debug)]
pub(super) struct Facts {
    #[cfg(target_os = "linux")]
    has_session_bus: bool,
}

pub(super) use of_this_platform::{connect, is_absence, is_kept_on_disk};

#[cfg(target_os = "linux")]
mod of_this_platform {
    use keyring_core::CredentialStore;
    use zbus_secret_service_keyring_store::Store;
    use zbus_secret_service_keyring_store::cred::Wrapper;

    use super::{Arc, Entry, Env, Facts};
    use crate::KeyringError;
    use crate::keyring::calls::ours;

    /// The errors by which bus and provider say that they are not there.
    const ABSENCES: [&str; 6] = [
        "ServiceUnknown",
        "NameHasNoOwner",
        "org.freedesktop.DBus.Error.Spawn",
        "no secret service provider or dbus session found",
        "No such file or directory",
        "Connection refused",
    ];

    impl Facts {
        pub(in crate::keyring) fn gather(env: &Env) -> Self {
            let has_address = env.non_empty("DBUS_SESSION_BUS_ADDRESS").is_some();
            // Where the library looks without an address. Without this one either it knows another.
            let has_default = env
                .non_empty("XDG_RUNTIME_DIR")
                .is_none_or(|folder| std::path::Path::new(folder).join("bus").exists());
            Self {
                has_session_bus: has_address || has_default,
            }
        }
    }

    pub(in crate::keyring) fn connect(facts: &Facts) -> Result<Arc<CredentialStore>, KeyringError> {
        if !facts.has_session_bus {
            return Err(KeyringError::Absent("no session bus".to_owned()));
        }
        Ok(Store::new().map_err(ours)?)
    }

    /// Returns whether an error says that there is no keyring, rather than that it failed.
    pub(in crate::keyring) fn is_absence(text: &str) -> bool {
        ABSENCES.iter().any(|absence| text.contains(absence))
    }

    /// Returns whether the item lies in a lasting collection: the one named `session` is memory.
    pub(in crate::keyring) fn is_kept_on_disk(entry: &Entry) -> bool {
        let Ok(item) = entry.get_credential() else {
            return true;
        };
        item.as_any()
            .downcast_ref::<Wrapper>()
            .is_none_or(|item| !item.get_path().contains("/collection/session/"))
    }
}

#[cfg(any(target_os = "macos", windows))]
mod of_this_platform {
    #[cfg(target_os = "macos")]
    use apple_native_keyring_store::keychain::Store;
    use keyring_core::CredentialStore;
    #[cfg(windows)]
    use windows_native_keyring_store::Store;

    use super::{Arc, Entry, Env, Facts};
    use crate::KeyringError;
    use crate::keyring::calls::ours;

    impl Facts {
        pub(in crate::keyring) fn gather(_env: &Env) -> Self {
            Self {}
        }
    }

    pub(in crate::keyring) fn connect(_: &Facts) -> Result<Arc<CredentialStore>, KeyringError> {
        Ok(Store::new().map_err(ours)?)
    }

    /// These keyrings are part of the system.
    pub(in crate::keyring) fn is_absence(_text: &str) -> bool {
        false
    }

    pub(in crate::keyring) fn is_kept_on_disk(_entry: &Entry) -> bool {
        true
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod of_this_platform {
    use keyring_core::CredentialStore;

    use super::{Entry, Env, Facts};
    use crate::KeyringError;

    impl Facts {
        pub(in crate::keyring) fn gather(_env: &Env) -> Self {
            Self {}
        }
    }

    pub(in crate::keyring) fn connect(
        _: &Facts,
    ) -> Result<std::sync::Arc<CredentialStore>, KeyringError> {
        Err(KeyringError::Absent(
            "none is supported on this platform".to_owned(),
        ))
    }

    pub(in crate::keyring) fn is_absence(_text: &str) -> bool {
        false
    }

    pub(in crate::keyring) fn is_kept_on_disk(_entry: &Entry) -> bool {
        true
    }
}
