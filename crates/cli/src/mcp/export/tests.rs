//! An export comes back as the same server, for many servers.

use codex_config::EnvVar;
use codex_host::Secret;
use codex_protocol::ServerName;
use std::time::Duration;

use super::*;
use crate::mcp::import::read_entry;

/// Pseudo-random choices that are the same in every run.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn text(&mut self, expand: bool) -> String {
        let plain = ["a", "--port", "é ü", "$HOME", "}", "x y", "\"q\"", "$", "-"];
        let shaped = ["${A}", "pre${B}post", "${env:C}", "${A}${B}"];
        match expand && self.below(2) == 0 {
            true => shaped[self.below(4) as usize].to_owned(),
            false => plain[self.below(9) as usize].to_owned(),
        }
    }

    fn server(&mut self, name: &str) -> McpServerConfig {
        let name = ServerName::from_config(name);
        let expand = self.below(2) == 0;
        let mut server = match self.below(2) {
            0 => McpServerConfig::new(name, McpTransport::Stdio(self.stdio(expand))),
            _ => McpServerConfig::new(
                name,
                McpTransport::StreamableHttp(Box::new(self.http(expand))),
            ),
        };
        server.expand_env = expand;
        if self.below(4) == 0 {
            server.enablement = Enablement::Off(OffReason::User);
        }
        if self.below(3) == 0 {
            server.tool_timeout = Some(Duration::from_millis(self.below(100_000)));
        }
        server
    }

    fn stdio(&mut self, expand: bool) -> StdioTransport {
        let mut stdio = StdioTransport {
            command: format!("prog{}", self.text(expand)),
            ..StdioTransport::default()
        };
        for _ in 0..self.below(4) {
            stdio.args.push(self.text(expand));
        }
        for index in 0..self.below(3) {
            let value = format!("v{}", self.text(expand));
            stdio.env.insert(format!("E{index}"), Secret::new(value));
        }
        for index in 0..self.below(3) {
            let name = format!("V{index}");
            stdio.env_vars.push(EnvVar { name, source: None });
        }
        if self.below(3) == 0 {
            stdio.cwd = Some(PathBuf::from("/srv/data"));
        }
        stdio
    }

    fn http(&mut self, expand: bool) -> HttpTransport {
        let mut http = HttpTransport {
            url: match expand && self.below(2) == 0 {
                true => "https://${HOST}/mcp".to_owned(),
                false => "https://mcp.example.com/mcp?a=b".to_owned(),
            },
            ..HttpTransport::default()
        };
        if self.below(2) == 0 {
            http.bearer_token_env_var = Some("TOKEN".to_owned());
        }
        for index in 0..self.below(3) {
            let value = format!("v{}", self.text(expand));
            http.http_headers
                .insert(format!("X-L{index}"), Secret::new(value));
        }
        for index in 0..self.below(3) {
            http.env_http_headers
                .insert(format!("X-V{index}"), format!("VAR{index}"));
        }
        http
    }
}

/// What a server is started with, whichever way it is written down: `${env:A}` is `${A}`, and an entry
/// without variables means the same with and without `expand_env`.
fn effective(server: &McpServerConfig) -> String {
    let mut server = server.clone();
    let ours = |text: &str| Template::of_ours(text, server.expand_env).to_ours(true);
    match &mut server.transport {
        McpTransport::Stdio(stdio) => {
            stdio.command = ours(&stdio.command);
            stdio.args.iter_mut().for_each(|arg| *arg = ours(arg));
            let env = stdio.env.iter();
            stdio.env = env
                .map(|(name, value)| (name.clone(), Secret::new(ours(value.expose()))))
                .collect();
        }
        McpTransport::StreamableHttp(http) => {
            http.url = ours(&http.url);
            let headers = http.http_headers.iter();
            http.http_headers = headers
                .map(|(name, value)| (name.clone(), Secret::new(ours(value.expose()))))
                .collect();
        }
    }
    server.expand_env = true;
    let shown = export_for_comparison(&server);
    format!("{:?} {:?} {shown}", server.enablement, server.tool_timeout)
}

#[test]
fn a_limit_is_written_as_an_integer() {
    let mut server = McpServerConfig::stdio(ServerName::from_config("a"), "x");
    let timeout = |server: &McpServerConfig| {
        let exported = export(server, Dialect::McpJson, Secrets::Masked).ok();
        exported.map(|exported| exported.entry["timeout"].to_string())
    };
    server.tool_timeout = Some(Duration::from_secs(5));
    assert_eq!(timeout(&server).as_deref(), Some("5000"));
    server.tool_timeout = Some(Duration::from_micros(1500));
    assert_eq!(timeout(&server).as_deref(), Some("1.5"));
}

/// Spells everything out, secrets too: their `Debug` would hide a difference.
fn export_for_comparison(server: &McpServerConfig) -> String {
    match &server.transport {
        McpTransport::Stdio(stdio) => {
            let env: Vec<_> = stdio.env.iter().map(|(n, v)| (n, v.expose())).collect();
            format!(
                "{} {:?} {env:?} {:?} {:?}",
                stdio.command, stdio.args, stdio.env_vars, stdio.cwd
            )
        }
        McpTransport::StreamableHttp(http) => {
            let headers: Vec<_> = http
                .http_headers
                .iter()
                .map(|(n, v)| (n, v.expose()))
                .collect();
            let (token, named) = (&http.bearer_token_env_var, &http.env_http_headers);
            format!("{} {token:?} {headers:?} {named:?}", http.url)
        }
    }
}

#[test]
fn an_export_comes_back_as_the_same_server() {
    let mut choices = Choices(0x9e37_79b9_7f4a_7c15);
    let mut n_compared = 0;
    for index in 0..4_000 {
        let server = choices.server("s");
        for dialect in [
            Dialect::McpJson,
            Dialect::Vscode,
            Dialect::Cursor,
            Dialect::ClaudeDesktop,
        ] {
            let Ok(exported) = export(&server, dialect, Secrets::Shown) else {
                assert_eq!(dialect, Dialect::ClaudeDesktop, "{index}: {server:?}");
                continue;
            };
            assert!(exported.dropped.is_empty() && exported.masked.is_empty());
            let back = read_entry(dialect, &server.name, &exported.entry).unwrap();
            assert_eq!(effective(&back), effective(&server), "{index} {dialect:?}");
            n_compared += 1;
        }
    }
    assert!(n_compared > 13_000, "{n_compared}");
}
