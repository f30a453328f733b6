//! Every kind of block, and what happens to too much text.

use insta::assert_snapshot;
use serde_json::json;

use super::*;

fn outcome(content: Vec<Value>) -> McpOutcome {
    McpOutcome {
        content,
        ..McpOutcome::default()
    }
}

fn nowhere() -> Spill {
    Spill {
        folder: PathBuf::from("/dev/null/no-folder"),
        call_id: "call_1".to_owned(),
    }
}

fn shown(outcome: &McpOutcome) -> String {
    match render(outcome, Duration::from_micros(3000), None, &nowhere()) {
        CallOutput::Text(text) => text,
        CallOutput::Parts(parts) => serde_json::to_string_pretty(&parts).unwrap(),
    }
}

#[test]
fn texts_follow_each_other_after_the_head() {
    let outcome = outcome(vec![
        json!({"type": "text", "text": "one"}),
        json!({"type": "text", "text": "two"}),
    ]);
    assert_snapshot!(shown(&outcome), @"
    Wall time: 0.0030 seconds
    Output:
    one
    two
    ");
}

#[test]
fn an_error_of_the_tool_is_said_before_the_body() {
    let mut outcome = outcome(vec![json!({"type": "text", "text": "no such file"})]);
    outcome.is_error = true;
    assert_snapshot!(shown(&outcome), @"
    Wall time: 0.0030 seconds
    Output:
    The tool reported an error.
    no such file
    ");
}

#[test]
fn structured_content_follows_unless_a_text_says_the_same() {
    let mut outcome = outcome(vec![json!({"type": "text", "text": "42 it is"})]);
    outcome.structured = Some(json!({"answer": 42, "b": [1, 2]}));
    assert_snapshot!(shown(&outcome), @r#"
    Wall time: 0.0030 seconds
    Output:
    42 it is
    {"answer":42,"b":[1,2]}
    "#);
    outcome.content = vec![json!({"type": "text", "text": "{ \"b\": [1, 2], \"answer\": 42 }"})];
    assert_snapshot!(shown(&outcome), @r#"
    Wall time: 0.0030 seconds
    Output:
    { "b": [1, 2], "answer": 42 }
    "#);
}

#[test]
fn links_embedded_texts_and_unknown_blocks_are_all_named() {
    let outcome = outcome(vec![
        json!({"type": "resource_link", "uri": "file:///a", "name": "a", "mimeType": "text/plain"}),
        json!({"type": "resource_link", "uri": "file:///b"}),
        json!({"type": "resource", "resource": {"uri": "mem://x", "text": "inside"}}),
        json!({"type": "resource", "resource": {"uri": "mem://y", "blob": "AA==", "mimeType": "application/zip"}}),
        json!({"type": "audio", "data": "AA==", "mimeType": "audio/wav"}),
        json!({"type": "image", "data": "AA==", "mimeType": "image/tiff"}),
        json!({"type": "hologram"}),
        json!(7),
    ]);
    assert_snapshot!(shown(&outcome), @"
    Wall time: 0.0030 seconds
    Output:
    Resource link: file:///a (a, text/plain)
    Resource link: file:///b
    Resource mem://x:
    inside
    [content dropped: application/zip mem://y]
    [content dropped: audio]
    [content dropped: image/tiff]
    [content dropped: hologram]
    [content dropped: unknown]
    ");
}

#[test]
fn a_picture_makes_parts_in_the_order_of_the_blocks() {
    let outcome = outcome(vec![
        json!({"type": "text", "text": "before"}),
        json!({"type": "image", "data": "iVBO", "mimeType": "image/png"}),
        json!({"type": "text", "text": "after"}),
        json!({"type": "resource", "resource": {"uri": "mem://p", "blob": "/9j/", "mimeType": "image/jpeg"}}),
    ]);
    assert_snapshot!(shown(&outcome), @r#"
    [
      {
        "type": "input_text",
        "text": "Wall time: 0.0030 seconds\nOutput:\nbefore"
      },
      {
        "type": "input_image",
        "image_url": "data:image/png;base64,iVBO"
      },
      {
        "type": "input_text",
        "text": "after"
      },
      {
        "type": "input_image",
        "image_url": "data:image/jpeg;base64,/9j/"
      }
    ]
    "#);
}

#[test]
fn nothing_at_all_is_an_empty_body() {
    assert_eq!(
        shown(&outcome(Vec::new())),
        "Wall time: 0.0030 seconds\nOutput:\n"
    );
}

#[test]
fn too_much_text_keeps_head_and_tail_and_names_the_file_with_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill {
        folder: folder.path().join("outputs"),
        call_id: "../call/1".to_owned(),
    };
    let text = format!("HEAD{}TAIL", "ä".repeat(100));
    let outcome = outcome(vec![
        json!({"type": "text", "text": text}),
        json!({"type": "image", "data": "iVBO", "mimeType": "image/png"}),
    ]);
    let CallOutput::Parts(parts) = render(&outcome, Duration::ZERO, Some(5), &spill) else {
        panic!("a picture makes parts");
    };
    let path = spill.folder.join("___call_1.txt");
    assert_eq!(
        parts[0].as_text().unwrap(),
        format!(
            "Wall time: 0.0000 seconds\nOutput:\nHEADäää\n… 188 bytes omitted; the whole text is in \
             {} …\näääTAIL",
            path.display()
        )
    );
    assert_eq!(
        parts[1],
        ContentItem::input_image("data:image/png;base64,iVBO")
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // The same call id in a resumed thread leaves the earlier text alone.
    render(&outcome, Duration::ZERO, Some(5), &spill);
    assert!(spill.folder.join("___call_1-2.txt").exists());
}

#[test]
fn a_text_that_cannot_be_kept_says_why_and_is_still_cut() {
    let outcome = outcome(vec![json!({"type": "text", "text": "x".repeat(1000)})]);
    let CallOutput::Text(text) = render(&outcome, Duration::ZERO, Some(10), &nowhere()) else {
        panic!("no picture, no parts");
    };
    assert!(
        text.contains("960 bytes omitted; the whole text could not be kept: "),
        "{text}"
    );
    assert!(text.len() < 300);
}

#[test]
fn text_at_the_budget_is_whole() {
    let outcome = outcome(vec![json!({"type": "text", "text": "x".repeat(40)})]);
    let CallOutput::Text(text) = render(&outcome, Duration::ZERO, Some(10), &nowhere()) else {
        panic!("no picture, no parts");
    };
    assert!(text.ends_with(&"x".repeat(40)));
}

#[test]
fn the_words_of_an_error_have_the_budget_of_an_output() {
    let told = |length: usize| within_limit("x".repeat(length), Some(10), &nowhere());
    assert_eq!(told(40), "x".repeat(40));
    let cut = told(1000);
    assert!(cut.contains("… 960 bytes omitted; "), "{cut}");
}

#[test]
fn an_output_that_was_too_long_to_hold_says_what_the_file_has() {
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill {
        folder: folder.path().to_owned(),
        call_id: "call_1".to_owned(),
    };
    let mut output = codex_process::HeadTail::new(1000);
    output.push(format!("HEAD{}TAIL", "x".repeat(9992)).as_bytes());
    let told = of_command(&output.kept(), Some(10), &spill);
    let path = folder.path().join("call_1.txt");
    let x = "x".repeat(16);
    assert_eq!(
        told,
        format!(
            "HEAD{x}\n… 9960 bytes omitted; its beginning and its end, 1000 bytes, are in {} …\n{x}TAIL",
            path.display()
        )
    );
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept.contains("x\n… 9000 bytes omitted …\nx"), "{kept}");

    let mut output = codex_process::HeadTail::new(1000);
    output.push(&[b'x'; 1000]);
    let told = of_command(&output.kept(), Some(10), &spill);
    assert!(
        told.contains("… 960 bytes omitted; the whole text is in "),
        "{told}"
    );
}

/// A budget between what is held and the line that says what is missing once ended the call.
#[test]
fn a_budget_at_what_is_held_cuts_no_line_that_says_what_is_missing() {
    let mut output = codex_process::HeadTail::new(1000);
    output.push(&[b'#'; 10_000]);
    let kept = output.kept();
    let text = kept.text();
    for n_tokens in [usize::MAX, text.len().div_ceil(4)] {
        assert_eq!(of_command(&kept, Some(n_tokens), &nowhere()), text);
    }
    for n_tokens in 249..text.len() / 4 {
        let told = of_command(&kept, Some(n_tokens), &nowhere());
        let n_shown = told.matches('#').count();
        let n_omitted = 10_000 - n_shown;
        assert!(
            told.contains(&format!("\n… {n_omitted} bytes omitted; ")),
            "{told}"
        );
        assert_eq!(told.matches(" omitted").count(), 1, "{told}");
    }
}

#[test]
fn the_outputs_of_threads_that_are_long_past_are_removed_when_a_thread_keeps_its_first() {
    let home = tempfile::tempdir().unwrap();
    let of = |id: &str| home.path().join("tool-outputs").join(id);
    let thread = |n: u8| of(&format!("01a1fabd-271c-7641-9288-7a6c1251e48{n}"));
    let text = "x".repeat(100);
    let keep = |n| {
        let spill = Spill {
            folder: thread(n),
            call_id: "c".to_owned(),
        };
        within_limit(text.clone(), Some(10), &spill)
    };
    let age = |folder: &Path, days: u64| {
        let made = std::fs::metadata(folder).unwrap().modified().unwrap();
        let past = made - Duration::from_hours(days * 24);
        std::fs::File::open(folder)
            .unwrap()
            .set_modified(past)
            .unwrap();
    };
    for n in [1, 2] {
        keep(n);
    }
    let other = of("mine");
    std::fs::create_dir(&other).unwrap();
    let elsewhere = home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    age(&thread(1), 31);
    age(&thread(2), 29);
    age(&other, 365);
    age(&elsewhere, 365);
    #[cfg(unix)]
    std::os::unix::fs::symlink(&elsewhere, thread(3)).unwrap();
    // A thread that kept something before looks no more.
    keep(2);
    assert!(thread(1).exists());
    age(&thread(2), 29);
    keep(4);
    assert!(!thread(1).exists());
    assert!(thread(2).join("c.txt").exists() && thread(4).exists());
    assert!(other.exists() && elsewhere.exists());
}
