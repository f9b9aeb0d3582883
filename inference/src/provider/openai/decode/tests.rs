//! What servers send, and what comes of it, without a connection.

use proptest::prelude::*;

use super::*;

/// Everything at once: comments, CRLF, thinking, text beyond ASCII, two interleaved calls, usage.
const RICH: &str = concat!(
    ": keep-alive\r\n\r\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm…\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"Zażółć 日本 🦀\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"bash\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"read_file\",\"arguments\":\"{\\\"p\"}}]}}]}\n\n",
    ": keep-alive\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"é\\\":1}\"}},{\"index\":1,\"function\":{\"arguments\":\"\\\":2}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n",
    "data: [DONE]\n\n",
);

fn decode(pieces: &[&[u8]]) -> (Vec<Frame>, Result<(), ProviderError>) {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    let result = pieces
        .iter()
        .try_for_each(|piece| decoder.push(piece, &mut frames).map(|_| ()))
        .and_then(|()| decoder.finish(None, &mut frames));
    (frames, result)
}

/// Frames of chunks, `[DONE]` added.
fn frames(chunks: &[&str]) -> Vec<Frame> {
    let text: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let (frames, result) = decode(&[text.as_bytes(), b"data: [DONE]\n\n"]);
    result.unwrap();
    frames
}

fn calls(deltas: &str) -> String {
    format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{deltas}]}}}}]}}"#)
}

fn started(index: u32, id: &str, name: &str) -> Frame {
    Frame::CallStarted { index, id: id.into(), name: name.into() }
}

fn arguments(index: u32, delta: &str) -> Frame {
    Frame::CallArguments { index, delta: delta.into() }
}

#[test]
fn a_rich_answer_becomes_frames() {
    let (frames, result) = decode(&[RICH.as_bytes()]);
    result.unwrap();
    let usage = Usage { input_tokens: 9, output_tokens: 3, ..Usage::default() };
    assert_eq!(
        frames,
        [
            Frame::Thinking("hm…".into()),
            Frame::Text("Zażółć 日本 🦀".into()),
            started(0, "a", "bash"),
            started(1, "b", "read_file"),
            arguments(1, "{\"p"),
            arguments(0, "{\"é\":1}"),
            arguments(1, "\":2}"),
            Frame::Usage(usage),
            Frame::Finished(FinishReason::ToolCalls),
        ]
    );
}

proptest! {
    #[test]
    fn any_cut_yields_the_same_frames(mut cuts in prop::collection::vec(0..RICH.len(), 0..60)) {
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&RICH.as_bytes()[from..cut]);
            from = cut;
        }
        pieces.push(&RICH.as_bytes()[from..]);
        prop_assert_eq!(decode(&pieces), decode(&[RICH.as_bytes()]));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), keep in 0..RICH.len()) {
        let mut text = RICH.as_bytes()[..keep].to_vec();
        text.extend(bytes);
        let _ = decode(&[&text]);
    }
}

#[test]
fn byte_by_byte_is_the_same_too() {
    let pieces: Vec<&[u8]> = RICH.as_bytes().chunks(1).collect();
    assert_eq!(decode(&pieces), decode(&[RICH.as_bytes()]));
}

#[test]
fn a_prefix_is_never_taken_for_the_whole() {
    let finish = RICH.find("finish_reason").unwrap();
    for (end, _) in RICH.char_indices().take_while(|(end, _)| *end <= finish) {
        let (_, result) = decode(&[&RICH.as_bytes()[..end]]);
        assert_eq!(result.unwrap_err().kind, ErrorKind::Protocol, "{end}");
    }
}

#[test]
fn both_names_of_thinking_are_known_and_not_doubled() {
    let frames = frames(&[
        r#"{"choices":[{"delta":{"reasoning":"a","content":null}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"b","reasoning_content":"b"}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":{"x":1}},"finish_reason":"length"}]}"#,
    ]);
    let thinking = |text: &str| Frame::Thinking(text.into());
    assert_eq!(frames, [thinking("a"), thinking("b"), Frame::Finished(FinishReason::Length)]);
}

