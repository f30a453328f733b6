//! The decoder against the standard, and against every way to cut a stream.

use super::*;

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<SseEvent> {
    let mut decoder = SseDecoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.next_event() {
            events.push(event.unwrap());
        }
    }
    events
}

fn data(text: &str) -> SseEvent {
    SseEvent {
        data: Some(text.to_owned()),
        ..SseEvent::default()
    }
}

#[test]
fn fields_and_comments_are_told_apart() {
    let stream = b": hello\nevent: tick\ndata: 1\nid: a\nretry: 1500\nother: x\n\n";
    let event = SseEvent {
        event: Some("tick".to_owned()),
        data: Some("1".to_owned()),
        id: Some("a".to_owned()),
        retry: Some(Duration::from_millis(1500)),
    };
    assert_eq!(decode([&stream[..]]), [event]);
}

#[test]
fn data_lines_join_and_lose_one_space_only() {
    let stream = b"data:a\ndata:  b\ndata\ndata: c: d\n\n";
    assert_eq!(decode([&stream[..]]), [data("a\n b\n\nc: d")]);
}

#[test]
fn all_line_ends_mean_the_same() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = "data: 1\n\ndata: 2\n\n\n".replace('\n', end);
        assert_eq!(decode([stream.as_bytes()]), [data("1"), data("2")]);
    }
}

#[test]
fn a_carriage_return_ends_an_event_without_waiting() {
    assert_eq!(decode([&b"data: 1\r\r"[..]]), [data("1")]);
}

#[test]
fn blocks_without_data_tell_id_and_retry_only() {
    let stream = b"event: x\n\nid: 7\n\nretry: 20\n\ndata:\n\n";
    let events = decode([&stream[..]]);
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].id.as_deref(), Some("7"));
    assert_eq!(events[1].retry, Some(Duration::from_millis(20)));
    assert_eq!(events[2], data(""));
}

#[test]
fn odd_ids_and_retries_are_ignored() {
    let stream = b"id: a\0b\nretry: +5\nretry: \nretry: 1e3\ndata: x\n\n";
    assert_eq!(decode([&stream[..]]), [data("x")]);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_beginning_only() {
    let stream = "\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n";
    assert_eq!(decode([stream.as_bytes()]), [data("a"), data("c")]);
}

#[test]
fn what_the_end_cuts_off_is_dropped() {
    assert_eq!(decode([&b"data: 1\n\ndata: 2\n"[..]]), [data("1")]);
}

#[test]
fn bytes_that_are_not_text_are_replaced() {
    assert_eq!(decode([&b"data: a\xffb\n\n"[..]]), [data("a\u{fffd}b")]);
}

/// Two cuts at any place, and every byte alone, give the same events.
#[test]
fn no_cut_changes_the_events() {
    let stream = "\u{feff}: c\r\nevent: grüße\r\ndata: {\"t\":\"日本\"}\r\ndata: 2\r\n\r\n\
                  id: 5\rdata: 🦀\r\r\n\nretry: 12\n\ndata: x\n\r\ndata: end\r\n\r\n"
        .as_bytes();
    let whole = decode([stream]);
    assert_eq!(whole.len(), 5);
    assert_eq!(decode(stream.chunks(1)), whole);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(decode(pieces), whole, "cut at {first} and {second}");
        }
    }
}

#[test]
fn an_event_over_the_limit_ends_the_stream() {
    // The second block is too large as a line that never ends, the third as many small lines.
    for rest in [format!("data: {}", "x".repeat(200)), "data: x\n".repeat(50)] {
        let mut decoder = SseDecoder::with_max_event(100);
        decoder.push(b"data: fine\n\n");
        assert_eq!(decoder.next_event(), Some(Ok(data("fine"))));
        decoder.push(rest.as_bytes());
        assert_eq!(decoder.next_event(), Some(Err(SseError { limit: 100 })));
        decoder.push(b"\n\ndata: y\n\n");
        assert_eq!(decoder.next_event(), None);
    }
}

#[test]
fn the_limit_is_per_event_and_not_per_stream() {
    let mut decoder = SseDecoder::with_max_event(20);
    decoder.push("data: 0123456789\n\n".repeat(100).as_bytes());
    let events = std::iter::from_fn(|| decoder.next_event());
    assert_eq!(events.filter(Result::is_ok).count(), 100);
}

/// One event of 4 MiB in pieces of 64 bytes: a decoder that searches or moves old bytes again
/// would touch 128 GiB here and never come back in time.
#[test]
fn long_events_in_small_pieces_are_not_searched_twice() {
    let stream = format!("data: {}\n\n", "x".repeat(4 << 20));
    let events = decode(stream.as_bytes().chunks(64));
    assert_eq!(events[0].data.as_ref().unwrap().len(), 4 << 20);
}
