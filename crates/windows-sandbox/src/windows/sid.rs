//! Security identifiers, by which rights are granted.

use std::io;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::ConvertStringSidToSidW;
use windows_sys::Win32::Security::{GetTokenInformation, PSID, TOKEN_GROUPS, TokenLogonSid};

use super::check;

/// Everybody.
pub(super) const EVERYONE: &str = "S-1-1-0";

/// A SID that the system has made from its written form.
#[derive(Debug)]
pub(super) struct Sid(PSID);

impl Sid {
    pub(super) fn parse(text: &str) -> io::Result<Self> {
        let text = wide(text);
        let mut sid = null_mut();
        // SAFETY: a string with a NUL at its end, and a place for the answer.
        check(unsafe { ConvertStringSidToSidW(text.as_ptr(), &raw mut sid) })?;
        Ok(Self(sid))
    }

    /// Valid as long as this value lives.
    pub(super) fn as_ptr(&self) -> PSID {
        self.0
    }
}

impl Drop for Sid {
    fn drop(&mut self) {
        // SAFETY: it came from a call that says to free it so.
        unsafe { LocalFree(self.0) };
    }
}

/// The SID of this logon, which guards its desktop.
#[derive(Debug)]
pub(super) struct LogonSid(Vec<u64>);

impl LogonSid {
    pub(super) fn of_token(token: HANDLE) -> io::Result<Self> {
        let mut length = 0;
        // SAFETY: asks for the length only.
        unsafe { GetTokenInformation(token, TokenLogonSid, null_mut(), 0, &raw mut length) };
        let n_words = usize::try_from(length).unwrap_or_default().div_ceil(8);
        let mut groups = vec![0_u64; n_words.max(1)];
        // SAFETY: there is room for as many bytes as are told, aligned for the structure.
        check(unsafe {
            GetTokenInformation(
                token,
                TokenLogonSid,
                groups.as_mut_ptr().cast(),
                length,
                &raw mut length,
            )
        })?;
        let this = Self(groups);
        match this.groups().GroupCount {
            1.. => Ok(this),
            0 => Err(io::Error::other("this process belongs to no logon")),
        }
    }

    fn groups(&self) -> &TOKEN_GROUPS {
        // SAFETY: the system has written the structure, and the words are aligned for it.
        unsafe { &*self.0.as_ptr().cast() }
    }

    /// Valid as long as this value lives.
    pub(super) fn as_ptr(&self) -> PSID {
        self.groups().Groups[0].Sid
    }
}

/// Returns a string with a NUL at its end.
pub(super) fn wide(text: impl AsRef<std::ffi::OsStr>) -> Vec<u16> {
    use std::os::windows::ffi::OsStrExt;

    text.as_ref().encode_wide().chain(Some(0)).collect()
}
