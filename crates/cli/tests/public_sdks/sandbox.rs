//! The sandbox modes, and what they open.

use serde_json::{Value, json};

use crate::room::{Room, items_of, runs, says};

/// Runs a command that writes into the working directory, into `HOME` and into `.git`; returns what
/// it could write.
fn written(room: &Room, options: Value) -> Vec<&'static str> {
    room.home.write_file(".git/config", "");
    let places = [
        ("work", room.home.cwd().join("new")),
        ("home", room.home.home().join("new")),
        (".git", room.home.cwd().join(".git/new")),
    ];
    let writes: Vec<String> = places
        .iter()
        .map(|(_, path)| format!("echo x > '{}'", path.display()))
        .collect();
    room.provider
        .queue(runs(&format!("{}; echo tried", writes.join("; "))))
        .queue(says("done"));
    let turn = room.run(options);
    let command = items_of(&turn, "command_execution")[0];
    let output = command["aggregated_output"].as_str().unwrap();
    assert!(output.ends_with("tried\n"), "{turn}");
    let n_refused = output.matches("new").count();
    let done: Vec<_> = places
        .iter()
        .filter(|(_, path)| path.exists())
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(n_refused + done.len(), places.len(), "{output}");
    done
}

pub(crate) fn read_only_holds_every_write(room: &Room) {
    assert_eq!(
        written(room, json!({"sandbox_mode": "read-only"})),
        [] as [&str; 0]
    );
    // It is what holds when nothing is said, too.
    assert_eq!(written(room, json!({})), [] as [&str; 0]);
}

pub(crate) fn workspace_write_opens_the_working_directory(room: &Room) {
    room.home.write_config(
        "[sandbox_workspace_write]\nexclude_tmpdir_env_var = true\nexclude_slash_tmp = true\n",
    );
    let done = written(room, json!({"sandbox_mode": "workspace-write"}));
    assert_eq!(done, ["work"]);
}

pub(crate) fn full_access_opens_everything(room: &Room) {
    let done = written(room, json!({"sandbox_mode": "danger-full-access"}));
    assert_eq!(done, ["work", "home", ".git"]);
}

pub(crate) fn an_additional_directory_can_be_written(room: &Room) {
    room.home.write_config(
        "[sandbox_workspace_write]\nexclude_tmpdir_env_var = true\nexclude_slash_tmp = true\n",
    );
    let options = json!({
        "sandbox_mode": "workspace-write", "additional_directories": [room.home.home()],
    });
    assert_eq!(written(room, options), ["work", "home"]);
    let permissions = room.provider.request(0).texts("developer").concat();
    assert!(
        permissions.contains(&*room.home.home().to_string_lossy()),
        "{permissions}"
    );
}

pub(crate) fn the_network_follows_its_switch(room: &Room) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
    for (enabled, is_reached) in [(json!(false), false), (json!(true), true)] {
        room.provider.queue(runs(&connect)).queue(says("done"));
        let turn = room.run(json!({
            "sandbox_mode": "workspace-write", "network_access_enabled": enabled,
        }));
        let command = items_of(&turn, "command_execution")[0];
        assert_eq!(
            command["aggregated_output"] == "connected\n",
            is_reached,
            "{turn}"
        );
    }
    let permissions = room.provider.request(2).texts("developer").concat();
    assert!(permissions.contains("network is on"), "{permissions}");
}
