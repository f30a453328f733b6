//! What goes wrong at a provider or on the way to it: the table of contract-model-api 10 as events.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn nobody_listening_is_tried_five_times_and_named() {
    // Port 1 of loopback: nobody listens there.
    let events = ask(at("http://127.0.0.1:1/v1")).await;
    assert_snapshot!(told(&events), @r#"
    Reconnecting... 1/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    Reconnecting... 2/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    Reconnecting... 3/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    Reconnecting... 4/4 (cannot reach `http://127.0.0.1:PORT`: connection refused)
    error cannot reach `http://127.0.0.1:PORT`: connection refused TooManyFailedAttempts { status: None } hints ["check that the server runs and that the port is right"]
    "#);
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
