//! Access lists: what the SID of a folder may do, and what it may not.

use std::io;
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ACCESS_MODE, DENY_ACCESS, EXPLICIT_ACCESS_W, GRANT_ACCESS, GetNamedSecurityInfoW,
    NO_MULTIPLE_TRUSTEE, SE_FILE_OBJECT, SetEntriesInAclW, SetNamedSecurityInfoW, TRUSTEE_IS_SID,
    TRUSTEE_IS_UNKNOWN, TRUSTEE_W,
};
use windows_sys::Win32::Security::{
    ACE_FLAGS, ACL, DACL_SECURITY_INFORMATION, INHERIT_ONLY_ACE, PSID,
    SUB_CONTAINERS_AND_OBJECTS_INHERIT,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ,
    FILE_GENERIC_WRITE, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA, FILE_WRITE_EA, WRITE_DAC,
    WRITE_OWNER,
};

use super::sid::{Sid, wide};

/// Everything that changes something. No right to read is among them.
const CHANGES: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | FILE_WRITE_EA
    | FILE_WRITE_ATTRIBUTES
    | FILE_DELETE_CHILD
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER;

/// One entry of an access list.
pub(super) struct Entry {
    pub(super) sid: PSID,
    pub(super) mode: ACCESS_MODE,
    pub(super) rights: u32,
    pub(super) inheritance: ACE_FLAGS,
}

/// Lets a SID write in a folder, and remove what is in it, but not the folder itself.
///
/// The right to remove children whatever they say would open what is protected among them.
pub(super) fn open_folder(folder: &Path, sid: &Sid) -> io::Result<()> {
    let entry = |rights, inheritance| Entry {
        sid: sid.as_ptr(),
        mode: GRANT_ACCESS,
        rights,
        inheritance,
    };
    let write = FILE_GENERIC_READ | FILE_GENERIC_WRITE | FILE_GENERIC_EXECUTE;
    let below = SUB_CONTAINERS_AND_OBJECTS_INHERIT | INHERIT_ONLY_ACE;
    let entries = [
        entry(write, SUB_CONTAINERS_AND_OBJECTS_INHERIT),
        entry(DELETE, below),
    ];
    change(folder, &entries)
}

/// Keeps a SID from changing a path and what is below it.
pub(super) fn protect(path: &Path, sid: &Sid) -> io::Result<()> {
    let entry = Entry {
        sid: sid.as_ptr(),
        mode: DENY_ACCESS,
        rights: CHANGES,
        inheritance: SUB_CONTAINERS_AND_OBJECTS_INHERIT,
    };
    change(path, &[entry])
}

fn change(path: &Path, entries: &[Entry]) -> io::Result<()> {
    let name = wide(path);
    let (mut old, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: a string with a NUL at its end, and places for two answers.
    let got = unsafe {
        GetNamedSecurityInfoW(
            name.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            &raw mut old,
            null_mut(),
            &raw mut descriptor,
        )
    };
    succeeded(got)?;
    let list = List::with(old, entries);
    // SAFETY: `old` pointed into it, and is not used any more.
    unsafe { LocalFree(descriptor) };
    let list = list?;
    // SAFETY: the string and the list live through the call.
    let set = unsafe {
        SetNamedSecurityInfoW(
            name.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            list.0,
            null(),
        )
    };
    succeeded(set)
}

/// An access list that the system has made.
pub(super) struct List(pub(super) *mut ACL);

impl List {
    /// Copies a list with further entries.
    pub(super) fn with(old: *const ACL, entries: &[Entry]) -> io::Result<Self> {
        let entries: Vec<EXPLICIT_ACCESS_W> = entries
            .iter()
            .map(|entry| EXPLICIT_ACCESS_W {
                grfAccessPermissions: entry.rights,
                grfAccessMode: entry.mode,
                grfInheritance: entry.inheritance,
                Trustee: TRUSTEE_W {
                    pMultipleTrustee: null_mut(),
                    MultipleTrusteeOperation: NO_MULTIPLE_TRUSTEE,
                    TrusteeForm: TRUSTEE_IS_SID,
                    TrusteeType: TRUSTEE_IS_UNKNOWN,
                    ptstrName: entry.sid.cast(),
                },
            })
            .collect();
        let n_entries = u32::try_from(entries.len()).unwrap_or_default();
        let mut list = null_mut();
        // SAFETY: as many entries as are told, whose SIDs live through the call.
        succeeded(unsafe { SetEntriesInAclW(n_entries, entries.as_ptr(), old, &raw mut list) })?;
        Ok(Self(list))
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from a call that says to free it so.
        unsafe { LocalFree(self.0.cast()) };
    }
}

/// These calls return the error itself.
fn succeeded(error: u32) -> io::Result<()> {
    match error {
        ERROR_SUCCESS => Ok(()),
        error => Err(io::Error::from_raw_os_error(error.cast_signed())),
    }
}
