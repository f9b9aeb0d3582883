//! Whole calls against a stub that replays exact bytes on loopback.

mod stub;

use std::time::Duration;

use futures_util::StreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::collect::{Answer, collect};
use crate::provider::{FinishReason, Frame, Usage, UserAction};
use crate::request::{Message, ModelRequest, Situation, ToolSpec};
use stub::{End, Stub, chunk, chunked_head, cut, last_chunk, response, serve};

/// Nothing on loopback takes this long; it only ends tests that would hang.
const WATCHDOG: Duration = Duration::from_secs(30);
/// A limit short enough to wait for.
const SHORT: Duration = Duration::from_millis(50);

const HELLO: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n";
const REST: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\" wörld\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"bash\",\"arguments\":\"{}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n",
    "data: [DONE]\n\n",
);

fn request() -> ModelRequest {
    ModelRequest {
        model: String::new(),
        messages: vec![Message::User("hi".into())],
        tools: vec![ToolSpec { name: "bash".into(), description: String::new(), schema: json!({}) }],
        max_output_tokens: 100_000,
        situation: Situation::default(),
    }
}

fn config(stub: &Stub) -> OpenAiConfig {
    OpenAiConfig { api_key: Some(ApiKey::new("sk-secret")), ..OpenAiConfig::new(&stub.base_url, "m") }
}

fn stream(config: OpenAiConfig) -> FrameStream {
    OpenAi::new(config).unwrap().stream(request())
}

async fn answer(config: OpenAiConfig) -> Result<Answer, ProviderError> {
    tokio::time::timeout(WATCHDOG, collect(stream(config))).await.unwrap()
}

/// What comes of a response sent at once.
async fn answer_of(pieces: Vec<Vec<u8>>, end: End) -> Result<Answer, ProviderError> {
    let stub = serve(pieces, end).await;
    answer(config(&stub)).await
}

fn whole_response(chunks: &[&str]) -> Vec<u8> {
    let chunks = chunks.iter().map(|text| chunk(text.as_bytes()));
    [chunked_head()].into_iter().chain(chunks).chain([last_chunk()]).flatten().collect()
}

#[tokio::test]
async fn an_answer_streams_over_the_wire() {
    let stub = serve(vec![whole_response(&[HELLO, REST])], End::Close).await;
    let answer = answer(config(&stub)).await.unwrap();
    assert_eq!(answer.text, "hello wörld");
    assert_eq!(answer.calls[0].name, "bash");
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    let usage = Usage { input_tokens: 5, cache_read_tokens: 4, output_tokens: 3, ..Usage::default() };
    assert_eq!(answer.usage, Some(usage));
    let sent = stub.request.await.unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer sk-secret"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["model"], "m");
    assert_eq!(body["max_tokens"], DEFAULT_MAX_OUTPUT_TOKENS);
    assert_eq!(body["stream_options"]["include_usage"], true);
}

#[tokio::test]
async fn a_request_may_name_another_model_and_a_key_is_not_needed() {
    let stub = serve(vec![whole_response(&[HELLO, REST])], End::Close).await;
    let provider = OpenAi::new(OpenAiConfig::new(&stub.base_url, "m")).unwrap();
    let request = ModelRequest { model: "other".into(), max_output_tokens: 7, ..request() };
    collect(provider.stream(request)).await.unwrap();
    let sent = stub.request.await.unwrap();
    assert!(sent.contains("\"model\":\"other\"") && sent.contains("\"max_tokens\":7"), "{sent}");
    assert!(!sent.contains("authorization"), "{sent}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_cut_on_the_wire_yields_the_same_answer(
        chunks in prop::collection::vec(0_usize..10_000, 0..12),
        writes in prop::collection::vec(0_usize..10_000, 0..40),
    ) {
        let text = format!("{HELLO}: keep-alive\r\n\r\n{REST}");
        let mut wire = chunked_head();
        wire.extend(cut(text.as_bytes(), &chunks).iter().flat_map(|piece| chunk(piece)));
        wire.extend(last_chunk());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let frames = |pieces: Vec<Vec<u8>>| runtime.block_on(async {
            let stub = serve(pieces, End::Close).await;
            stream(config(&stub)).collect::<Vec<_>>().await
        });
        prop_assert_eq!(frames(cut(&wire, &writes)), frames(vec![whole_response(&[HELLO, REST])]));
    }
}

#[tokio::test]
async fn byte_by_byte_over_the_wire() {
    let pieces = whole_response(&[HELLO, REST]).chunks(1).map(<[u8]>::to_vec).collect();
    assert_eq!(answer_of(pieces, End::Close).await.unwrap().text, "hello wörld");
}

#[tokio::test]
async fn refusals_keep_their_kind_and_lose_the_key() {
    let body = json!({"error": {"message": "bad key sk-secret"}}).to_string();
    let expected = [
        ("400 Bad Request", ErrorKind::InvalidRequest, false),
        ("401 Unauthorized", ErrorKind::Unauthorized, false),
        ("404 Not Found", ErrorKind::NotFound, false),
        ("429 Too Many Requests", ErrorKind::RateLimited, true),
        ("500 Internal Server Error", ErrorKind::Server, true),
        ("503 Service Unavailable", ErrorKind::Server, true),
    ];
    for (status, kind, retryable) in expected {
        let error = answer_of(vec![response(status, "retry-after: 7\r\n", &body)], End::Close).await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (kind, retryable), "{status}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
        assert!(error.message.ends_with("bad key [key]"), "{}", error.message);
    }
}

