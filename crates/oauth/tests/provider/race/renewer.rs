//! One process of the race: a program that has a login and asks for a new token when it is told to.
//!
//! It is the running test once more. `go` on stdin means: the server refused the token. The answer is
//! `token <access token>` or `lost <why>`, and the first line is the token that the store has.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use codex_host::Env;
use codex_http::HttpClient;
use codex_oauth::{
    AccessToken, ClientSettings, Deputy, RefreshTransaction, Rejection, Retry, ServerKey, Services,
    StoredTokenSource, TokenSource,
};
use codex_protocol::ServerName;
use codex_test_support::codex_program;
use http::{HeaderMap, Method};

use crate::{World, store_in};

/// Holds home and MCP address in the second run of the test.
const ORDERS: &str = "CODEX_TEST_RENEWER";
/// Tells our lines from those of the test harness.
const MARK: &str = "renewer: ";

/// How a process renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renews {
    /// As the product does.
    ThroughADeputy,
    /// Between request and store it can be killed.
    ByItself,
}

/// A process of the race, as the driver sees it.
pub(crate) struct Renewer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Renewer {
    /// Starts one and returns the token that it found in the store.
    pub(crate) fn start(world: &World, test: &str, renews: Renews) -> (Self, String) {
        let orders = format!("{}\n{}", world.home.path().display(), world.key.url);
        let deputy = match renews {
            Renews::ThroughADeputy => codex_program().display().to_string(),
            Renews::ByItself => String::new(),
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ORDERS, format!("{orders}\n{deputy}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut renewer = Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        let token = renewer.answer();
        (renewer, token)
    }

    pub(crate) fn go(&mut self) {
        writeln!(self.stdin, "go").unwrap();
    }

    /// Waits for its next line.
    pub(crate) fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            let n_read = self.stdout.read_line(&mut line).unwrap();
            assert!(n_read > 0, "a renewer ended");
            if let Some((_, answer)) = line.split_once(MARK) {
                return answer.trim_end().to_owned();
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Renewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is a process of the race, if this is the second run of the test.
pub(crate) async fn is_one() -> bool {
    let Ok(orders) = std::env::var(ORDERS) else {
        return false;
    };
    let mut orders = orders.lines();
    let home = orders.next().unwrap().to_owned();
    let key = ServerKey::new(ServerName::from_config("ev"), orders.next().unwrap());
    let mut services = Services::new(
        HttpClient::from_env(Env::default()),
        env!("CARGO_PKG_VERSION"),
    );
    services.deputy = orders.next().map(|program| Deputy {
        program: program.into(),
        args: vec!["--renew-login".into()],
    });
    let store = store_in(Path::new(&home));
    let refresh = RefreshTransaction::new(key, store, ClientSettings::default(), services);
    let source = StoredTokenSource::new(refresh, None);
    let mut token = source.token().await.unwrap().unwrap();
    say(&shown(&token, &source));
    for line in std::io::stdin().lines() {
        assert_eq!(line.unwrap(), "go");
        match renewed(&source, &token).await {
            Ok(new) => token = new,
            Err(why) => {
                say(&format!("lost {why}"));
                continue;
            }
        }
        say(&shown(&token, &source));
    }
    true
}

async fn renewed(
    source: &Arc<StoredTokenSource>,
    token: &AccessToken,
) -> Result<AccessToken, String> {
    let rejection = Rejection {
        status: 401,
        challenge: None,
        operation: "tools/list".into(),
        is_repeat: false,
    };
    match source.rejected(Some(token), &rejection).await {
        Retry::Again => Ok(source.token().await.unwrap().unwrap()),
        retry => Err(format!("{retry:?}")),
    }
}

/// The token as it is sent.
fn shown(token: &AccessToken, source: &StoredTokenSource) -> String {
    let url = source.key().url.parse().unwrap();
    let mut headers = HeaderMap::new();
    token.sign(&Method::POST, &url, &mut headers).unwrap();
    let value = headers["authorization"].to_str().unwrap();
    format!("token {}", &value["Bearer ".len()..])
}

fn say(line: &str) {
    println!("{MARK}{line}");
}
