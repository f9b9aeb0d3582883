//! Frames, answers and cadence.

use futures_util::stream;
use proptest::prelude::*;

use super::*;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn text(delta: &str) -> Frame {
    Frame::Text(delta.into())
}

#[tokio::test]
async fn frames_become_one_answer() {
    let usage = Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() };
    let frames = [
        Frame::Thinking("hm".into()),
        text("a"),
        Frame::CallStarted { index: 0, id: "x".into(), name: "bash".into() },
        Frame::CallStarted { index: 1, id: "y".into(), name: "read_file".into() },
        Frame::CallArguments { index: 1, delta: "{}".into() },
        Frame::CallArguments { index: 0, delta: "{\"a\"".into() },
        Frame::CallArguments { index: 0, delta: ":1}".into() },
        text("b"),
        Frame::Usage(usage),
        Frame::Finished(FinishReason::ToolCalls),
    ];
    let answer = collect(Box::pin(stream::iter(frames.map(Ok)))).await.unwrap();
    assert_eq!((answer.thinking.as_str(), answer.text.as_str()), ("hm", "ab"));
    assert_eq!(answer.calls.iter().map(|call| call.arguments.as_str()).collect::<Vec<_>>(), ["{\"a\":1}", "{}"]);
    assert_eq!(answer.usage, Some(usage));
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
}

#[tokio::test]
async fn an_answer_without_its_end_is_an_error() {
    let error = collect(Box::pin(stream::iter([Ok(text("a"))]))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(error.retryable);
}

#[tokio::test]
async fn an_error_in_the_stream_is_the_error() {
    let lost = ProviderError::new(ErrorKind::Unreachable, "gone");
    let error = collect(Box::pin(stream::iter([Ok(text("a")), Err(lost.clone())]))).await.unwrap_err();
    assert_eq!(error, lost);
}

#[test]
fn arguments_of_a_call_that_never_started_are_refused() {
    let mut collector = Collector::default();
    let frame = Frame::CallArguments { index: 0, delta: String::new() };
    assert_eq!(collector.push(frame, ms(0)).unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn unreported_usage_stays_unreported() {
    let mut collector = Collector::default();
    collector.push(Frame::Finished(FinishReason::Stop), ms(0)).unwrap();
    assert_eq!(collector.finish().unwrap().usage, None);
}

#[test]
fn the_cadence_is_sampled_twenty_times_a_second() {
    let mut collector = Collector::default();
    for (at, delta) in [(100, "a"), (110, "b"), (149, "é"), (150, "c"), (300, "d")] {
        collector.push(text(delta), ms(at)).unwrap();
    }
    assert_eq!(collector.cadence(), [(100, 4), (150, 5), (300, 6)]);
}

proptest! {
    #[test]
    fn the_cadence_never_runs_ahead_and_always_ends_with_the_text(
        pieces in prop::collection::vec(("[a-zé]{0,4}", 0_u64..80), 1..200),
    ) {
        let mut collector = Collector::default();
        let mut now = 0;
        for (piece, pause) in &pieces {
            now += pause;
            collector.push(text(piece), ms(now)).unwrap();
        }
        let cadence = collector.cadence();
        prop_assert!(cadence.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 50 && pair[0].1 <= pair[1].1));
        prop_assert_eq!(cadence.last().unwrap().1 as usize, collector.text().len());
    }
}
