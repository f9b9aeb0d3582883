//! From a trajectory to what Daybook writes down. Ids, the time and the place of long texts come from the caller.

use commands::ImportedSession as Record;
use domain::account::{ImportedUsage, TokenCounts};
use domain::id::Id;
use domain::run::{
    ApprovalPolicy, ImportedCall, ImportedOutcome, ImportedRun, ImportedStep, Limits, Mode, RunRequested, Trigger,
};
use domain::session::{Delivery, ImportSource, MessageReceived, Origin, SessionStarted};
use domain::workspace::{FileChange, FileCreated, FileDeleted, FileModified, WorkspaceEvent};
use domain::{Content, MessageId, RunId, SessionId, Timestamp, ToolCallId, UserId, WorkerId, WorkspaceId};
use uuid::Uuid;

use super::trajectory::{ChangeKind, FileEdit, Outcome, Step, ToolUse, Totals, Trajectory};

/// The model of a run whose record names none.
const UNKNOWN_MODEL: &str = "unknown";

/// For whom, by whom and when a record is written down.
#[derive(Debug, Clone, Copy)]
pub struct Destination {
    /// Whose session it becomes.
    pub owner: UserId,
    /// The process that imports.
    pub worker_id: WorkerId,
    /// The time of the import: the record has none of its own.
    pub now: Timestamp,
}

/// The ids that the parts of a record share.
#[derive(Clone, Copy)]
struct Ids {
    session_id: SessionId,
    workspace_id: WorkspaceId,
    run_id: RunId,
    message_id: MessageId,
}

/// Turns a trajectory into a record. `new_id` makes ids; `content` takes each text once, in order, and says how events
/// carry it, so that the caller can store long texts as blobs before it appends the record.
pub fn record(
    trajectory: Trajectory,
    to: &Destination,
    new_id: &mut dyn FnMut() -> Uuid,
    content: &mut dyn FnMut(String) -> Content,
) -> Record {
    let ids = Ids {
        session_id: Id::new(new_id()),
        workspace_id: Id::new(new_id()),
        run_id: Id::new(new_id()),
        message_id: Id::new(new_id()),
    };
    let session = session(&trajectory, to, ids);
    let task = content(trajectory.task);
    let message = MessageReceived {
        message_id: ids.message_id,
        content: task.clone(),
        delivery: Delivery::Record,
        run_id: ids.run_id,
    };
    let model = trajectory.model;
    let steps: Vec<_> = trajectory.steps.into_iter().map(|it| step(it, new_id, content)).collect();
    let calls: Vec<_> = steps.iter().map(|it| it.call.as_ref().map(|call| call.tool_call_id)).collect();
    let changes = trajectory.changes.into_iter().map(|edit| {
        let tool_call_id = edit.step_index.and_then(|index| calls.get(index).copied().flatten());
        change(edit, ids.run_id, tool_call_id, content)
    });
    let changes = changes.collect();
    let usage = trajectory.usage.map(|totals| usage(totals, ids, model.clone(), new_id()));
    let outcome = match trajectory.outcome {
        Outcome::Succeeded(words) => ImportedOutcome::Succeeded(words),
        Outcome::Failed(words) => ImportedOutcome::Failed(words),
    };
    let request = request(ids, task, model, to.now);
    let run = ImportedRun { request, worker_id: to.worker_id, steps, outcome };
    Record { sha256: trajectory.sha256, session, message, run, changes, usage }
}

fn session(trajectory: &Trajectory, to: &Destination, ids: Ids) -> SessionStarted {
    SessionStarted {
        session_id: ids.session_id,
        title: trajectory.title.clone(),
        owner_user_id: to.owner,
        workspace_id: ids.workspace_id,
        origin: Origin::Import,
        model: trajectory.model.clone(),
        approval_policy: ApprovalPolicy::default(),
        import_source: Some(ImportSource {
            format: trajectory.format.into(),
            file_name: trajectory.file_name.clone(),
            sha256: trajectory.sha256,
            bytes: trajectory.bytes,
        }),
    }
}

fn request(ids: Ids, task: Content, model: Option<String>, requested_at: Timestamp) -> RunRequested {
    RunRequested {
        run_id: ids.run_id,
        session_id: ids.session_id,
        workspace_id: ids.workspace_id,
        mode: Mode::Build,
        trigger: Trigger::Import,
        message_id: ids.message_id,
        task,
        model: model.unwrap_or_else(|| UNKNOWN_MODEL.into()),
        approval_policy: ApprovalPolicy::default(),
        limits: Limits::default(),
        requested_at,
    }
}

fn step(step: Step, new_id: &mut dyn FnMut() -> Uuid, content: &mut dyn FnMut(String) -> Content) -> ImportedStep {
    let Step { thought, text, call } = step;
    ImportedStep {
        llm_call_id: Id::new(new_id()),
        thinking: thought.map(&mut *content),
        text: text.map(|text| (Id::new(new_id()), content(text))),
        call: call.map(|call| {
            let ToolUse { tool, arguments, provider_call_id, observation, duration_ms } = call;
            ImportedCall {
                tool_call_id: Id::new(new_id()),
                provider_call_id,
                tool,
                arguments: content(arguments),
                observation: observation.map(&mut *content),
                duration_ms,
            }
        }),
    }
}

fn change(
    edit: FileEdit,
    run_id: RunId,
    tool_call_id: Option<ToolCallId>,
    content: &mut dyn FnMut(String) -> Content,
) -> WorkspaceEvent {
    let change = FileChange {
        path: edit.path,
        before_sha256: None,
        after_sha256: None,
        bytes: None,
        lines_added: edit.lines_added,
        lines_removed: edit.lines_removed,
        patch: edit.patch.map(content),
        run_id,
        tool_call_id,
    };
    match edit.kind {
        ChangeKind::Created => FileCreated(change).into(),
        ChangeKind::Modified => FileModified(change).into(),
        ChangeKind::Deleted => FileDeleted(change).into(),
    }
}

fn usage(totals: Totals, ids: Ids, model: Option<String>, llm_call_id: Uuid) -> ImportedUsage {
    let Totals { calls, input_tokens, output_tokens, cost } = totals;
    ImportedUsage {
        llm_call_id: Id::new(llm_call_id),
        session_id: ids.session_id,
        run_id: ids.run_id,
        model,
        calls,
        tokens: TokenCounts { input_tokens, output_tokens, ..TokenCounts::default() },
        cost_nanousd: cost,
    }
}
