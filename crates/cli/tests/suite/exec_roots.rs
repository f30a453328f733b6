//! What one command of a thread may write is not for the command before it to say.

use codex_test_support::{MockResponses, TestHome};

use crate::exec_hands::{patches, runs};
use crate::exec_support::{json, says};

#[test]
fn neither_a_command_nor_a_patch_follows_a_root_that_a_command_linked_elsewhere() {
    let provider = MockResponses::start();
    let home = TestHome::with_provider(
        &provider,
        "[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n\
         writable_roots = [\"cache\"]\n",
    );
    let victim = home.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    provider
        .queue(runs("c1", "ln -s ../victim cache && echo planted"))
        .queue(runs("c2", "touch cache/in"))
        .queue(patches("c3", "*** Add File: cache/in\n+x"))
        .queue(says("done"));
    let output = json(&home, &["-s", "workspace-write", "hi"]).run();
    assert_eq!(output.exit(), Some(0), "{output}");
    let planted = provider.request(1).function_call_output_text("c1").unwrap();
    assert!(planted.contains("planted"), "{planted}");
    let told = provider.request(2).function_call_output_text("c2").unwrap();
    assert!(told.contains("can change the link"), "{told}");
    let left = std::fs::read_dir(&victim).unwrap().count();
    assert_eq!(left, 0, "{output}");
}
