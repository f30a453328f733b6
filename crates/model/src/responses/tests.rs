//! The client against a scripted provider.
//!
//! Waits between tries are announced in events and skipped here; time limits are real and short.

mod faults;
mod keys;

use codex_api_types::{ContentItem, ResponseItem};
use codex_host::Env;
use codex_protocol::{ThreadId, TurnErrorKind};
use codex_test_support::{
    MockResponses, Reply, UsageCounts, ev_assistant_message, ev_completed, ev_completed_with_usage,
    ev_error, ev_failed, ev_function_call, ev_incomplete, ev_item_added, ev_reasoning_delta,
    ev_response_created, ev_text_delta, sse,
};
use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::{
    AuthProvider, ClientIdentity, ErrorOrigin, Freshness, KeyError, ModelError, ModelEvent,
    PromptItem,
};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(10);

fn settings(provider: &MockResponses) -> ProviderSettings {
    at(&provider.base_url())
}

fn at(url: &str) -> ProviderSettings {
    let identity = ClientIdentity::new("codex_exec", None, "0.1.0", "Linux 6; x86_64", "dumb");
    let mut settings = ProviderSettings::new("mock", Url::parse(url).unwrap(), identity);
    settings.key = ProviderKey::Fixed(Secret::new("sekrit-key-0123"));
    settings.stream_idle_timeout = LIMIT;
    settings
}

fn api(settings: ProviderSettings) -> ResponsesApi {
    let http = HttpClient::from_env(Env::default());
    let clock = Clock::fixed("2026-11-21T10:00:00Z".parse().unwrap());
    ResponsesApi::with_waits(settings, http, clock, Waits::Skipped)
}

fn prompt() -> Prompt {
    let thread = "01a1fabd-271c-7641-9288-7a6c1251e488"
        .parse::<ThreadId>()
        .unwrap();
    let item = ResponseItem::input_message("user", vec![ContentItem::input_text("hi")]);
    Prompt::new(thread, "gpt-5.5", vec![PromptItem::user(item)])
}

async fn collect(mut stream: ModelStream) -> Vec<Result<ModelEvent, ModelError>> {
    let all = async {
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event);
        }
        events
    };
    tokio::time::timeout(LIMIT, all)
        .await
        .expect("the stream ends")
}

async fn ask(settings: ProviderSettings) -> Vec<Result<ModelEvent, ModelError>> {
    let stream = api(settings).stream(prompt(), RetryBudget::default(), CancellationToken::new());
    collect(stream).await
}

