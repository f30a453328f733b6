//! The client against a scripted provider.
//!
//! Waits between tries are announced in events and skipped here; time limits are real and short.

use std::time::Instant;

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
async fn nobody_listening_is_tried_five_times_and_named() {
    // Port 1 of loopback: nobody listens there.
    let events = ask(at("http://127.0.0.1:1/v1")).await;
    assert_snapshot!(told(&events), @"
    Reconnecting... 1/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    Reconnecting... 2/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    Reconnecting... 3/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    Reconnecting... 4/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    error cannot reach `http://127.0.0.1:PORT`: connection refused TooManyFailedAttempts { status: None } hints []
    ");
    let waits: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Ok(ModelEvent::Retrying(retrying)) => Some(retrying.after.as_millis()),
            _ => None,
        })
        .collect();
    assert_eq!(waits, [500, 1000, 2000, 4000]);
}

#[tokio::test]
async fn a_bad_request_fails_at_once_with_the_words_of_the_provider() {
    let provider = MockResponses::start();
    provider.queue(Reply::error(400, "invalid_value", "bad thing"));
    assert_snapshot!(told(&ask(settings(&provider)).await),
        @"error bad thing (HTTP 400, code invalid_value) BadRequest hints []");
    assert_eq!(n_requests(&provider), 1);
}

