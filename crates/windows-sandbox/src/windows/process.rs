//! The command and all that it starts: one job, which ends with its handle.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOB_OBJECT_UILIMIT_DESKTOP,
    JOB_OBJECT_UILIMIT_DISPLAYSETTINGS, JOB_OBJECT_UILIMIT_EXITWINDOWS,
    JOB_OBJECT_UILIMIT_GLOBALATOMS, JOB_OBJECT_UILIMIT_HANDLES, JOB_OBJECT_UILIMIT_READCLIPBOARD,
    JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS, JOB_OBJECT_UILIMIT_WRITECLIPBOARD,
    JOBOBJECT_BASIC_UI_RESTRICTIONS, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS,
    JobObjectBasicUIRestrictions, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_UNICODE_ENVIRONMENT, CreateProcessAsUserW, DeleteProcThreadAttributeList,
    EXTENDED_STARTUPINFO_PRESENT, GetExitCodeProcess, INFINITE, InitializeProcThreadAttributeList,
    LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROC_THREAD_ATTRIBUTE_JOB_LIST, PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    UpdateProcThreadAttribute, WaitForSingleObject,
};

use super::sid::wide;
use super::{check, owned};
use crate::{Prepared, Request};

/// More than a build needs, few enough that a fork bomb does not take the machine down.
const MAX_PROCESSES: u32 = 4096;
/// The exit code of a command whose time was up.
const TIMED_OUT: u32 = 124;

/// What a command has as stdin, stdout and stderr; owned by others.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) stdin: HANDLE,
    pub(super) stdout: HANDLE,
    pub(super) stderr: HANDLE,
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exit_code: u32,
    pub(super) timed_out: bool,
}

/// A job, and the command in it. All of it ends when this value is dropped, or this process dies.
#[derive(Debug)]
pub(super) struct Job {
    job: OwnedHandle,
    command: std::cell::OnceCell<OwnedHandle>,
}

impl Job {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a job without a name and with the usual rights.
        let job = owned(unsafe { CreateJobObjectW(null(), null()) })?;
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
            | JOB_OBJECT_LIMIT_ACTIVE_PROCESS
            | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
        limits.BasicLimitInformation.ActiveProcessLimit = MAX_PROCESSES;
        limit(&job, JobObjectExtendedLimitInformation, &limits)?;
        let windows = JOBOBJECT_BASIC_UI_RESTRICTIONS {
            UIRestrictionsClass: JOB_OBJECT_UILIMIT_DESKTOP
                | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS
                | JOB_OBJECT_UILIMIT_EXITWINDOWS
                | JOB_OBJECT_UILIMIT_GLOBALATOMS
                | JOB_OBJECT_UILIMIT_HANDLES
                | JOB_OBJECT_UILIMIT_READCLIPBOARD
                | JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS
                | JOB_OBJECT_UILIMIT_WRITECLIPBOARD,
        };
        limit(&job, JobObjectBasicUIRestrictions, &windows)?;
        Ok(Self {
            job,
            command: std::cell::OnceCell::new(),
        })
    }

    /// Starts the command in the job, with these three handles and no others.
    pub(super) fn start(
        &self,
        token: &OwnedHandle,
        request: &Request,
        prepared: &Prepared,
        streams: &Streams,
    ) -> io::Result<()> {
        let mut handles = vec![streams.stdin, streams.stdout, streams.stderr];
        handles.retain(|handle| !handle.is_null());
        handles.sort();
        handles.dedup();
        for handle in &handles {
            // SAFETY: the handles are open.
            check(unsafe {
                SetHandleInformation(*handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)
            })?;
        }
        let jobs = [self.job.as_raw_handle()];
        let mut attributes = Attributes::new()?;
        attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
        attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, &jobs)?;
        let mut start = STARTUPINFOEXW::default();
        start.StartupInfo.cb = u32::try_from(size_of::<STARTUPINFOEXW>()).unwrap_or_default();
        start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        start.StartupInfo.hStdInput = streams.stdin;
        start.StartupInfo.hStdOutput = streams.stdout;
        start.StartupInfo.hStdError = streams.stderr;
        start.lpAttributeList = attributes.as_ptr();
        let program = wide(&request.command[0]);
        let mut line = wide(&prepared.command_line);
        let (variables, cwd) = (block(prepared), wide(&request.cwd));
        let mut made = PROCESS_INFORMATION::default();
        // SAFETY: all strings end with a NUL, the block with two; everything lives through the call.
        check(unsafe {
            CreateProcessAsUserW(
                token.as_raw_handle(),
                program.as_ptr(),
                line.as_mut_ptr(),
                null(),
                null(),
                1,
                CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT,
                variables.as_ptr().cast(),
                cwd.as_ptr(),
                (&raw const start).cast(),
                &raw mut made,
            )
        })?;
        drop(owned(made.hThread));
        let _ = self.command.set(owned(made.hProcess)?);
        Ok(())
    }

    /// Waits until the command has ended, or ends everything when its time is up.
    pub(super) fn wait(&self, limit: Option<Duration>) -> io::Result<Ended> {
        let Some(command) = self.command.get() else {
            return Err(io::Error::other("nothing was started"));
        };
        let command = command.as_raw_handle();
        let milliseconds = limit.map_or(INFINITE, |limit| {
            u32::try_from(limit.as_millis()).map_or(INFINITE - 1, |limit| limit.min(INFINITE - 1))
        });
        // SAFETY: the handle is open.
        let timed_out = match unsafe { WaitForSingleObject(command, milliseconds) } {
            WAIT_OBJECT_0 => false,
            WAIT_TIMEOUT => true,
            _ => return Err(io::Error::last_os_error()),
        };
        if timed_out {
            // SAFETY: the handle is open.
            check(unsafe { TerminateJobObject(self.job.as_raw_handle(), TIMED_OUT) })?;
            return Ok(Ended {
                exit_code: TIMED_OUT,
                timed_out,
            });
        }
        let mut exit_code = 0;
        // SAFETY: the handle is open, and there is a place for the answer.
        check(unsafe { GetExitCodeProcess(command, &raw mut exit_code) })?;
        Ok(Ended {
            exit_code,
            timed_out,
        })
    }
}