#[test]
fn a_call_may_come_whole_with_its_arguments_as_an_object() {
    let frames = frames(&[
        &calls(r#"{"function":{"name":"a","arguments":{"x":1}}},{"function":{"name":"b","arguments":"{}"}}"#),
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    ]);
    assert_eq!(
        frames,
        [
            started(0, "call_0", "a"),
            arguments(0, "{\"x\":1}"),
            started(1, "call_1", "b"),
            arguments(1, "{}"),
            Frame::Finished(FinishReason::ToolCalls),
        ]
    );
}

#[test]
fn calls_that_share_an_index_are_told_apart_by_id() {
    let frames = frames(&[
        &calls(r#"{"index":0,"id":"x","function":{"name":"a","arguments":"{}"}}"#),
        &calls(r#"{"index":0,"id":"y","function":{"name":"a","arguments":"{}"}}"#),
    ]);
    assert_eq!(frames[..4], [started(0, "x", "a"), arguments(0, "{}"), started(1, "y", "a"), arguments(1, "{}")]);
}

#[test]
fn names_and_ids_that_are_repeated_start_no_second_call() {
    let frames = frames(&[
        &calls(r#"{"index":0,"id":"x","function":{"name":"a","arguments":"{"}}"#),
        &calls(r#"{"index":0,"id":"x","function":{"name":"a","arguments":"}"}}"#),
        &calls(r#"{"index":0,"id":"","function":{"name":"","arguments":" "}}"#),
    ]);
    assert_eq!(frames[..4], [started(0, "x", "a"), arguments(0, "{"), arguments(0, "}"), arguments(0, " ")]);
}

#[test]
fn two_calls_never_share_an_id() {
    let frames = frames(&[&calls(
        r#"{"index":0,"id":"x","function":{"name":"a"}},{"index":1,"id":"x","function":{"name":"b"}}"#,
    )]);
    assert_eq!(frames[..2], [started(0, "x", "a"), started(1, "call_1", "b")]);
}

#[test]
fn arguments_before_the_name_are_kept() {
    let frames = frames(&[
        &calls(r#"{"index":3,"id":"x","function":{"arguments":"{"}}"#),
        &calls(r#"{"index":3,"function":{"name":"a","arguments":"}"}}"#),
    ]);
    assert_eq!(frames[..2], [started(0, "x", "a"), arguments(0, "{}")]);
}

#[test]
fn a_call_without_a_name_is_an_error() {
    let text = format!("data: {}\n\ndata: [DONE]\n\n", calls(r#"{"index":0,"id":"x"}"#));
    assert_eq!(decode(&[text.as_bytes()]).1.unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn too_many_calls_are_an_error() {
    let deltas: Vec<String> =
        (0..=MAX_CALLS_PER_ANSWER).map(|index| format!(r#"{{"index":{index},"function":{{"name":"a"}}}}"#)).collect();
    let text = format!("data: {}\n\n", calls(&deltas.join(",")));
    assert_eq!(decode(&[text.as_bytes()]).1.unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn the_last_usage_counts_and_its_absence_stays_absent() {
    let running = r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let last = r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let usage = Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() };
    assert_eq!(frames(&[running, last])[1..], [Frame::Usage(usage), Frame::Finished(FinishReason::Stop)]);
    let silent = r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":null}"#;
    assert_eq!(frames(&[silent])[1..], [Frame::Finished(FinishReason::Stop)]);
}

#[test]
fn an_answer_may_end_without_done_if_its_finish_was_seen() {
    let text = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
    let (frames, result) = decode(&[text]);
    result.unwrap();
    assert_eq!(frames[1], Frame::Finished(FinishReason::Stop));
}

#[test]
fn a_server_that_does_not_stream_is_understood() {
    let body = br#" {"choices":[{"message":{"content":"a","tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    for pieces in [vec![&body[..]], body.chunks(7).collect()] {
        let (frames, result) = decode(&pieces);
        result.unwrap();
        assert_eq!(frames[..3], [Frame::Text("a".into()), started(0, "x", "f"), arguments(0, "{}")]);
        assert_eq!(frames.last(), Some(&Frame::Finished(FinishReason::ToolCalls)));
    }
}

#[test]
fn errors_in_mid_stream_follow_the_frames_before_them() {
    let before = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for error in [
        "data: {\"error\":{\"message\":\"boom\",\"code\":500}}\n\n",
        "event: error\ndata: {\"message\":\"boom\"}\n\n",
        "event: error\ndata: boom\n\n",
        "error: {\"message\":\"boom\"}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"message\":\"boom\"}}]}\n\n",
    ] {
        let (frames, result) = decode(&[before.as_bytes(), error.as_bytes()]);
        assert_eq!(frames, [Frame::Text("a".into())]);
        let failed = result.unwrap_err();
        assert_eq!((failed.kind, failed.retryable), (ErrorKind::Server, true), "{error}");
        assert!(failed.message.ends_with("boom"), "{}", failed.message);
    }
}

#[test]
fn nothing_comes_after_the_end() {
    let text = format!("{RICH}data: {{\"choices\":[{{\"delta\":{{\"content\":\"late\"}}}}]}}\n\n");
    assert_eq!(decode(&[text.as_bytes()]), decode(&[RICH.as_bytes()]));
}
