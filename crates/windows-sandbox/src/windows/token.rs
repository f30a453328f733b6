//! The token of the command: the user's, without privileges, and with writing restricted.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::GENERIC_ALL;
use windows_sys::Win32::Security::Authorization::GRANT_ACCESS;
use windows_sys::Win32::Security::{
    CreateRestrictedToken, DISABLE_MAX_PRIVILEGE, GetTokenInformation, LUA_TOKEN, NO_INHERITANCE,
    PSID, SID_AND_ATTRIBUTES, SetTokenInformation, TOKEN_ADJUST_DEFAULT, TOKEN_ASSIGN_PRIMARY,
    TOKEN_DEFAULT_DACL, TOKEN_DUPLICATE, TOKEN_QUERY, TokenDefaultDacl, WRITE_RESTRICTED,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::acl::{Entry, List};
use super::sid::{EVERYONE, LogonSid, Sid};
use super::{check, owned};

/// Makes a token that may write only what the user may and one of these SIDs too.
///
/// The logon is among them for its desktop, and everybody for devices like `NUL`: what everybody
/// may write stays open.
pub(super) fn restricted(capabilities: &[Sid]) -> io::Result<OwnedHandle> {
    let own = own_token()?;
    let logon = LogonSid::of_token(own.as_raw_handle())?;
    let everyone = Sid::parse(EVERYONE)?;
    let mut sids: Vec<PSID> = capabilities.iter().map(Sid::as_ptr).collect();
    sids.extend([logon.as_ptr(), everyone.as_ptr()]);
    let restricting: Vec<SID_AND_ATTRIBUTES> = sids
        .iter()
        .map(|sid| SID_AND_ATTRIBUTES {
            Sid: *sid,
            Attributes: 0,
        })
        .collect();
    let mut token = null_mut();
    // SAFETY: as many SIDs as are told, all of which live through the call.
    check(unsafe {
        CreateRestrictedToken(
            own.as_raw_handle(),
            DISABLE_MAX_PRIVILEGE | LUA_TOKEN | WRITE_RESTRICTED,
            0,
            null(),
            0,
            null(),
            u32::try_from(restricting.len()).unwrap_or_default(),
            restricting.as_ptr(),
            &raw mut token,
        )
    })?;
    let token = owned(token)?;
    // The logon alone: with everybody in it, others could open the pipes of the command.
    let own_objects = [&[logon.as_ptr()], &sids[..capabilities.len()]].concat();
    grant_own_objects(&token, &own_objects)?;
    Ok(token)
}

fn own_token() -> io::Result<OwnedHandle> {
    let rights = TOKEN_DUPLICATE | TOKEN_QUERY | TOKEN_ASSIGN_PRIMARY | TOKEN_ADJUST_DEFAULT;
    let mut token = null_mut();
    // SAFETY: the handle of this process needs no closing, and there is a place for the answer.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), rights, &raw mut token) })?;
    owned(token)
}

/// Lets the command write what it makes itself and what has no path: pipes, events, memory.
fn grant_own_objects(token: &OwnedHandle, sids: &[PSID]) -> io::Result<()> {
    let handle = token.as_raw_handle();
    let mut length = 0;
    // SAFETY: asks for the length only.
    unsafe { GetTokenInformation(handle, TokenDefaultDacl, null_mut(), 0, &raw mut length) };
    let n_words = usize::try_from(length).unwrap_or_default().div_ceil(8);
    let mut usual = vec![0_u64; n_words.max(1)];
    // SAFETY: there is room for as many bytes as are told, aligned for the structure.
    check(unsafe {
        GetTokenInformation(
            handle,
            TokenDefaultDacl,
            usual.as_mut_ptr().cast(),
            length,
            &raw mut length,
        )
    })?;
    // SAFETY: the system has written the structure, and the words are aligned for it.
    let usual: &TOKEN_DEFAULT_DACL = unsafe { &*usual.as_ptr().cast() };
    let entries: Vec<Entry> = sids
        .iter()
        .map(|sid| Entry {
            sid: *sid,
            mode: GRANT_ACCESS,
            rights: GENERIC_ALL,
            inheritance: NO_INHERITANCE,
        })
        .collect();
    let list = List::with(usual.DefaultDacl, &entries)?;
    let wanted = TOKEN_DEFAULT_DACL {
        DefaultDacl: list.0,
    };
    let size = u32::try_from(size_of::<TOKEN_DEFAULT_DACL>()).unwrap_or_default();
    // SAFETY: the structure has the size that is told, and the list lives through the call.
    check(unsafe {
        SetTokenInformation(handle, TokenDefaultDacl, (&raw const wanted).cast(), size)
    })
}