#[tokio::test]
async fn a_wrong_key_fails_at_once_with_a_hint_and_is_never_shown() {
    let provider = MockResponses::start();
    provider.queue(Reply::error(
        401,
        "invalid_api_key",
        "wrong key sekrit-key-0123",
    ));
    assert_snapshot!(told(&ask(settings(&provider)).await),
        @r#"error wrong key ***** (HTTP 401, code invalid_api_key) Unauthorized hints ["check the key of this provider: OPENAI_API_KEY, CODEX_API_KEY or its `env_key`"]"#);
    assert_eq!(n_requests(&provider), 1);
}

/// Counts up with every renewal.
#[derive(Debug, Default)]
struct Renewable(std::sync::atomic::AtomicU32);

impl AuthProvider for Renewable {
    fn key(
        &self,
        freshness: Freshness,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Secret, KeyError>> + Send + '_>> {
        use std::sync::atomic::Ordering::Relaxed;
        let n_renewals = match freshness {
            Freshness::Any => self.0.load(Relaxed),
            Freshness::Renewed => self.0.fetch_add(1, Relaxed) + 1,
        };
        Box::pin(async move { Ok(Secret::new(format!("key-{n_renewals}"))) })
    }
}

fn keys_sent(provider: &MockResponses) -> Vec<String> {
    let requests = provider.requests();
    let keys = requests
        .iter()
        .map(|request| request.header("authorization"));
    keys.flatten().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_key_that_can_be_renewed_is_renewed_once() {
    let provider = MockResponses::start();
    provider.otherwise(Reply::error(401, "expired", "expired"));
    let mut settings = settings(&provider);
    settings.key = ProviderKey::Source(Arc::new(Renewable::default()));
    let events = ask(settings).await;
    assert!(told(&events).ends_with(
        "Unauthorized hints [\"check the key of this provider: OPENAI_API_KEY, CODEX_API_KEY or its `env_key`\"]"
    ));
    assert_eq!(keys_sent(&provider), ["Bearer key-0", "Bearer key-1"]);
}

#[tokio::test]
async fn a_fault_after_a_renewal_does_not_renew_again() {
    let provider = MockResponses::start();
    provider
        .queue(Reply::error(401, "expired", "expired"))
        .queue(Reply::status(500))
        .queue(Reply::status(503))
        .queue(hello());
    let mut settings = settings(&provider);
    settings.key = ProviderKey::Source(Arc::new(Renewable::default()));
    ask(settings).await;
    assert_eq!(
        keys_sent(&provider),
        [
            "Bearer key-0",
            "Bearer key-1",
            "Bearer key-1",
            "Bearer key-1"
        ]
    );
}

#[tokio::test]
async fn a_missing_key_fails_before_any_request() {
    let provider = MockResponses::start();
    let mut settings = settings(&provider);
    settings.key = ProviderKey::Missing(KeyError::new("Missing environment variable: `PKEY`."));
    assert_snapshot!(told(&ask(settings).await),
        @"error Missing environment variable: `PKEY`. Unauthorized hints []");
    assert_eq!(n_requests(&provider), 0);
}

#[tokio::test]
async fn without_a_key_there_is_no_authorization() {
    let provider = MockResponses::start();
    provider.queue(hello());
    let mut settings = settings(&provider);
    settings.key = ProviderKey::None;
    ask(settings).await;
    assert_eq!(provider.request(0).header("authorization"), None);
}

#[tokio::test]
async fn a_lasting_500_is_tried_five_times() {
    let provider = MockResponses::start();
    provider.otherwise(Reply::error(500, "server_error", "boom"));
    let events = ask(settings(&provider)).await;
    assert_eq!(n_requests(&provider), 5);
    assert_snapshot!(told(&events[3..]), @"
    Reconnecting... 4/4 (boom (HTTP 500, code server_error))
    error boom (HTTP 500, code server_error) TooManyFailedAttempts { status: Some(500) } hints []
    ");
}

#[tokio::test]
async fn a_rate_limit_waits_as_long_as_the_provider_asks() {
    let provider = MockResponses::start();
    let text = "Rate limit reached. Please try again in 1.5s.";
    provider
        .queue(Reply::status(429).retry_after("7"))
        .queue(Reply::status(429).retry_after("Sat, 21 Nov 2026 10:00:09 GMT"))
        .queue(Reply::error(429, "rate_limit_exceeded", text))
        .queue(hello());
    let events = ask(settings(&provider)).await;
    let waits: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Ok(ModelEvent::Retrying(retrying)) => Some(retrying.after.as_millis()),
            _ => None,
        })
        .collect();
    assert_eq!(waits, [7000, 9000, 1500]);
    assert!(matches!(
        events.last(),
        Some(Ok(ModelEvent::Completed { .. }))
    ));
}

#[tokio::test]
async fn a_rate_limit_without_a_delay_is_tried_three_times() {
    let provider = MockResponses::start();
    provider.otherwise(Reply::error(429, "rate_limit_exceeded", "slow down"));
    assert_snapshot!(told(&ask(settings(&provider)).await), @"
    Reconnecting... 1/2 (slow down (HTTP 429, code rate_limit_exceeded))
    Reconnecting... 2/2 (slow down (HTTP 429, code rate_limit_exceeded))
    error slow down (HTTP 429, code rate_limit_exceeded) TooManyFailedAttempts { status: Some(429) } hints []
    ");
    assert_eq!(n_requests(&provider), 3);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_not_waited_for() {
    let provider = MockResponses::start();
    provider.queue(Reply::status(429).retry_after("3600"));
    assert_snapshot!(told(&ask(settings(&provider)).await),
        @"error Too Many Requests (HTTP 429); the provider asks to wait 60 minutes, more than the 60 s that we wait RateLimitExceeded hints []");
    assert_eq!(n_requests(&provider), 1);
}

#[tokio::test]
async fn a_used_quota_is_not_tried_again() {
    let provider = MockResponses::start();
    provider.queue(Reply::error(429, "insufficient_quota", "pay first"));
    assert_snapshot!(told(&ask(settings(&provider)).await),
        @"error pay first (HTTP 429, code insufficient_quota) UsageLimitExceeded hints []");
}

#[tokio::test]
async fn an_answer_that_breaks_before_an_item_is_tried_again() {
    let provider = MockResponses::start();
    let broken = || sse(vec![ev_response_created("r"), ev_text_delta("m", "Hel")]);
    provider
        .queue(broken().cut_at_end())
        .queue(broken())
        .queue(hello());
    let events = ask(settings(&provider)).await;
    assert!(matches!(
        events.last(),
        Some(Ok(ModelEvent::Completed { .. }))
    ));
    let whys: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Ok(ModelEvent::Retrying(retrying)) => Some(retrying.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(whys.len(), 2);
    assert!(whys[0].starts_with("Reconnecting... 1/5 ("), "{whys:?}");
    assert_eq!(
        whys[1],
        "Reconnecting... 2/5 (the answer ended before response.completed)"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_for_ever_is_tried_six_times() {
    let provider = MockResponses::start();
    provider.otherwise(sse(vec![ev_response_created("r")]));
    let events = ask(settings(&provider)).await;
    assert_eq!(n_requests(&provider), 6);
    assert_snapshot!(told(&events[events.len() - 1..]),
        @"error the answer ended before response.completed TooManyFailedAttempts { status: Some(200) } hints []");
}

#[tokio::test]
async fn items_before_a_break_stay_and_the_budget_goes_on() {
    let provider = MockResponses::start();
    provider
        .queue(Reply::status(500))
        .queue(sse(vec![
            ev_response_created("r"),
            ev_function_call("call_1", "run", "{}"),
        ]))
        .queue(Reply::status(500))
        .otherwise(hello());
    let api = api(settings(&provider));
    let cancel = CancellationToken::new();
    let first = collect(api.stream(prompt(), RetryBudget::default(), cancel.clone())).await;
    assert_snapshot!(told(&first), @r#"
    Reconnecting... 1/4 (Internal Server Error (HTTP 500))
    Created
    done {"type":"function_call","call_id":"call_1","name":"run","arguments":"{}"}
    interrupted
    "#);
    let Some(Ok(ModelEvent::Interrupted(budget))) = first.into_iter().next_back() else {
        panic!("interrupted");
    };
    let second = collect(api.stream(prompt(), budget, cancel)).await;
    assert_snapshot!(told(&second[..3]), @"
    Reconnecting... 1/5 (the answer ended before response.completed)
    Reconnecting... 2/4 (Internal Server Error (HTTP 500))
    Created
    ");
}

#[tokio::test]
async fn a_silent_answer_is_given_up_after_its_limit() {
    let provider = MockResponses::start();
    provider.otherwise(sse(vec![ev_response_created("r")]).then_idle());
    let mut settings = settings(&provider);
    settings.stream_idle_timeout = Duration::from_millis(100);
    settings.stream_max_retries = 1;
    let started = Instant::now();
    let events = ask(settings).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(n_requests(&provider), 2);
    assert!(
        matches!(
            events.last(),
            Some(Err(error)) if error.kind == TurnErrorKind::TooManyFailedAttempts { status: Some(200) }
        ),
        "{events:?}"
    );
}

#[tokio::test]
async fn comments_alone_keep_no_answer_alive() {
    let provider = MockResponses::start();
    let comments = Reply::sse_text(": still here\n".repeat(2000));
    provider.queue(comments.slowly(13, Duration::from_millis(10)));
    let mut settings = settings(&provider);
    settings.stream_idle_timeout = Duration::from_millis(100);
    settings.stream_max_retries = 0;
    assert_snapshot!(told(&ask(settings).await),
        @"error the answer was silent for 100ms ResponseStreamDisconnected { status: Some(200) } hints []");
}

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up() {
    let provider = MockResponses::start();
    provider.otherwise(Reply::never());
    let mut settings = settings(&provider);
    settings.stream_idle_timeout = Duration::from_millis(100);
    settings.request_max_retries = 1;
    let events = ask(settings).await;
    assert_eq!(n_requests(&provider), 2);
    assert!(
        matches!(events.last(), Some(Err(error)) if error.origin == ErrorOrigin::Connection),
        "{events:?}"
    );
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let provider = MockResponses::start();
    provider.otherwise(Reply::garbage());
    let events = ask(settings(&provider)).await;
    assert_eq!(n_requests(&provider), 5);
    assert!(
        matches!(events.last(), Some(Err(error)) if error.origin == ErrorOrigin::Connection),
        "{events:?}"
    );
    provider.otherwise(Reply::hang_up());
    let events = ask(settings(&provider)).await;
    assert!(
        matches!(events.last(), Some(Err(error)) if error.origin == ErrorOrigin::Connection),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_page_and_a_broken_event_are_named() {
    let provider = MockResponses::start();
    let mut settings = settings(&provider);
    settings.stream_max_retries = 0;
    provider.queue(
        Reply::status(200)
            .header("content-type", "text/html; charset=utf-8")
            .body("<html>\n\n</html>"),
    );
    assert_snapshot!(told(&ask(settings.clone()).await),
        @"error the provider answered with `text/html` instead of events ResponseStreamDisconnected { status: Some(200) } hints []");
    provider.queue(Reply::sse_text("data: {\"type\":\"response.created\"\n\n"));
    assert_snapshot!(told(&ask(settings).await),
        @"error unparsable event: EOF while parsing an object at line 1 column 26 ResponseStreamDisconnected { status: Some(200) } hints []");
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed() {
    let provider = MockResponses::start();
    let other = MockResponses::start();
    provider.queue(Reply::redirect(&format!("{}/responses", other.base_url())));
    let events = ask(settings(&provider)).await;
    assert_eq!((n_requests(&provider), n_requests(&other)), (1, 0));
    assert!(matches!(events.as_slice(), [Err(_)]), "{events:?}");
}

#[tokio::test]
async fn failures_within_an_answer_follow_the_table() {
    let provider = MockResponses::start();
    provider
        .queue(sse(vec![ev_failed("server_error", "boom")]))
        .queue(sse(vec![ev_error("server_is_overloaded", "busy")]))
        .queue(sse(vec![ev_failed(
            "rate_limit_exceeded",
            "try again in 3s",
        )]))
        .queue(sse(vec![ev_failed("invalid_prompt", "no")]));
    assert_snapshot!(told(&ask(settings(&provider)).await), @"
    Reconnecting... 1/5 (boom (code server_error))
    Reconnecting... 2/5 (busy (code server_is_overloaded))
    Reconnecting... 1/4 (try again in 3s (code rate_limit_exceeded))
    error no (code invalid_prompt) BadRequest hints []
    ");
    provider.queue(sse(vec![ev_failed("context_length_exceeded", "too long")]));
    let events = ask(settings(&provider)).await;
    assert!(
        matches!(events.as_slice(), [Err(error)] if error.wants_compaction()),
        "{events:?}"
    );
    provider.queue(sse(vec![ev_incomplete("max_output_tokens")]));
    assert_snapshot!(told(&ask(settings(&provider)).await),
        @"error incomplete: max_output_tokens Other hints []");
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

#[tokio::test]
async fn an_answer_cut_at_any_byte_ends_as_broken_or_complete() {
    let provider = MockResponses::start();
    let mut settings = settings(&provider);
    settings.stream_max_retries = 0;
    let api = api(settings);
    let body = "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"n\",\"arguments\":\"\u{e4}\"}}\n\ndata: {\"type\":\"response.completed\"}\n\n";
    for n_bytes in (0..body.len()).step_by(3) {
        provider.queue(Reply::sse_text(body).cut_after(n_bytes));
        let stream = api.stream(prompt(), RetryBudget::default(), CancellationToken::new());
        let events = collect(stream).await;
        match events.last() {
            Some(Err(error)) => assert_eq!(error.origin, ErrorOrigin::Stream, "{n_bytes}: {error}"),
            other => panic!("{n_bytes}: {other:?}"),
        }
    }
}
