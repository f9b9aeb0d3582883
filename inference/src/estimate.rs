//! How many tokens something probably is, without the model's own tokenizer.
//!
//! Never a bill: estimates reserve money before a call and stand in, marked as such, for usage that was not reported.
//!
//! The rule is four bytes of UTF-8 per token, rounded up: what the byte-pair vocabularies in use (such as `o200k_base`)
//! reach for English text and code. Other scripts take two or three bytes a letter, so that the rule errs upwards there.
//! The real vocabularies are megabytes each and differ by model, so none is embedded.

use crate::request::{Message, ModelRequest};

/// Bytes of UTF-8 that make a token.
const BYTES_PER_TOKEN: u64 = 4;
/// Role marks and separators around each message.
const TOKENS_PER_MESSAGE: u64 = 4;
/// Marks around each tool call and each tool description.
const TOKENS_PER_CALL: u64 = 8;

/// Tokens of a text, rounded up; zero only for the empty text.
pub fn count_tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_PER_TOKEN)
}

/// Tokens of all that a server would be sent: messages, calls, results, and tool descriptions.
pub fn estimate_input_tokens(request: &ModelRequest) -> u64 {
    let messages: u64 = request.messages.iter().map(message_tokens).sum();
    let tools: u64 = request
        .tools
        .iter()
        .map(|tool| {
            TOKENS_PER_CALL
                + count_tokens(&tool.name)
                + count_tokens(&tool.description)
                + count_tokens(&tool.schema.to_string())
        })
        .sum();
    messages + tools
}

fn message_tokens(message: &Message) -> u64 {
    let content = match message {
        Message::System(text) | Message::User(text) => count_tokens(text),
        Message::Assistant { text, calls } => {
            let calls: u64 = calls
                .iter()
                .map(|call| TOKENS_PER_CALL + count_tokens(&call.name) + count_tokens(&call.arguments))
                .sum();
            count_tokens(text) + calls
        }
        Message::Tool { call_id, content } => count_tokens(call_id) + count_tokens(content),
    };
    TOKENS_PER_MESSAGE + content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Situation, ToolCall, ToolSpec};

    fn request(messages: Vec<Message>, tools: Vec<ToolSpec>) -> ModelRequest {
        ModelRequest { model: String::new(), messages, tools, max_output_tokens: 1, situation: Situation::default() }
    }

    #[test]
    fn text_counts_four_bytes_a_token_rounded_up() {
        assert_eq!([0, 1, 1, 2], ["", "a", "abcd", "abcde"].map(count_tokens));
        assert_eq!(count_tokens("日本"), 2, "six bytes");
    }

    #[test]
    fn everything_that_is_sent_counts() {
        assert_eq!(estimate_input_tokens(&request(vec![], vec![])), 0);
        let call = ToolCall { id: "1".into(), name: "bash".into(), arguments: "{\"command\":\"ls\"}".into() };
        let messages = vec![
            Message::System("abcd".into()),
            Message::User("abcd".into()),
            Message::Assistant { text: "abcd".into(), calls: vec![call] },
            Message::Tool { call_id: "1".into(), content: "abcd".into() },
        ];
        assert_eq!(estimate_input_tokens(&request(messages, vec![])), 5 + 5 + (5 + 8 + 1 + 4) + 6);
        let tool = ToolSpec { name: "bash".into(), description: "Runs".into(), schema: serde_json::json!({}) };
        assert_eq!(estimate_input_tokens(&request(vec![], vec![tool])), 8 + 1 + 1 + 1);
    }
}
