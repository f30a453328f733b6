//! `http_headers_helper`: a program of the user that prints headers as one JSON object.
//!
//! It is run as argv[0] without arguments and without a shell, once per connection and once more after
//! a 401, so that it can hand out short-lived tokens.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use codex_host::Env;
use codex_process::{ChildSpec, ProcessTree};
use codex_protocol::ServerName;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use super::{EndpointError, sendable};
use crate::notice::quoted;

/// Longest run of the program.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Longest output of the program.
const OUTPUT_LIMIT: u64 = 64 * 1024;

/// A program that prints headers.
#[derive(Clone)]
pub struct HeadersHelper {
    pub(super) program: String,
    pub(super) env: Env,
    pub(super) cwd: PathBuf,
}

impl fmt::Debug for HeadersHelper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadersHelper")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl HeadersHelper {
    /// Runs the program and returns its headers; the output is never part of an error.
    pub(crate) async fn run(
        &self,
        server: &ServerName,
    ) -> Result<HeaderMap<HeaderValue>, EndpointError> {
        let failed = |why: String| EndpointError::Helper {
            server: server.clone(),
            why,
        };
        let output = match tokio::time::timeout(TIME_LIMIT, self.output()).await {
            Ok(output) => output.map_err(failed)?,
            Err(_) => return Err(failed(format!("it did not end within {TIME_LIMIT:?}"))),
        };
        parse(&output).map_err(failed)
    }

    async fn output(&self) -> Result<Vec<u8>, String> {
        let spec = ChildSpec {
            program: self.program.clone().into(),
            args: Vec::new(),
            env: self.env.clone(),
            cwd: self.cwd.clone(),
        };
        let mut child = ProcessTree::spawn(&spec).map_err(|error| error.to_string())?;
        drop(child.stdin.take());
        let Some(stdout) = child.stdout.take() else {
            return Err("its output cannot be read".to_owned());
        };
        let mut output = Vec::new();
        let read = stdout.take(OUTPUT_LIMIT + 1).read_to_end(&mut output).await;
        if output.len() as u64 > OUTPUT_LIMIT {
            return Err(format!("it printed more than {OUTPUT_LIMIT} bytes"));
        }
        read.map_err(|error| error.to_string())?;
        let status = child.exited().await;
        if !status.success() {
            return Err(format!("it ended with {status}"));
        }
        Ok(output)
    }
}

fn parse(output: &[u8]) -> Result<HeaderMap<HeaderValue>, String> {
    let expected = || "it did not print a JSON object of strings".to_owned();
    let object: Map<String, Value> = serde_json::from_slice(output).map_err(|_| expected())?;
    let mut headers = HeaderMap::new();
    for (name, value) in object {
        let value = value.as_str().ok_or_else(expected)?;
        let bad = |why| format!("its header `{}` cannot be sent: {why}", quoted(&name));
        let (name, value) = sendable(&name, value).map_err(bad)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(output: &str) -> String {
        parse(output.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_a_helper_prints_obeys_the_rules_of_every_header() {
        let headers = parse(br#"{"Authorization": "Bearer s3cret"}"#).unwrap();
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(
            reason(r#"{"Content-Length": "0"}"#),
            "its header `Content-Length` cannot be sent: the protocol sets it"
        );
        assert_eq!(
            reason(r#"{"X-A": "s3cret\n"}"#),
            "its header `X-A` cannot be sent: the value holds characters that no header may hold"
        );
        assert_eq!(
            reason("s3cret"),
            "it did not print a JSON object of strings"
        );
    }
}