fn limit<T>(job: &OwnedHandle, class: JOBOBJECTINFOCLASS, limits: &T) -> io::Result<()> {
    let size = u32::try_from(size_of::<T>()).unwrap_or_default();
    let limits = (&raw const *limits).cast();
    // SAFETY: the callers hand over the structure of the class, whose size is told.
    check(unsafe { SetInformationJobObject(job.as_raw_handle(), class, limits, size) })
}

/// Joins the variables: each ends with a NUL, all with one more.
fn block(prepared: &Prepared) -> Vec<u16> {
    let mut block = Vec::new();
    for (name, value) in &prepared.environment {
        let mut line = name.clone();
        line.push("=");
        line.push(value);
        block.extend(wide(line));
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    block
}

/// Attributes of a start, of which we use two.
struct Attributes(Vec<u64>);

impl Attributes {
    const N_ATTRIBUTES: u32 = 2;

    fn new() -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: asks for the size only, and fails while it tells it.
        unsafe {
            InitializeProcThreadAttributeList(null_mut(), Self::N_ATTRIBUTES, 0, &raw mut size);
        }
        let mut this = Self(vec![0; size.div_ceil(8)]);
        let list = this.as_ptr();
        // SAFETY: there is room for as many bytes as were asked for.
        check(unsafe {
            InitializeProcThreadAttributeList(list, Self::N_ATTRIBUTES, 0, &raw mut size)
        })?;
        Ok(this)
    }

    /// The values must live until the start.
    fn set(&mut self, attribute: u32, values: &[HANDLE]) -> io::Result<()> {
        let attribute = usize::try_from(attribute).unwrap_or_default();
        let (list, size) = (self.as_ptr(), size_of_val(values));
        // SAFETY: as many bytes as are told, which the caller keeps.
        check(unsafe {
            UpdateProcThreadAttribute(
                list,
                0,
                attribute,
                values.as_ptr().cast(),
                size,
                null_mut(),
                null(),
            )
        })
    }

    fn as_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.0.as_mut_ptr().cast()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        let list = self.as_ptr();
        // SAFETY: it was initialised, and is used no more.
        unsafe { DeleteProcThreadAttributeList(list) };
    }
}