#[tokio::test]
async fn long_messages_are_cut_and_no_half_of_the_key_stays() {
    let body = json!({"error": "sk-secret ".repeat(1_000)}).to_string();
    let error = answer_of(vec![response("500 Oops", "", &body)], End::Close).await.unwrap_err();
    assert!((400..600).contains(&error.message.chars().count()) && !error.message.contains("sk-"), "{}", error.message);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let moved = response("307 Temporary Redirect", "location: http://127.0.0.1:9/\r\n", "");
    let error = answer_of(vec![moved], End::Close).await.unwrap_err();
    assert_eq!((error.kind, error.user_action), (ErrorKind::InvalidRequest, UserAction::Settings));
}

#[tokio::test]
async fn a_failure_in_mid_stream_follows_the_text_before_it() {
    let failure = "data: {\"error\":{\"message\":\"out of memory\",\"code\":500}}\n\n";
    let stub = serve(vec![whole_response(&[HELLO, failure])], End::Close).await;
    let items: Vec<_> = stream(config(&stub)).collect().await;
    assert_eq!(items.len(), 2);
    assert_eq!(items[0], Ok(Frame::Text("hello".into())));
    assert_eq!(items[1].as_ref().unwrap_err().kind, ErrorKind::Server);
}

#[tokio::test]
async fn a_cut_connection_is_unreachable_and_may_be_tried_again() {
    let mut wire = chunked_head();
    wire.extend(chunk(HELLO.as_bytes()));
    wire.extend(b"ff\r\ndata: {\"cho");
    let error = answer_of(vec![wire], End::Close).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Unreachable, true));
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_a_protocol_error_and_may_be_tried_again() {
    let error = answer_of(vec![whole_response(&[HELLO])], End::Close).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Protocol, true));
}

#[tokio::test]
async fn a_connection_cut_after_the_finish_does_no_harm() {
    let finished = REST.replace("data: [DONE]\n\n", "");
    let wire = [chunked_head(), chunk(HELLO.as_bytes()), chunk(finished.as_bytes())].concat();
    assert_eq!(answer_of(vec![wire], End::Close).await.unwrap().text, "hello wörld");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let stub = serve(vec![], End::Close).await;
    stub.request.abort();
    assert!(stub.request.await.unwrap_err().is_cancelled());
    let config = OpenAiConfig::new(&stub.base_url, "m");
    let error = answer(config).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Unreachable, true));
    assert!(error.message.to_lowercase().contains("refused"), "{}", error.message);
}

#[tokio::test]
async fn silence_before_the_answer_times_out() {
    let stub = serve(vec![], End::Hold).await;
    let mut config = config(&stub);
    config.timeouts.first_event = SHORT;
    let error = answer(config).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Timeout, true));
    stub.request.await.unwrap();
}

#[tokio::test]
async fn keep_alives_do_not_count_as_an_answer() {
    let wire = [chunked_head(), chunk(b": busy\n\n")].concat();
    let stub = serve(vec![wire], End::Hold).await;
    let mut config = config(&stub);
    config.timeouts.first_event = SHORT;
    assert_eq!(answer(config).await.unwrap_err().kind, ErrorKind::Timeout);
}

#[tokio::test]
async fn silence_within_the_answer_times_out_and_hangs_up() {
    let wire = [chunked_head(), chunk(HELLO.as_bytes())].concat();
    let stub = serve(vec![wire], End::Hold).await;
    let mut config = config(&stub);
    config.timeouts.idle = SHORT;
    let items: Vec<_> = tokio::time::timeout(WATCHDOG, stream(config).collect()).await.unwrap();
    assert_eq!(items[0], Ok(Frame::Text("hello".into())));
    assert_eq!(items[1].as_ref().unwrap_err().kind, ErrorKind::Timeout);
    tokio::time::timeout(WATCHDOG, stub.request).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_whole_answer_has_a_limit_of_time_and_of_bytes() {
    let wire = [chunked_head(), chunk(HELLO.as_bytes())].concat();
    let stub = serve(vec![wire.clone()], End::Hold).await;
    let mut slow = config(&stub);
    slow.timeouts.total = SHORT;
    assert_eq!(answer(slow).await.unwrap_err().kind, ErrorKind::Timeout);
    let stub = serve(vec![wire], End::Hold).await;
    let large = OpenAiConfig { max_answer_bytes: 10, ..config(&stub) };
    let error = answer(large).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::Protocol, false));
}

#[tokio::test]
async fn dropping_the_stream_hangs_up() {
    let wire = [chunked_head(), chunk(HELLO.as_bytes())].concat();
    let stub = serve(vec![wire], End::Hold).await;
    let mut frames = stream(config(&stub));
    assert_eq!(frames.next().await, Some(Ok(Frame::Text("hello".into()))));
    drop(frames);
    tokio::time::timeout(WATCHDOG, stub.request).await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_stream_before_the_answer_hangs_up() {
    let mut stub = serve(vec![], End::Hold).await;
    let mut frames = stream(config(&stub));
    tokio::select! {
        _ = frames.next() => panic!("nobody answers"),
        asked = &mut stub.asked => asked.unwrap(),
    }
    drop(frames);
    tokio::time::timeout(WATCHDOG, stub.request).await.unwrap().unwrap();
}

#[test]
fn an_https_server_can_be_set_up() {
    let config = OpenAiConfig::new("https://api.openai.com/v1", "m");
    // A machine without root certificates says so instead of failing in the first call.
    if let Err(error) = OpenAi::new(config) {
        assert_eq!(error.user_action, UserAction::Settings);
    }
}
