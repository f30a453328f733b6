//! Attempts of more than one command: what one leaves, turns or holds, so that another one, which
//! gets a plan of its own, opens what was shut. And the terminal that Codex was started on.
//!
//! As in the suite of codex-linux-sandbox, each runs without a sandbox too, where it must succeed.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests prepare files directly, and the table is their result"
)]

mod stage;
#[path = "../../linux-sandbox/tests/table/mod.rs"]
mod table;

use stage::{Stage, Way};
use table::Table;

/// The name, and whether it succeeds.
type Attempt = (&'static str, fn(&Stage) -> bool);

const ATTEMPTS: &[Attempt] = &[
    ("a link in the place of a root", |stage| {
        stage.command("", &[], TURN_THE_DESK).run();
        let write = stage.command("", &["nest/mid/desk"], "echo x > mid/desk/new");
        write.run();
        stage.is_touched()
    }),
    ("a link on the way to a root", |stage| {
        stage.command("", &[], TURN_THE_DESK).run();
        let write = stage.command("", &["nest/mid/desk/deep"], "echo x > mid/desk/deep/new");
        write.run();
        stage.is_touched()
    }),
    ("a link on the way to the directory", |stage| {
        stage.command("", &[], TURN_THE_DESK).run();
        // The outer folder is a root as well, as `/tmp` is.
        let write = stage.command("mid/desk/deep", &["nest"], "echo x > new");
        write.run();
        stage.is_touched()
    }),
    ("a link in the place of $TMPDIR", |stage| {
        stage.command("", &[], TURN_THE_DESK).run();
        let write = stage.command("", &[], "echo x > $TMPDIR/new");
        write.with("TMPDIR", "nest/mid/desk").run();
        stage.is_touched()
    }),
    ("a root turned before the start", |stage| {
        turned_meanwhile(stage, "", &["nest/mid/desk"], "echo x > mid/desk/new")
    }),
    ("the way turned before the start", |stage| {
        turned_meanwhile(
            stage,
            "",
            &["nest/mid/desk/deep"],
            "echo x > mid/desk/deep/new",
        )
    }),
    ("the directory turned before the start", |stage| {
        turned_meanwhile(stage, "mid/desk/deep", &["nest"], "echo x > new")
    }),
    ("a .git file that leads elsewhere", |stage| {
        let leads = "rm -rf mid/desk/.git; echo 'gitdir: ../../../outside' > mid/desk/.git";
        stage.command("", &[], leads).run();
        let write = stage.command("mid/desk", &[], "echo x > ../../../outside/config");
        write.run();
        stage.is_touched()
    }),
    ("a .codex once nobody holds its place", |stage| {
        let daemon = daemon("while ! mkdir .codex; do :; done; echo x > .codex/config.toml");
        stage.command("mid/desk", &[], &daemon).run();
        // The last command takes the place away.
        stage.command("mid/desk", &[], "sleep 0.2").run();
        let made = stage.path("nest/mid/desk/.codex/config.toml").exists();
        stage.end_daemons();
        made
    }),
    ("a home that was not there", |stage| {
        let make = "mkdir -p mid/user/.codex && echo x > mid/user/.codex/config.toml";
        stage
            .command("", &[], make)
            .with("HOME", "nest/mid/user")
            .run();
        stage.path("nest/mid/user/.codex/config.toml").exists()
    }),
    ("a home in the place of the old one", |stage| {
        let own = stage.path("nest/mid/desk/deep");
        std::fs::create_dir(own.join(".codex")).unwrap();
        let turn = "mv mid old; mkdir -p mid/desk/deep/.codex && echo x > mid/desk/deep/.codex/config.toml";
        stage
            .command("", &[], turn)
            .with("HOME", "nest/mid/desk/deep")
            .run();
        own.join(".codex/config.toml").exists()
    }),
    ("a daemon of a wider command", |stage| {
        let daemon = daemon("until [ -e go ]; do sleep 0.01; done; echo x > mid/late");
        stage.command("", &[], &daemon).run();
        std::fs::write(stage.path("nest/go"), "").unwrap();
        stage.command("mid/desk", &[], "sleep 0.2").run();
        stage.end_daemons();
        stage.path("nest/mid/late").exists()
    }),
    ("the user's terminal", |stage| {
        stage.writes_to_the_terminal()
    }),
];

const TURN_THE_DESK: &str = "mv mid/desk mid/old && ln -s ../../outside mid/desk";

/// A script that returns once the daemon that it leaves behind runs.
fn daemon(script: &str) -> String {
    format!("{{ setsid sh -c 'echo >&3; exec 3>&-; {script}' 3>&1 > /dev/null 2>&1 & }} | read x")
}

/// A command runs beside, and turns the desk between the plan and the start of the next.
fn turned_meanwhile(stage: &Stage, cwd: &str, roots: &[&str], script: &str) -> bool {
    let script_of_first = format!(
        "echo ready; until [ -e mid/go ]; do sleep 0.01; done; {TURN_THE_DESK}; echo turned; \
         sleep 1000"
    );
    let first = stage.command("", &[], &script_of_first).start();
    stage.wait_for(&first, "ready");
    let second = stage.command(cwd, roots, script);
    std::fs::write(stage.path("nest/mid/go"), "").unwrap();
    stage.wait_for(&first, "turned");
    second.run();
    drop(first);
    stage.is_touched()
}

#[test]
fn nothing_escapes_by_two_commands() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _in_it = runtime.enter();
    let ways = Way::that_can_be_tried();
    let names: Vec<String> = ways.iter().map(Way::name).collect();
    let mut table = Table::new(&names);
    let (mut escapes, mut proofless) = (Vec::new(), Vec::new());
    for (name, attempt) in ATTEMPTS {
        let results = ways.iter().map(|way| attempt(&Stage::new(&runtime, *way)));
        let results: Vec<bool> = results.collect();
        let cells =
            ways.iter()
                .zip(&results)
                .map(|(way, succeeded)| match (way.is_sandbox(), succeeded) {
                    (false, true) => "succeeds",
                    (false, false) => "-",
                    (true, true) => "ESCAPED",
                    (true, false) => "stopped",
                });
        let cells: Vec<&str> = cells.collect();
        table.row(name, &cells);
        for (way, cell) in names.iter().zip(&cells) {
            if *cell == "ESCAPED" {
                escapes.push(format!("{name} ({way})"));
            }
        }
        if !cells.contains(&"succeeds") {
            proofless.push(*name);
        }
    }
    let n_ways = ways.iter().filter(|way| way.is_sandbox()).count();
    let (n_attempts, n_escapes) = (ATTEMPTS.len(), escapes.len());
    table.finish(
        "two-commands",
        &format!("{n_attempts} attempts of two commands x {n_ways} ways: {n_escapes} escapes"),
    );
    assert_eq!(escapes, [] as [String; 0]);
    assert_eq!(proofless, [] as [&str; 0], "these prove nothing");
}
