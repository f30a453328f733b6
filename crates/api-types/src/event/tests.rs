//! Events as providers write them.

use super::*;

fn decoded(data: &str) -> String {
    match SseEvent::decode(data) {
        Ok(SseEvent::Completed(done)) => format!("Completed {:?} {:?}", done.usage, done.output()),
        Ok(event) => format!("{event:?}"),
        Err(why) => why.to_string(),
    }
}

#[test]
fn a_delta_is_borrowed_and_an_escaped_one_is_owned() {
    let data = r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"plain","logprobs":[]}"#;
    let Ok(SseEvent::OutputTextDelta(Cow::Borrowed(text))) = SseEvent::decode(data) else {
        panic!("the text of a plain delta points into the data");
    };
    assert_eq!(text, "plain");
    assert_eq!(
        decoded(r#"{"delta":"a\n\u00e4","type":"response.output_text.delta"}"#),
        "OutputTextDelta(\"a\\nä\")"
    );
}

#[test]
fn every_delta_has_its_own_event() {
    for (kind, name) in [
        ("reasoning_summary_text", "ReasoningSummaryTextDelta"),
        ("reasoning_text", "ReasoningTextDelta"),
        ("custom_tool_call_input", "CustomToolCallInputDelta"),
    ] {
        let data = format!(r#"{{"type":"response.{kind}.delta","delta":"x"}}"#);
        assert_eq!(decoded(&data), format!("{name}(\"x\")"));
    }
    assert_eq!(
        decoded(r#"{"type":"response.reasoning_summary_part.added","part":{"type":"x"}}"#),
        "ReasoningSummaryPartAdded"
    );
}

#[test]
fn items_come_typed() {
    let data = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc","call_id":"c","name":"n","arguments":"{}"}}"#;
    let Ok(SseEvent::OutputItemDone(ResponseItem::FunctionCall(call))) = SseEvent::decode(data)
    else {
        panic!("a function call");
    };
    assert_eq!(call.call_id, "c");
}

#[test]
fn the_end_has_usage_and_keeps_the_output_for_those_who_ask() {
    insta::assert_snapshot!(decoded(r#"{"type":"response.completed","response":{"id":"r","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"}]}],"usage":{"input_tokens":1,"output_tokens":2}}}"#),
        @r#"Completed Usage { input_tokens: 1, cached_input_tokens: 0, cache_write_input_tokens: 0, output_tokens: 2, reasoning_output_tokens: 0 } [Message(Message { role: "assistant", content: [OutputText { text: "x" }], phase: None })]"#);
    insta::assert_snapshot!(decoded(r#"{"type":"response.completed"}"#),
        @"Completed Usage { input_tokens: 0, cached_input_tokens: 0, cache_write_input_tokens: 0, output_tokens: 0, reasoning_output_tokens: 0 } []");
    assert_eq!(
        decoded(
            r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"content_filter"}}}"#
        ),
        r#"Incomplete { reason: "content_filter" }"#
    );
}

#[test]
fn failures_are_read_from_both_events() {
    let failed = |data: &str| match SseEvent::decode(data) {
        Ok(SseEvent::Failed(error)) => (error.code, error.message),
        other => panic!("{other:?}"),
    };
    let expected = (Some("server_error".to_owned()), Some("boom".to_owned()));
    for data in [
        r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"boom"}}}"#,
        r#"{"type":"error","code":"server_error","message":"boom","param":null}"#,
        r#"{"type":"error","error":{"type":"x","code":"server_error","message":"boom"}}"#,
    ] {
        assert_eq!(failed(data), expected, "{data}");
    }
    assert_eq!(failed(r#"{"type":"response.failed"}"#), (None, None));
}

#[test]
fn foreign_events_are_ignored_whatever_their_shape() {
    assert_eq!(decoded(r#"{"type":"response.in_progress"}"#), "Ignored");
    assert_eq!(
        decoded(r#"{"type":"vendor.delta","delta":{"a":1},"error":7}"#),
        "Ignored"
    );
    assert_eq!(decoded(r#"{"no":"type"}"#), "Ignored");
}

#[test]
fn broken_data_of_our_own_events_is_an_error() {
    assert!(decoded("<html>").starts_with("unparsable event: "));
    assert!(
        decoded(r#"{"type":"response.output_text.delta","delta":"cut"#).starts_with("unparsable")
    );
    assert!(
        decoded(r#"{"type":"response.output_text.delta","delta":5}"#).starts_with("unparsable")
    );
}

#[test]
fn an_item_that_is_no_object_is_never_taken() {
    for item in ["", r#","item":null"#, r#","item":"text""#] {
        let data = format!(r#"{{"type":"response.output_item.done"{item}}}"#);
        assert!(decoded(&data).starts_with("unparsable event: "), "{data}");
    }
    let end = r#"{"type":"response.completed","response":{"output":[null,7,{"type":"new"}]}}"#;
    let Ok(SseEvent::Completed(done)) = SseEvent::decode(end) else {
        panic!("an end");
    };
    assert_eq!(done.output().len(), 1);
}

#[test]
fn odd_counts_are_zeros_and_do_not_spoil_the_end() {
    for usage in [
        "null",
        "7",
        r#"{"input_tokens":-1}"#,
        r#"{"input_tokens":"x"}"#,
    ] {
        let data = format!(r#"{{"type":"response.completed","response":{{"usage":{usage}}}}}"#);
        let Ok(SseEvent::Completed(done)) = SseEvent::decode(&data) else {
            panic!("{usage} spoils the end");
        };
        assert_eq!(done.usage, Usage::default());
    }
}

#[test]
fn bodies_of_refusals_have_many_shapes() {
    let read = |body: &str| ProviderError::from_body(body).map(|e| (e.message, e.code, e.kind));
    let text = |t: &str| Some(t.to_owned());
    assert_eq!(
        read(r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#),
        Some((text("m"), text("c"), text("t")))
    );
    assert_eq!(
        read(r#"{"error":{"message":"m","code":400}}"#),
        Some((text("m"), text("400"), None))
    );
    assert_eq!(
        read(r#"{"error":"plain"}"#),
        Some((text("plain"), None, None))
    );
    assert_eq!(read(r#"{"detail":"no"}"#), Some((text("no"), None, None)));
    assert_eq!(
        read(r#"{"message":"no","code":"x"}"#),
        Some((text("no"), text("x"), None))
    );
    assert_eq!(read(r#"{"ok":1}"#), None);
    assert_eq!(read("<html>"), None);
    let quota = ProviderError::from_body(
        r#"{"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":90,"resets_at":1700000000}}"#,
    )
    .unwrap();
    assert!(quota.is(&["usage_limit_reached"]));
    assert_eq!(
        (quota.resets_at, quota.resets_in_seconds),
        (Some(1_700_000_000), Some(90))
    );
}
