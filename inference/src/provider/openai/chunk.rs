//! The JSON of a streamed answer.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/chat-streaming>, and the deviations of other servers named at
//! the fields. Unknown fields are ignored; a wrong type in a known field is an error, except in `usage`.

use serde::Deserialize;
use serde_json::Value;

use crate::provider::{FinishReason, Usage};

/// One `data:` line, or the whole answer of a server that does not stream.
#[derive(Debug, Deserialize)]
pub struct Chunk {
    pub choices: Option<Vec<Choice>>,
    /// Kept unread: malformed usage is "not reported", not a failed answer.
    pub usage: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Choice {
    pub index: Option<u64>,
    pub delta: Option<Delta>,
    /// In place of `delta` where a server does not stream.
    pub message: Option<Delta>,
    pub finish_reason: Option<String>,
    /// OpenRouter puts failures in mid-stream here as well.
    pub error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Delta {
    pub content: Option<String>,
    /// DeepSeek, vLLM, llama.cpp.
    pub reasoning_content: Option<String>,
    /// Ollama, OpenRouter, newer vLLM; elsewhere it may be an object.
    pub reasoning: Option<Value>,
    /// OpenAI: the model says why it will not answer.
    pub refusal: Option<String>,
    pub tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Default, Deserialize)]
pub struct CallDelta {
    /// Absent on some servers.
    pub index: Option<u64>,
    /// Only in a call's first delta, or in all, or never.
    pub id: Option<String>,
    pub function: Option<FunctionDelta>,
}

#[derive(Debug, Default, Deserialize)]
pub struct FunctionDelta {
    pub name: Option<String>,
    /// A piece of JSON text; some servers send the object itself.
    pub arguments: Option<Value>,
}

impl Delta {
    /// More of the model's reasoning; servers that send both fields send the same in both.
    pub fn thinking(&self) -> Option<&str> {
        let reasoning = || self.reasoning.as_ref().and_then(Value::as_str);
        self.reasoning_content.as_deref().filter(|text| !text.is_empty()).or_else(reasoning)
    }
}

impl CallDelta {
    /// The id, if there is one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !id.is_empty())
    }

    /// The tool's name, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.function.as_ref()?.name.as_deref().filter(|name| !name.is_empty())
    }

    /// More of the arguments' text.
    pub fn arguments(&self) -> Option<String> {
        match self.function.as_ref()?.arguments.as_ref()? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            value => Some(value.to_string()),
        }
    }
}

/// The reason of a `finish_reason`; `None` for one that says nothing.
pub fn finish_reason(word: &str) -> Option<FinishReason> {
    match word {
        "" => None,
        "stop" | "eos" => Some(FinishReason::Stop),
        "tool_calls" | "function_call" => Some(FinishReason::ToolCalls),
        "length" => Some(FinishReason::Length),
        "content_filter" => Some(FinishReason::ContentFilter),
        _ => Some(FinishReason::Other),
    }
}

/// Usage as servers count it: `prompt_tokens` includes what was cached, `completion_tokens` mostly includes reasoning.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for `cached_tokens`.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    /// OpenRouter, for models whose cache is written at a price.
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// Usage in classes that do not overlap. Malformed or all-zero usage is not reported: no call uses nothing.
pub fn usage(value: &Value) -> Option<Usage> {
    let wire = WireUsage::deserialize(value).ok()?;
    let prompt = wire.prompt_tokens.unwrap_or(0);
    let completion = wire.completion_tokens.unwrap_or(0);
    let details = wire.prompt_tokens_details.unwrap_or_default();
    let cached = details.cached_tokens.or(wire.prompt_cache_hit_tokens).unwrap_or(0).min(prompt);
    let written = details.cache_write_tokens.unwrap_or(0).min(prompt - cached);
    let reasoning = wire.completion_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0);
    // xAI counts reasoning beside the completion; the total gives it away.
    let beside = reasoning > completion
        || (reasoning > 0
            && wire.total_tokens == prompt.checked_add(completion).and_then(|sum| sum.checked_add(reasoning)));
    let usage = Usage {
        input_tokens: prompt - cached - written,
        cache_read_tokens: cached,
        cache_write_tokens: written,
        output_tokens: if beside { completion } else { completion - reasoning },
        reasoning_tokens: reasoning,
    };
    (usage != Usage::default()).then_some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn classes(value: Value) -> Option<[u64; 5]> {
        usage(&value).map(|usage| {
            [
                usage.input_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.output_tokens,
                usage.reasoning_tokens,
            ]
        })
    }

    #[test]
    fn usage_never_overlaps() {
        assert_eq!(
            classes(json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14})),
            Some([10, 0, 0, 4, 0])
        );
        assert_eq!(
            classes(json!({
                "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 20},
            })),
            Some([10, 60, 30, 30, 20])
        );
        assert_eq!(
            classes(json!({"prompt_tokens": 10, "completion_tokens": 4, "prompt_cache_hit_tokens": 8})),
            Some([2, 8, 0, 4, 0])
        );
    }

    #[test]
    fn reasoning_beside_the_completion_is_recognised() {
        let beside = json!({"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 24,
            "completion_tokens_details": {"reasoning_tokens": 5}});
        assert_eq!(classes(beside), Some([10, 0, 0, 9, 5]));
        let more =
            json!({"prompt_tokens": 10, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 5}});
        assert_eq!(classes(more), Some([10, 0, 0, 1, 5]));
    }

    #[test]
    fn impossible_figures_do_not_underflow() {
        let value = json!({"prompt_tokens": 1, "completion_tokens": 0,
            "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": u64::MAX}});
        assert_eq!(classes(value), Some([0, 1, 0, 0, 0]));
    }

    #[test]
    fn what_says_nothing_is_not_reported() {
        for value in
            [json!({}), json!({"prompt_tokens": 0, "completion_tokens": 0}), json!("?"), json!({"prompt_tokens": -1})]
        {
            assert_eq!(usage(&value), None, "{value}");
        }
    }
}
