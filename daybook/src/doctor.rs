//! `daybook doctor`: tries the sandbox's escapes and shows what holds on this machine.

use sandbox::engine::{Enforcement, ProcessEngine};
use sandbox::probe::{Held, Verdict};

use crate::cli::{FAILED, NO, OK};
use crate::out::say;

/// Tries every escape that this machine can try.
pub async fn doctor(json: bool) -> anyhow::Result<u8> {
    let engine = match ProcessEngine::detect() {
        Ok(engine) => engine,
        Err(error) => {
            say!("sandbox: {error}");
            return Ok(FAILED);
        }
    };
    let report = engine.probe_full().await;
    let holds = report.verdict() == Verdict::Holds;
    if json {
        let checks: Vec<_> = report
            .checks
            .iter()
            .map(|c| serde_json::json!({ "name": c.name, "attempt": c.attempt, "held": format!("{:?}", c.held) }))
            .collect();
        say!("{}", serde_json::json!({ "tier": report.tier, "holds": holds, "checks": checks }));
        return Ok(if holds { OK } else { NO });
    }
    for check in &report.checks {
        let (mark, why) = match &check.held {
            Held::Yes => ("held", String::new()),
            Held::No(why) => ("ESCAPED", format!(": {why}")),
            Held::NotTried(why) => ("not tried", format!(": {why}")),
        };
        say!("{mark:>10}  {}{why}", check.attempt);
    }
    for limit in &report.limits {
        let kept = match limit.enforcement {
            Enforcement::Enforced => "enforced",
            Enforcement::Watched => "watched",
            Enforcement::Absent => "absent",
        };
        say!("{kept:>10}  {} {} ({})", limit.name, limit.value, limit.how);
    }
    for warning in &report.warnings {
        say!("{:>10}  {warning}", "note");
    }
    say!("sandbox: {}", if holds { "holds" } else { "DOES NOT HOLD and refuses to run anything" });
    Ok(if holds { OK } else { NO })
}
