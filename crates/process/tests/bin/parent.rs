//! A parent for the tests: starts `sh -c ARGV[1]` as a tree, on its main thread or, with a second
//! word, on another one, prints `ready`, and waits to be killed.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program of the tests"
)]

use codex_host::Env;
use codex_process::{ChildSpec, ProcessTree};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let script = words[1].clone();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let spec = ChildSpec::new("sh", Env::from_process(), ".").args(["-c", &script]);
            let tree = ProcessTree::spawn(&spec).unwrap();
            println!("ready");
            tree.exited().await;
        });
    };
    if words.len() > 2 {
        std::thread::spawn(work).join().unwrap();
    } else {
        work();
    }
}
