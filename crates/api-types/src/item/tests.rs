//! Wire bytes of items: what is read and what is sent back.

use insta::assert_snapshot;

use super::*;

fn sent_back(wire: &str) -> String {
    let item: ResponseItem = serde_json::from_str(wire).unwrap();
    let bytes = serde_json::to_string(&item).unwrap();
    let again: ResponseItem = serde_json::from_str(&bytes).unwrap();
    let second = serde_json::to_string(&again).unwrap();
    let kind = serde_json::to_value(&item).unwrap()["type"].clone();
    assert_eq!(kind.as_str().unwrap_or("item"), item.kind());
    assert_eq!(second, bytes, "what is stored reads back to the same bytes");
    bytes
}

#[test]
fn a_message_goes_back_without_id_status_and_annotations() {
    assert_snapshot!(sent_back(r#"{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hi"}],"phase":"final_answer"}"#),
        @r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi"}],"phase":"final_answer"}"#);
}

#[test]
fn a_message_of_plain_text_becomes_one_part() {
    assert_snapshot!(sent_back(r#"{"type":"message","role":"assistant","content":"Hi"}"#),
        @r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi"}]}"#);
}

#[test]
fn reasoning_keeps_summary_and_seal_and_drops_plain_content() {
    assert_snapshot!(sent_back(r#"{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"**Plan**"}],"content":[{"type":"reasoning_text","text":"secret"}],"encrypted_content":"AAA=","status":null}"#),
        @r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"**Plan**"}],"encrypted_content":"AAA="}"#);
}

#[test]
fn calls_keep_their_names_and_text() {
    assert_snapshot!(sent_back(r#"{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"a\": 1.0}","call_id":"call_1","name":"echo","namespace":"mcp__t"}"#),
        @r#"{"type":"function_call","call_id":"call_1","name":"echo","namespace":"mcp__t","arguments":"{\"a\": 1.0}"}"#);
    assert_snapshot!(sent_back(r#"{"id":"ctc_1","type":"custom_tool_call","status":"completed","call_id":"call_2","name":"apply_patch","input":"*** Begin"}"#),
        @r#"{"type":"custom_tool_call","call_id":"call_2","name":"apply_patch","input":"*** Begin"}"#);
    assert_snapshot!(sent_back(r#"{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"rust"}}"#),
        @r#"{"type":"web_search_call","action":{"type":"search","query":"rust"}}"#);
    assert_snapshot!(sent_back(r#"{"id":"ls_1","type":"local_shell_call","status":"completed","call_id":"call_3","action":{"type":"exec","command":["ls"]}}"#),
        @r#"{"type":"local_shell_call","call_id":"call_3","action":{"type":"exec","command":["ls"]}}"#);
}

#[test]
fn a_call_without_call_id_is_joined_by_its_id_and_object_arguments_become_text() {
    assert_snapshot!(sent_back(r#"{"id":"fc_1","type":"function_call","name":"echo","arguments":{"b":2,"a":1}}"#),
        @r#"{"type":"function_call","call_id":"fc_1","name":"echo","arguments":"{\"b\":2,\"a\":1}"}"#);
}

#[test]
fn outputs_are_a_string_or_parts() {
    assert_snapshot!(serde_json::to_string(&ResponseItem::function_output("call_1", "ok")).unwrap(),
        @r#"{"type":"function_call_output","call_id":"call_1","output":"ok"}"#);
    let parts = CallOutput::Parts(vec![
        ContentItem::input_text("see"),
        ContentItem::input_image("data:image/png;base64,AA=="),
    ]);
    let wire = serde_json::to_string(&ResponseItem::custom_output("call_2", parts)).unwrap();
    assert_snapshot!(sent_back(&wire),
        @r#"{"type":"custom_tool_call_output","call_id":"call_2","output":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"data:image/png;base64,AA=="}]}"#);
}

#[test]
fn unknown_items_and_parts_survive_to_the_byte() {
    for wire in [
        r#"{"z":1,"type":"image_generation_call","id":"ig_1","status":"completed","result":"AAAA","nested":{"b":[1,2.5,null]}}"#,
        r#"{"type":"message","role":7}"#,
        r#"{"type":"reasoning","summary":[{"type":"new_kind","blob":1}]}"#,
        r#"{"type":"function_call","arguments":"{}"}"#,
        r#"{"type":"function_call_output","call_id":"c","output":{"new":true}}"#,
        r#"{"no":"type"}"#,
    ] {
        assert_eq!(sent_back(wire), wire);
    }
    assert_snapshot!(sent_back(r#"{"type":"message","role":"user","content":[{"type":"input_file","file_id":"f"}]}"#),
        @r#"{"type":"message","role":"user","content":[{"type":"input_file","file_id":"f"}]}"#);
}

#[test]
fn only_our_calls_wait_for_an_answer() {
    let call = |wire: &str| {
        let item: ResponseItem = serde_json::from_str(wire).unwrap();
        item.pending_call().map(str::to_owned)
    };
    assert_eq!(
        call(r#"{"type":"function_call","call_id":"a","name":"n"}"#).as_deref(),
        Some("a")
    );
    assert_eq!(call(r#"{"type":"web_search_call","id":"ws"}"#), None);
    assert_eq!(call(r#"{"type":"mcp_call","id":"m"}"#), None);
}
