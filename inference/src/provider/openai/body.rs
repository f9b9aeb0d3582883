//! Writes a request as the chat completions API wants it.
//!
//! Source of the format: <https://platform.openai.com/docs/api-reference/chat/create>. Never sends the run's situation.

use serde_json::{Value, json};

use crate::request::{Message, ModelRequest, ToolCall, ToolSpec};

/// The name of the field that limits the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputLimitField {
    /// What OpenAI's own reasoning models insist on.
    MaxCompletionTokens,
    /// What every other server understands.
    MaxTokens,
}

impl OutputLimitField {
    /// The field for a host.
    pub fn of_host(host: &str) -> Self {
        if host == "api.openai.com" || host.ends_with(".openai.azure.com") {
            Self::MaxCompletionTokens
        } else {
            Self::MaxTokens
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }
}

/// The body to post.
pub fn body(request: &ModelRequest, model: &str, max_output_tokens: u32, limit_field: OutputLimitField) -> Value {
    let mut body = json!({
        "model": model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    body[limit_field.name()] = json!(max_output_tokens);
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::System(text) => json!({"role": "system", "content": text}),
        Message::User(text) => json!({"role": "user", "content": text}),
        Message::Assistant { text, calls } if calls.is_empty() => json!({"role": "assistant", "content": text}),
        Message::Assistant { text, calls } => json!({
            "role": "assistant",
            "content": if text.is_empty() { Value::Null } else { json!(text) },
            "tool_calls": calls.iter().map(call).collect::<Vec<_>>(),
        }),
        Message::Tool { call_id, content } => json!({"role": "tool", "tool_call_id": call_id, "content": content}),
    }
}

fn call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": sendable_arguments(&call.arguments)},
    })
}

/// Some servers parse the arguments of earlier calls and refuse the whole conversation when one does not parse, so what
/// a model wrote wrongly is told inside an object.
fn sendable_arguments(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(_)) => arguments.to_owned(),
        _ if arguments.trim().is_empty() => "{}".to_owned(),
        _ => json!({"unreadable_arguments": arguments}).to_string(),
    }
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Situation;

    fn request() -> ModelRequest {
        let call =
            |id: &str, arguments: &str| ToolCall { id: id.into(), name: "bash".into(), arguments: arguments.into() };
        ModelRequest {
            model: String::new(),
            messages: vec![
                Message::System("s".into()),
                Message::User("u".into()),
                Message::Assistant { text: String::new(), calls: vec![call("1", "{\"a\": 1}"), call("2", "{broken")] },
                Message::Tool { call_id: "1".into(), content: "done".into() },
                Message::Assistant { text: "ok".into(), calls: vec![] },
            ],
            tools: vec![ToolSpec {
                name: "bash".into(),
                description: "Runs.".into(),
                schema: json!({"type": "object"}),
            }],
            max_output_tokens: 9,
            situation: Situation::default(),
        }
    }

    #[test]
    fn the_body_is_what_the_api_documents() {
        let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "bash", "arguments": arguments}});
        assert_eq!(
            body(&request(), "m", 9, OutputLimitField::MaxTokens),
            json!({
                "model": "m",
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "u"},
                    {"role": "assistant", "content": null, "tool_calls": [
                        call("1", "{\"a\": 1}"),
                        call("2", "{\"unreadable_arguments\":\"{broken\"}"),
                    ]},
                    {"role": "tool", "tool_call_id": "1", "content": "done"},
                    {"role": "assistant", "content": "ok"},
                ],
                "stream": true,
                "stream_options": {"include_usage": true},
                "max_tokens": 9,
                "tools": [{"type": "function", "function":
                    {"name": "bash", "description": "Runs.", "parameters": {"type": "object"}}}],
            })
        );
    }

    #[test]
    fn without_tools_the_field_is_left_out() {
        let mut request = request();
        request.tools.clear();
        let body = body(&request, "m", 9, OutputLimitField::of_host("api.openai.com"));
        assert_eq!(body.get("tools"), None);
        assert_eq!(body["max_completion_tokens"], 9);
        assert_eq!(body.get("max_tokens"), None);
    }

    #[test]
    fn arguments_are_always_an_object() {
        assert_eq!(sendable_arguments(" "), "{}");
        assert_eq!(sendable_arguments("[1]"), "{\"unreadable_arguments\":\"[1]\"}");
    }
}
