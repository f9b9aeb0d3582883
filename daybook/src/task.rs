//! `daybook run`: a task in the terminal, from the first word to an exit code.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use commands::bus::{Live, LiveKind};
use commands::ids::{derived, new_id};
use commands::{SessionStart, Started};
use domain::content::head;
use domain::run::{DecideApproval, Decision, RunEvent, Scope, Via};
use domain::session::Origin;
use domain::text::MessageText;
use domain::{Event, RequestId, Viewer};
use projections::Recorded;
use projections::feed;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cli::{NO, OK, Place, Run};
use crate::node::Node;
use crate::out::say;
use crate::provider;
use crate::workers::Workers;

/// How long at most until the log is looked at again; a wake-up comes sooner.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How much of a tool's output the terminal shows, in bytes.
const OUTPUT_SHOWN: usize = 600;

/// Has an agent do a task.
pub async fn run(place: &Place, wanted: &Run) -> anyhow::Result<u8> {
    let text = MessageText::parse("task", wanted.task.as_str())?;
    let mut node = Node::open(place).await?;
    node.deploy();
    let provider = provider::open(&node.commands).await?;
    let model = format!("{}/{}", provider.name(), provider.model());
    if provider.name() == "scripted" && !wanted.json {
        eprintln!(
            "The model is scripted: a built-in demonstration that calls no AI. For a real one set DAYBOOK_MODEL_URL and\nDAYBOOK_MODEL_NAME (and DAYBOOK_MODEL_KEY) to any OpenAI-compatible server."
        );
    }
    let workers = Workers::start(&node, provider).await?;
    let viewer = node.access.demo_user().clone();
    let start = SessionStart { text, title: None, approval_policy: wanted.policy, origin: Origin::Cli, model };
    let started = node.commands.session_start(&viewer, new_id(), start).await?.answer;
    let outcome = Terminal { node: &node, viewer, started, wanted }.follow().await;
    workers.stop().await?;
    node.sign().await;
    node.close().await;
    outcome
}

struct Terminal<'a> {
    node: &'a Node,
    viewer: Viewer,
    started: Started,
    wanted: &'a Run,
}

/// What the terminal does after an event.
enum Next {
    GoOn,
    Ask(domain::ApprovalId),
    End(u8),
}

