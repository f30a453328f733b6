//! `codex sandbox`: the command line and the ways in which a command ends. That the sandbox holds is
//! shown by `tests/escapes.rs`.

use codex_test_support::{CommandOutput, TestHome};
use insta::assert_snapshot;

/// Everything else that could be written lies in `/tmp`, as the test does itself.
const ONLY_CWD: &str =
    "[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n";

fn shell(home: &TestHome, flags: &[&str], script: &str) -> CommandOutput {
    let words = [&["sandbox"], flags, &["--", "sh", "-c", script]].concat();
    home.codex(words).run()
}

#[test]
fn without_a_mode_nothing_can_be_written() {
    let home = TestHome::new();
    let output = shell(
        &home,
        &[],
        "touch x; cat /etc/hostname >/dev/null && exit 3",
    );
    assert_snapshot!(output, @"
    [stderr]
    touch: cannot touch 'x': Read-only file system
    [exit 3]
    ");
}

#[test]
fn workspace_write_opens_the_directory_but_not_git_and_codex() {
    let home = TestHome::with_config(ONLY_CWD);
    std::fs::create_dir(home.cwd().join(".git")).unwrap();
    let script = "echo in > x; touch .git/hook; mkdir .codex; touch ../out; env | grep ^CODEX_SAN";
    let output = shell(&home, &["--full-auto"], script);
    assert_snapshot!(output, @"
    CODEX_SANDBOX_NETWORK_DISABLED=1
    [stderr]
    touch: cannot touch '.git/hook': Read-only file system
    mkdir: cannot create directory ‘.codex’: File exists
    touch: cannot touch '../out': Read-only file system
    [exit 0]
    ");
    let left: Vec<_> = std::fs::read_dir(home.cwd()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_protected_name_stays_protected_when_another_command_ends() {
    let home = TestHome::with_config(ONLY_CWD);
    let start = |script: &str| {
        let words = ["sandbox", "--full-auto", "--", "sh", "-c", script];
        let running = home.codex(words).spawn();
        running.wait_for_stdout("up");
        running
    };
    let wait = |file: &str| format!("echo up; while [ ! -e {file} ]; do sleep 0.02; done; ");
    let first = start(&wait("end-first"));
    let second = start(&(wait("try") + "mkdir .codex; touch .codex/config.toml"));
    std::fs::write(home.cwd().join("end-first"), "").unwrap();
    first.wait();
    std::fs::write(home.cwd().join("try"), "").unwrap();
    assert_snapshot!(second.wait(), @"
    up
    [stderr]
    mkdir: cannot create directory ‘.codex’: File exists
    touch: cannot touch '.codex/config.toml': Read-only file system
    [exit 1]
    ");
    assert!(!home.cwd().join(".codex").exists());
}

#[test]
fn the_configured_mode_and_further_directories_count() {
    let home = TestHome::with_config(&format!("sandbox_mode = \"workspace-write\"\n{ONLY_CWD}"));
    let more = home.path().join("more");
    std::fs::create_dir(&more).unwrap();
    let flags = ["--add-dir", more.to_str().unwrap()];
    let output = shell(&home, &flags, "touch a ../more/b");
    assert_snapshot!(output, @"[exit 0]");
    assert!(more.join("b").exists());
}

#[test]
fn full_access_is_no_sandbox() {
    let home = TestHome::new();
    let output = shell(&home, &["-s", "danger-full-access"], "touch ../out");
    assert_snapshot!(output, @"[exit 0]");
}

#[test]
fn the_signal_that_ended_the_command_is_ours_too() {
    let home = TestHome::new();
    assert_eq!(shell(&home, &[], "kill -USR1 $$").signal(), Some(10));
}

#[test]
fn a_command_that_is_not_there_is_told_from_one_that_fails() {
    let home = TestHome::new().env("PATH", "/usr/bin:/bin");
    assert_snapshot!(home.codex(["sandbox", "no-such-program"]).run(), @"
    [stderr]
    Error: program not found on PATH: `no-such-program`
    hint: PATH of the program is `/usr/bin:/bin`
    hint: install `no-such-program`, or give its full path
    [exit 127]
    ");
}

#[test]
fn a_further_directory_that_will_not_be_writable_is_named() {
    let home = TestHome::with_config(ONLY_CWD);
    assert_snapshot!(shell(&home, &["--add-dir", "."], "true"), @"
    [stderr]
    warning: `.` cannot be written: the sandbox is `read-only`; `-s workspace-write` opens it
    [exit 0]
    ");
    assert_snapshot!(shell(&home, &["--full-auto", "--add-dir", "no/such"], "true"), @"
    [stderr]
    warning: `no/such` does not exist, so it cannot be opened for writing
    [exit 0]
    ");
}

#[test]
fn the_whole_disk_is_no_workspace() {
    let home = TestHome::new();
    let command = home.codex(["sandbox", "--full-auto", "true"]);
    assert_snapshot!(command.current_dir("/").run(), @"
    [stderr]
    Error: `/` cannot be a writable root of the sandbox
    hint: work in a directory of your own, or list smaller `writable_roots`
    [exit 1]
    ");
}

/// Another command may have put the link there: what it leads to is not opened to the next.
#[test]
fn a_command_cannot_make_a_root_of_what_it_links_to() {
    let home = TestHome::with_config(&format!("{ONLY_CWD}writable_roots = [\"cache\"]\n"));
    let victim = home.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    let plant = "ln -s ../victim cache && ln -s ../victim tmp";
    shell(&home, &["--full-auto"], plant).success();
    let output = shell(&home, &["--full-auto"], "touch cache/in");
    assert_snapshot!(output.stderr.replace(home.cwd().to_str().unwrap(), "[CWD]"), @"
    Error: `[CWD]/cache` cannot be a writable root of the sandbox: commands in it can change the link `[CWD]/cache`
    hint: look where `[CWD]/cache` leads: if you made it, name that directory instead; if not, remove it
    ");
    assert_eq!(output.exit(), Some(1), "{output}");
    assert!(!victim.join("in").exists());
}

#[test]
fn a_temporary_folder_that_a_command_links_elsewhere_is_refused() {
    let home = TestHome::with_config("[sandbox_workspace_write]\nexclude_slash_tmp = true\n");
    let temporary = home.cwd().join("tmp");
    let home = home.env("TMPDIR", temporary.to_str().unwrap());
    let victim = home.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    shell(&home, &["--full-auto"], "ln -s ../victim tmp").success();
    let output = shell(&home, &["--full-auto"], "touch tmp/in");
    assert!(output.stderr.contains("can change the link"), "{output}");
    assert_eq!(output.exit(), Some(1), "{output}");
    assert!(!victim.join("in").exists());
}
