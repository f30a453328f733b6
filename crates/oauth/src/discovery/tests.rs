//! The rules of discovery as tables: a script of documents in, the asked addresses and the end out.

use serde_json::{Value, json};

use super::*;
use crate::fetch::Answer;

const SERVER: &str = "https://mcp.example/a/mcp";

/// What a web of documents answers: `(url, document)`; a number is a status, a text a failure.
struct Web(Vec<(&'static str, Value)>);

impl Web {
    fn answer(&self, url: &Url) -> Answer {
        let found = self.0.iter().find(|(known, _)| *known == url.as_str());
        match found.map(|(_, answer)| answer) {
            Some(json @ Value::Object(_)) => Answer::Document {
                json: json.clone(),
                status: 200,
            },
            Some(Value::String(why)) => Answer::Failed {
                why: why.clone(),
                status: None,
            },
            _ => Answer::Absent {
                why: "HTTP 404".into(),
                status: 404,
            },
        }
    }
}

fn request(server_url: &str) -> DiscoveryRequest {
    DiscoveryRequest::after_401(server_url.parse().unwrap(), None)
}

/// Walks the web and tells every address asked and how it ended.
async fn walked(request: &DiscoveryRequest, web: &Web) -> (Vec<String>, String) {
    let rule = AddressRule::public();
    let mut seen: Vec<Seen> = Vec::new();
    loop {
        let (step, verdicts) = next(request, rule, &seen);
        let asked = || seen.iter().map(|seen| seen.url.to_string()).collect();
        let end = match step {
            Step::Fetch(url) => {
                assert!(seen.len() < 20, "an endless walk: {seen:?}");
                let answer = web.answer(&url);
                let took = Duration::ZERO;
                seen.push(Seen { url, answer, took });
                continue;
            }
            Step::Done(outcome) => match outcome.found {
                Found::Document(url) => format!("{} by {url}", outcome.server.issuer),
                Found::LegacyEndpoints => format!("legacy {}", outcome.server.token_endpoint),
            },
            Step::Unsupported => "unsupported".to_owned(),
            Step::Refused(why) => format!("refused: {why}"),
            Step::Unknown(why) => format!("unknown: {why}"),
        };
        assert_eq!(
            verdicts.len(),
            seen.len(),
            "one verdict per document: {verdicts:?}"
        );
        return (asked(), end);
    }
}

async fn end(request: &DiscoveryRequest, web: Vec<(&'static str, Value)>) -> String {
    walked(request, &Web(web)).await.1
}

fn resource(resource: &str, issuer: &str) -> Value {
    json!({"resource": resource, "authorization_servers": [issuer]})
}

fn server(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "code_challenge_methods_supported": ["plain", "S256"],
    })
}

const RESOURCE_URL: &str = "https://mcp.example/.well-known/oauth-protected-resource/a/mcp";
const AS_URL: &str = "https://as.example/.well-known/oauth-authorization-server/p";

#[tokio::test]
async fn candidates_are_asked_in_order() {
    let web = Web(vec![
        (
            "https://mcp.example/.well-known/oauth-protected-resource",
            resource("https://mcp.example", "https://as.example/p"),
        ),
        (
            "https://as.example/p/.well-known/openid-configuration",
            server("https://as.example/p"),
        ),
    ]);
    let mut request = request(SERVER);
    request.challenge = Challenge::from_text("Bearer resource_metadata=\"https://mcp.example/x\"");
    let (asked, end) = walked(&request, &web).await;
    let expected = [
        "https://mcp.example/x",
        "https://mcp.example/.well-known/oauth-protected-resource/a/mcp",
        "https://mcp.example/a/mcp/.well-known/oauth-protected-resource",
        "https://mcp.example/.well-known/oauth-protected-resource",
        "https://as.example/.well-known/oauth-authorization-server/p",
        "https://as.example/.well-known/openid-configuration/p",
        "https://as.example/p/.well-known/openid-configuration",
    ];
    assert_eq!(asked, expected);
    assert_eq!(
        end,
        "https://as.example/p by https://as.example/p/.well-known/openid-configuration"
    );
}

#[tokio::test]
async fn a_server_without_documents_has_the_old_endpoints_only_after_a_401() {
    let (asked, found) = walked(&request(SERVER), &Web(vec![])).await;
    assert_eq!(
        asked[3..],
        [
            "https://mcp.example/.well-known/oauth-authorization-server",
            "https://mcp.example/.well-known/openid-configuration"
        ]
    );
    assert_eq!(found, "legacy https://mcp.example/token");
    let request = DiscoveryRequest {
        saw_401: false,
        ..request(SERVER)
    };
    assert_eq!(end(&request, vec![]).await, "unsupported");
}

#[tokio::test]
async fn a_failing_server_is_not_a_server_without_documents() {
    for url in [
        RESOURCE_URL,
        "https://mcp.example/.well-known/openid-configuration",
    ] {
        let found = end(&request(SERVER), vec![(url, json!("HTTP 503"))]).await;
        assert_eq!(found, "unknown: HTTP 503", "{url}");
    }
}

#[tokio::test]
async fn the_resource_must_cover_the_server() {
    let rows = [
        ("https://mcp.example", true),
        ("https://mcp.example/", true),
        ("https://mcp.example/a", true),
        ("https://mcp.example:443/a/mcp/", true),
        ("https://MCP.example/a/mcp", true),
        ("https://mcp.example/a/mc", false),
        ("https://mcp.example/a/mcp/b", false),
        ("https://mcp.example/b", false),
        ("http://mcp.example/a/mcp", false),
        ("https://evil.example/a/mcp", false),
        ("mcp", false),
    ];
    for (name, is_good) in rows {
        let web = vec![
            (RESOURCE_URL, resource(name, "https://as.example/p")),
            (AS_URL, server("https://as.example/p")),
        ];
        let found = end(&request(SERVER), web).await;
        assert_eq!(!found.starts_with("refused: "), is_good, "{name}: {found}");
    }
}

#[tokio::test]
async fn the_issuer_is_compared_without_normalising() {
    for (issuer, is_good) in [
        ("https://as.example/p", true),
        ("https://as.example/p/", false),
        ("https://AS.example/p", false),
        ("https://as.example", false),
    ] {
        let web = vec![
            (
                RESOURCE_URL,
                resource("https://mcp.example/a", "https://as.example/p"),
            ),
            (AS_URL, server(issuer)),
        ];
        let found = end(&request(SERVER), web).await;
        assert_eq!(
            !found.starts_with("refused: "),
            is_good,
            "{issuer}: {found}"
        );
    }
}

async fn end_with(change: impl FnOnce(&mut Value), pinned: Option<&str>) -> String {
    let mut document = server("https://as.example/p");
    change(&mut document);
    let web = vec![
        (
            RESOURCE_URL,
            resource("https://mcp.example/a", "https://as.example/p"),
        ),
        (AS_URL, document),
    ];
    let request = DiscoveryRequest {
        pinned_issuer: pinned.map(str::to_owned),
        ..request(SERVER)
    };
    end(&request, web).await
}

#[tokio::test]
async fn metadata_without_s256_is_refused() {
    const FIELD: &str = "code_challenge_methods_supported";
    let pinned = Some("https://as.example/p");
    let absent = |document: &mut Value| document[FIELD] = Value::Null;
    let plain = |document: &mut Value| document[FIELD] = json!(["plain"]);
    assert!(
        end_with(absent, None)
            .await
            .contains("does not say that it supports PKCE")
    );
    assert!(
        end_with(plain, None)
            .await
            .contains("does not support PKCE")
    );
    assert!(
        end_with(absent, pinned)
            .await
            .starts_with("https://as.example/p by")
    );
    assert!(
        end_with(plain, pinned)
            .await
            .contains("does not support PKCE")
    );
}

#[tokio::test]
async fn endpoints_are_https_and_public() {
    for (endpoint, is_good) in [
        ("https://other.example/token", true),
        ("http://as.example/token", false),
        ("http://127.0.0.1/token", false),
        ("https://127.0.0.1/token", false),
        ("https://10.0.0.1/token", false),
        ("https://me@as.example/token", false),
        ("https://as.example/token#x", false),
        ("not a url", false),
    ] {
        let found = end_with(
            |document| document["token_endpoint"] = endpoint.into(),
            None,
        )
        .await;
        assert_eq!(
            !found.starts_with("refused: "),
            is_good,
            "{endpoint}: {found}"
        );
    }
}

#[tokio::test]
async fn documents_of_a_wrong_shape_are_refused() {
    for change in [
        json!({"issuer": 1}),
        json!({"issuer": "https://as.example/p"}),
        json!({"token_endpoint": "https://as.example/token"}),
    ] {
        let found = end_with(|document| *document = change.clone(), None).await;
        assert!(
            found.contains("is missing or has a wrong type"),
            "{change}: {found}"
        );
    }
    let web = vec![(
        RESOURCE_URL,
        json!({"resource": "https://mcp.example", "authorization_servers": []}),
    )];
    let found = end(&request(SERVER), web).await;
    assert!(
        found.contains("`authorization_servers` is missing"),
        "{found}"
    );
}

#[tokio::test]
async fn a_trusted_server_that_publishes_nothing_is_refused() {
    let web = vec![(
        RESOURCE_URL,
        resource("https://mcp.example", "https://as.example/p"),
    )];
    let found = end(&request(SERVER), web).await;
    assert_eq!(
        found,
        "refused: `https://as.example/p` publishes no metadata"
    );
}

#[tokio::test]
async fn among_several_servers_the_pinned_then_the_known_then_the_first_is_taken() {
    let listed = json!({
        "resource": "https://mcp.example",
        "authorization_servers": ["https://a.example", "https://b.example", "https://c.example"],
    });
    let chosen = async |pinned: Option<&str>, known: Option<&str>| {
        let request = DiscoveryRequest {
            pinned_issuer: pinned.map(str::to_owned),
            known_issuer: known.map(str::to_owned),
            ..request(SERVER)
        };
        let (asked, end) = walked(&request, &Web(vec![(RESOURCE_URL, listed.clone())])).await;
        asked.get(1).cloned().unwrap_or(end)
    };
    let at = |host: &str| format!("https://{host}/.well-known/oauth-authorization-server");
    assert_eq!(chosen(None, None).await, at("a.example"));
    assert_eq!(
        chosen(None, Some("https://b.example")).await,
        at("b.example")
    );
    assert_eq!(
        chosen(None, Some("https://z.example")).await,
        at("a.example")
    );
    let pinned = Some("https://c.example");
    assert_eq!(
        chosen(pinned, Some("https://b.example")).await,
        at("c.example")
    );
    assert_eq!(
        chosen(Some("https://z.example"), None).await,
        "refused: the server trusts `https://a.example`, the config names `https://z.example`"
    );
}

#[tokio::test]
async fn a_server_for_machines_needs_neither_page_nor_pkce() {
    let found = end_with(
        |document| {
            *document =
                json!({"issuer": "https://as.example/p", "token_endpoint": "https://as.example/t"});
        },
        None,
    )
    .await;
    assert!(found.starts_with("https://as.example/p by"), "{found}");
}

#[test]
fn a_server_that_publishes_nothing_is_named_by_its_url() {
    let rows = [
        ("https://H.example/Mcp#x", "https://h.example/Mcp"),
        ("https://h.example", "https://h.example"),
        ("https://h.example/", "https://h.example"),
        ("https://h.example/mcp/", "https://h.example/mcp/"),
        ("https://h.example/mcp?a=b", "https://h.example/mcp?a=b"),
    ];
    for (server_url, expected) in rows {
        assert_eq!(canonical(server_url), expected, "{server_url}");
    }
}
