//! Which key a request carries, and what happens when it is refused.

use super::*;

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
        Box::pin(async move { Ok(Secret::new(format!("fetched-key-{n_renewals}"))) })
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
    assert_eq!(
        keys_sent(&provider),
        ["Bearer fetched-key-0", "Bearer fetched-key-1"]
    );
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
            "Bearer fetched-key-0",
            "Bearer fetched-key-1",
            "Bearer fetched-key-1",
            "Bearer fetched-key-1"
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
async fn a_fetched_key_stands_in_no_message_and_in_no_recording() {
    let provider = MockResponses::start();
    provider
        .queue(Reply::error(401, "expired", "fetched-key-0 is old"))
        .queue(sse(vec![
            ev_assistant_message("m", "you sent fetched-key-1"),
            ev_completed("r"),
        ]));
    let mut settings = settings(&provider);
    settings.key = ProviderKey::Source(Arc::new(Renewable::default()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.jsonl");
    let recording = crate::RecordSettings {
        codex: "0".to_owned(),
        created_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        model: "gpt-5.5".to_owned(),
        provider: "mock".to_owned(),
        redaction: crate::RedactionRules::default(),
        cwd: "/srv".into(),
        home: None,
    };
    let recorder = crate::Recorder::create(&file, Arc::new(api(settings)), recording).unwrap();
    let stream = recorder.stream(prompt(), RetryBudget::default(), CancellationToken::new());
    let events = collect(stream).await;
    assert!(
        told(&events).starts_with("Reconnecting... 1/1 (***** is old "),
        "{}",
        told(&events)
    );
    let recorded = std::fs::read_to_string(&file).unwrap();
    assert!(recorded.contains("you sent *****"), "{recorded}");
    assert!(!recorded.contains("fetched-key"), "{recorded}");
}