impl Terminal<'_> {
    async fn follow(&self) -> anyhow::Result<u8> {
        let mut tips = self.node.commands.log().tips();
        let (_, mut live) = self.node.commands.bus().listen(self.started.session_id);
        let mut after = 0;
        let mut streamed = false;
        loop {
            let mut db = self.node.reader.book(self.viewer.book_id).await?;
            let events =
                feed::session_page(&mut db, self.viewer.book_id, self.started.session_id, after, feed::PAGE).await?;
            drop(db);
            for event in events {
                after = event.position;
                match self.show(&event, &mut streamed)? {
                    Next::GoOn => {}
                    Next::Ask(approval_id) => self.decide(approval_id).await?,
                    Next::End(code) => return Ok(code),
                }
            }
            tokio::select! {
                frame = live.recv() => if let Ok(frame) = frame { streamed |= self.stream(&frame)? },
                _ = tokio::time::timeout(LOOK_EVERY, tips.recv()) => {}
                _ = tokio::signal::ctrl_c() => self.cancel().await?,
            }
        }
    }

    /// Shows text while it is written; answers whether it did.
    fn stream(&self, frame: &Live) -> anyhow::Result<bool> {
        if self.wanted.json || frame.session_id != self.started.session_id || frame.kind != LiveKind::Text {
            return Ok(false);
        }
        print!("{}", frame.text);
        std::io::stdout().flush()?;
        Ok(!frame.text.is_empty())
    }

    fn show(&self, recorded: &Recorded, streamed: &mut bool) -> anyhow::Result<Next> {
        if self.wanted.json {
            let payload: Option<&serde_json::value::RawValue> =
                recorded.payload.as_deref().map(serde_json::from_str).transpose()?;
            let line = serde_json::json!({
                "position": recorded.position, "type": recorded.event_type, "actor": recorded.actor_id,
                "recordedAt": recorded.recorded_at, "payload": payload,
            });
            say!("{line}");
        }
        let Some(Event::Run(event)) = recorded.event() else { return Ok(Next::GoOn) };
        if !self.wanted.json {
            self.tell(event, streamed)?;
        }
        Ok(match event {
            RunEvent::ApprovalRequested(e) => Next::Ask(e.approval_id),
            RunEvent::RunCompleted(_) => Next::End(OK),
            RunEvent::RunFailed(_) | RunEvent::RunCancelled(_) => Next::End(NO),
            _ => Next::GoOn,
        })
    }

    fn tell(&self, event: &RunEvent, streamed: &mut bool) -> anyhow::Result<()> {
        match event {
            RunEvent::RunPhaseChanged(e) => say!("\n── {:?} ── {}", e.to, e.reason),
            RunEvent::AssistantMessageCompleted(e) => {
                // What was streamed stands there already.
                if !std::mem::take(streamed) {
                    print!("{}", e.content.text);
                }
                say!();
            }
            RunEvent::ToolCallRequested(e) => say!("→ {} {}", e.tool, head(&e.arguments.text, OUTPUT_SHOWN)),
            RunEvent::ApprovalRequested(e) => say!("? approval needed: {}", e.reason),
            RunEvent::ApprovalDenied(e) => say!("✗ denied {}", e.reason),
            RunEvent::ToolCallSucceeded(e) => {
                say!("{}", indent(head(&e.output.text, OUTPUT_SHOWN)));
                if let Some(code) = e.exit_code.filter(|code| *code != 0) {
                    say!("  exit status {code}");
                }
            }
            RunEvent::ToolCallFailed(e) => say!("✗ {}: {}", e.code, e.message),
            RunEvent::ToolCallOrphaned(e) => say!("✗ orphaned: {}", e.reason),
            RunEvent::TestsRan(e) => say!("tests: {} passed, {} failed, {} skipped", e.passed, e.failed, e.skipped),
            RunEvent::StepFailed(e) => say!("✗ {}", e.error.message),
            RunEvent::RunCompleted(e) => {
                let seconds = e.duration_ms.unwrap_or(0) / 1000;
                let session = self.started.session_id;
                say!("\n✓ done in {} steps and {seconds} s, {} USD\n  {session}", e.steps, e.cost_nanousd);
            }
            RunEvent::RunFailed(e) => say!("\n✗ failed: {}\n  {}", e.error.message, self.started.session_id),
            RunEvent::RunCancelled(_) => say!("\n✗ cancelled\n  {}", self.started.session_id),
            _ => {}
        }
        Ok(())
    }

    async fn decide(&self, approval_id: domain::ApprovalId) -> anyhow::Result<()> {
        let decision = match (self.wanted.yes, self.wanted.no) {
            (true, _) => Decision::Grant(Scope::Once),
            (_, true) => Decision::Deny("denied by --no".into()),
            _ if !std::io::stdin().is_terminal() => {
                Decision::Deny("there is no terminal to ask: use --yes or --no".into())
            }
            _ => ask().await?,
        };
        let decide = DecideApproval {
            approval_id,
            decision,
            decided_by: self.viewer.actor(),
            via: Via::Cli,
            at: self.node.commands.log().now(),
        };
        let request_id: RequestId = new_id();
        self.node.commands.approval_decide(&self.viewer, request_id, self.started.run_id, decide).await?;
        Ok(())
    }

    async fn cancel(&self) -> anyhow::Result<()> {
        let request_id: RequestId = derived(self.started.run_id.uuid(), "cancelled by ctrl-c");
        let reason = "interrupted at the terminal";
        self.node.commands.run_cancel(&self.viewer, request_id, self.started.run_id, reason).await?;
        Ok(())
    }
}

async fn ask() -> anyhow::Result<Decision> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        print!("  [y] yes, once   [r] yes, for this run   [n reason] no  > ");
        std::io::stdout().flush()?;
        let line = lines.next_line().await?.unwrap_or_else(|| "n".into());
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match word {
            "y" | "yes" => return Ok(Decision::Grant(Scope::Once)),
            "r" => return Ok(Decision::Grant(Scope::Run)),
            "n" | "no" => return Ok(Decision::Deny(rest.trim().to_owned())),
            _ => println!("  please answer y, r or n"),
        }
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  │ {line}")).collect::<Vec<_>>().join("\n")
}
