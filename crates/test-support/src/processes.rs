//! Is a process still there? For the tests that show that nothing is left behind.

use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

/// Tells whether a process lives; a zombie, which only waits to be collected, does not.
pub fn process_lives(pid: u32) -> bool {
    let known = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(known) = known.filter(|pid| test_kill_process(*pid).is_ok()) else {
        return false;
    };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", known.as_raw_nonzero()));
    // `pid (name) state …`; the name may hold blanks and brackets.
    let state = stat
        .ok()
        .and_then(|text| text.rsplit_once(") ")?.1.chars().next());
    state != Some('Z')
}

/// Waits until a process is gone; `false` when it still lives after the limit.
pub fn wait_until_gone(pid: u32, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while process_lives(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
