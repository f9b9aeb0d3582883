//! Which model answers: an OpenAI-compatible server where one is configured, else the scripted model.

use std::sync::Arc;

use anyhow::{Context, bail};
use commands::Commands;
use commands::ids::new_id;
use domain::NanoUsd;
use domain::model::{ModelPriced, Rates};
use inference::provider::Provider;
use inference::provider::openai::{ApiKey, OpenAi, OpenAiConfig};
use inference::provider::scripted::{Pace, Scripted};
use inference::request::ToolSpec;

/// What a person reads who wants a real model.
pub const HOW_TO_CHANGE: &str = "Set these before starting Daybook, for any OpenAI-compatible server (OpenAI, Ollama, \
    llama.cpp, vLLM, …):\n\n```sh\nexport DAYBOOK_MODEL_URL=http://127.0.0.1:11434/v1\nexport \
    DAYBOOK_MODEL_NAME=qwen2.5-coder\nexport DAYBOOK_MODEL_KEY=…            # where the server wants one\nexport \
    DAYBOOK_MODEL_PRICE=0.15/0.60    # USD per million tokens, input/output\nexport DAYBOOK_MODEL_CONTEXT=128000       # \
    tokens that it can read\n```";

/// The provider in force, and its price set in the price list.
pub async fn open(commands: &Commands) -> anyhow::Result<Arc<dyn Provider>> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (provider, rates, notional): (Arc<dyn Provider>, Rates, bool) =
        match (set("DAYBOOK_MODEL_URL"), set("DAYBOOK_MODEL_NAME")) {
            (None, None) => (Arc::new(Scripted::new(Pace::NATURAL)), notional_rates(), true),
            (Some(url), Some(name)) => {
                let mut config = OpenAiConfig::new(url, name);
                config.api_key = set("DAYBOOK_MODEL_KEY").map(ApiKey::new);
                if let Some(window) = set("DAYBOOK_MODEL_CONTEXT") {
                    config.context_window_tokens =
                        window.parse().context("DAYBOOK_MODEL_CONTEXT is a number of tokens, such as 128000")?;
                }
                let rates = price(set("DAYBOOK_MODEL_PRICE").as_deref())?;
                let openai =
                    OpenAi::new(config).map_err(|error| anyhow::anyhow!("DAYBOOK_MODEL_URL: {}", error.message))?;
                (Arc::new(openai), rates, false)
            }
            (Some(_), None) => bail!("DAYBOOK_MODEL_URL is set: say which model with DAYBOOK_MODEL_NAME"),
            (None, Some(_)) => bail!("DAYBOOK_MODEL_NAME is set: say where it runs with DAYBOOK_MODEL_URL"),
        };
    let model = format!("{}/{}", provider.name(), provider.model());
    commands.model_price(ModelPriced { price_id: new_id(), model, nanousd_per_mtok: rates, notional }).await?;
    Ok(provider)
}

/// What models may call: the sandbox's tools and the plan.
pub fn tools() -> Vec<ToolSpec> {
    let plan = ToolSpec {
        name: domain::run::PLAN_TOOL.into(),
        description: "Lays out the plan, or updates it: give all steps each time, in order, each with its status."
            .into(),
        schema: serde_json::json!({
            "type": "object", "required": ["items"], "additionalProperties": false,
            "properties": { "items": { "type": "array", "items": {
                "type": "object", "required": ["text", "status"], "additionalProperties": false,
                "properties": {
                    "text": { "type": "string" },
                    "status": { "type": "string", "enum": ["pending", "in_progress", "done"] }
                }
            } } }
        }),
    };
    let sandboxed = sandbox::tools::catalogue().iter().map(|tool| ToolSpec {
        name: tool.name.into(),
        description: tool.description.into(),
        schema: serde_json::from_str(tool.schema).expect("the catalogue's schemas are JSON, as its tests check"),
    });
    std::iter::once(plan).chain(sandboxed).collect()
}

/// Nobody is billed for the scripted model; it is priced like a small real one so that meters move.
fn notional_rates() -> Rates {
    Rates {
        input: NanoUsd(150_000_000),
        cache_read: NanoUsd(75_000_000),
        cache_write: NanoUsd(150_000_000),
        output: NanoUsd(600_000_000),
        reasoning: NanoUsd(600_000_000),
    }
}

/// `input/output` in USD per million tokens; without one the model costs nothing.
fn price(text: Option<&str>) -> anyhow::Result<Rates> {
    let Some(text) = text else { return Ok(Rates::default()) };
    let parsed = text
        .split_once('/')
        .and_then(|(input, output)| Some((NanoUsd::parse_usd(input.trim())?, NanoUsd::parse_usd(output.trim())?)));
    let Some((input, output)) = parsed.filter(|(input, output)| input.0 >= 0 && output.0 >= 0) else {
        bail!("DAYBOOK_MODEL_PRICE is input/output in USD per million tokens, such as 0.15/0.60");
    };
    Ok(Rates { input, cache_read: input, cache_write: input, output, reasoning: output })
}