/// Writes events as one line each, ports masked.
fn told(events: &[Result<ModelEvent, ModelError>]) -> String {
    let lines = events.iter().map(|event| match event {
        Ok(ModelEvent::ItemDone(item)) => {
            format!("done {}", serde_json::to_string(item).unwrap())
        }
        Ok(ModelEvent::Retrying(retrying)) => retrying.to_string(),
        Ok(ModelEvent::Interrupted(_)) => "interrupted".to_owned(),
        Ok(event) => format!("{event:?}"),
        Err(error) => format!("error {error} {:?} hints {:?}", error.kind, error.hints),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut masked = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find("127.0.0.1:") {
        let (before, after) = rest.split_at(start + "127.0.0.1:".len());
        masked.push_str(before);
        masked.push_str("PORT");
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    masked + rest
}

fn hello() -> Reply {
    sse(vec![
        ev_response_created("r"),
        ev_assistant_message("m", "Hello"),
        ev_completed("r"),
    ])
}

fn n_requests(provider: &MockResponses) -> usize {
    provider.requests().len()
}

#[tokio::test]
async fn an_answer_comes_as_events_with_its_usage() {
    let provider = MockResponses::start();
    let usage = UsageCounts {
        input: 200,
        cached: 80,
        output: 14,
        reasoning: 6,
    };
    provider.queue(sse(vec![
        ev_response_created("r"),
        ev_item_added("m"),
        ev_reasoning_delta("rs", "think"),
        ev_text_delta("m", "Hel"),
        ev_text_delta("m", "lo"),
        ev_assistant_message("m", "Hello"),
        ev_completed_with_usage("r", usage),
    ]));
    let events = ask(settings(&provider)).await;
    let mut text = String::new();
    for event in &events {
        if let Ok(ModelEvent::TextDelta(delta)) = event {
            text.push_str(delta);
        }
    }
    assert_eq!(text, "Hello");
    let others: Vec<_> = events
        .into_iter()
        .filter(|event| {
            !matches!(
                event,
                Ok(ModelEvent::TextDelta(_) | ModelEvent::ItemAdded(_))
            )
        })
        .collect();
    assert_snapshot!(told(&others), @r#"
    Created
    ReasoningDelta("think")
    done {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}
    Completed { usage: TokenUsage { input_tokens: 200, cached_input_tokens: 80, cache_write_input_tokens: 0, output_tokens: 14, reasoning_output_tokens: 6 } }
    "#);
}

#[tokio::test]
async fn a_request_carries_the_headers_and_the_body_of_the_contract() {
    let provider = MockResponses::start();
    provider.queue(hello());
    let mut settings = settings(&provider);
    settings.headers = vec![
        ("x-mine".to_owned(), Secret::new("1")),
        ("originator".to_owned(), Secret::new("mine")),
        ("Accept".to_owned(), Secret::new("text/html")),
    ];
    settings.query_params = vec![("api-version".to_owned(), "7".to_owned())];
    ask(settings).await;
    let request = provider.request(0);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/responses?api-version=7")
    );
    let id = "01a1fabd-271c-7641-9288-7a6c1251e488";
    for (name, value) in [
        ("authorization", "Bearer sekrit-key-0123"),
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("originator", "mine"),
        ("user-agent", "codex_exec/0.1.0 (Linux 6; x86_64) dumb"),
        ("session-id", id),
        ("thread-id", id),
        ("x-mine", "1"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert!(
        request
            .header("x-client-request-id")
            .is_some_and(|id| id.len() == 36)
    );
    assert_eq!(request.header("accept-encoding"), None);
    assert_snapshot!(String::from_utf8(request.body).unwrap(),
        @r#"{"model":"gpt-5.5","stream":true,"store":false,"instructions":"","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"tools":[],"tool_choice":"auto","parallel_tool_calls":true,"include":["reasoning.encrypted_content"],"prompt_cache_key":"01a1fabd-271c-7641-9288-7a6c1251e488"}"#);
}

#[tokio::test]
async fn every_try_has_its_own_request_id() {
    let provider = MockResponses::start();
    provider.queue(Reply::status(500)).queue(hello());
    ask(settings(&provider)).await;
    let ids: Vec<_> = provider
        .requests()
        .iter()
        .map(|request| request.header("x-client-request-id").map(str::to_owned))
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn the_output_of_the_end_counts_only_without_items() {
    let provider = MockResponses::start();
    let end = |item: Value| serde_json::json!({"type": "response.completed", "response": {"output": [item]}});
    let message = serde_json::json!({"type": "message", "role": "assistant", "content": "late"});
    provider
        .queue(sse(vec![end(message.clone())]))
        .queue(sse(vec![ev_assistant_message("m", "early"), end(message)]));
    let done = |events: Vec<Result<ModelEvent, ModelError>>| {
        let items = events.into_iter().filter_map(|event| match event {
            Ok(ModelEvent::ItemDone(ResponseItem::Message(message))) => Some(message.text()),
            _ => None,
        });
        items.collect::<Vec<_>>()
    };
    assert_eq!(done(ask(settings(&provider)).await), ["late"]);
    assert_eq!(done(ask(settings(&provider)).await), ["early"]);
}

#[tokio::test]
async fn odd_but_legal_streams_are_read() {
    let provider = MockResponses::start();
    provider.queue(Reply::sse_text(
        ": hello\r\nevent: lies\r\ndata: {\"type\":\"response.output_item.done\",\r\ndata: \"item\":{\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\r\n\r\ndata: {\"type\":\"vendor.news\",\"delta\":7}\n\ndata: {\"type\":\"response.completed\",\"response\":{}}\r\rdata: [DONE]\n\n",
    ));
    assert_snapshot!(told(&ask(settings(&provider)).await), @r#"
    done {"type":"message","role":"assistant","content":[]}
    Completed { usage: TokenUsage { input_tokens: 0, cached_input_tokens: 0, cache_write_input_tokens: 0, output_tokens: 0, reasoning_output_tokens: 0 } }
    "#);
}

#[tokio::test]
async fn cancelling_ends_any_wait_at_once() {
    let provider = MockResponses::start();
    provider
        .queue(Reply::never())
        .queue(sse(vec![ev_response_created("r")]).then_idle())
        .queue(Reply::status(503).retry_after("50"));
    let http = HttpClient::from_env(Env::default());
    let api = ResponsesApi::new(settings(&provider), http, Clock::system());
    for n_before in [1, 2, 3] {
        let cancel = CancellationToken::new();
        let stream = api.stream(prompt(), RetryBudget::default(), cancel.clone());
        let (events, ()) = tokio::join!(collect(stream), async {
            provider.requests_reached(n_before, LIMIT).await;
            cancel.cancel();
        });
        assert_eq!(events.last(), Some(&Err(ModelError::cancelled())));
    }
}

#[tokio::test]
async fn a_request_over_its_limit_is_not_sent_and_the_biggest_item_is_named() {
    let provider = MockResponses::start();
    let mut prompt = prompt();
    let big = ResponseItem::function_output("call_1", "x".repeat(65 << 20));
    Arc::make_mut(&mut prompt.input).push(PromptItem::call(big, crate::CallStatus::Completed));
    let api = api(settings(&provider));
    let stream = api.stream(prompt, RetryBudget::default(), CancellationToken::new());
    assert_snapshot!(told(&collect(stream).await),
        @r#"error the request has 65 MiB, more than the limit of 64 MiB; the biggest item is number 2, a `function_call_output` of 65 MiB BadRequest hints ["begin a new thread, or attach smaller images"]"#);
    assert_eq!(n_requests(&provider), 0);
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_named_without_its_value() {
    let provider = MockResponses::start();
    let mut settings = settings(&provider);
    settings.headers = vec![("x-bad".to_owned(), Secret::new("secret\nvalue"))];
    assert_snapshot!(told(&ask(settings).await),
        @"error provider `mock`: the value of header `x-bad` has characters that a header cannot carry Other hints []");
    assert_eq!(n_requests(&provider), 0);
}

#[tokio::test]
async fn the_engine_can_change_its_history_while_the_answer_arrives() {
    let provider = MockResponses::start();
    provider.queue(hello());
    let prompt = prompt();
    let mut history = prompt.input.clone();
    let api = api(settings(&provider));
    let mut stream = api.stream(prompt, RetryBudget::default(), CancellationToken::new());
    stream.next().await.unwrap().unwrap();
    assert!(
        Arc::get_mut(&mut history).is_some(),
        "the session holds no copy of the history"
    );
}
