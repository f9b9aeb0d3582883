use proptest::prelude::*;

use super::*;
use crate::aggregate::{Aggregate, fold, testing::given};

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn created() -> WorkspaceCreated {
    WorkspaceCreated { workspace_id: WorkspaceId::new(uuid(1)), session_id: SessionId::new(uuid(2)) }
}

fn change_of(path: &str, after: Option<u8>) -> FileChange {
    FileChange {
        path: path.into(),
        before_sha256: None,
        after_sha256: after.map(|byte| Sha256([byte; 32])),
        bytes: None,
        lines_added: 1,
        lines_removed: 0,
        patch: None,
        run_id: RunId::new(uuid(3)),
        tool_call_id: None,
    }
}

#[test]
fn changes_are_recorded_as_they_were_found() {
    let change: WorkspaceEvent = FileCreated(change_of("a.py", Some(1))).into();
    given::<Workspace>([created().into()]).when(WorkspaceCommand::RecordChanges(vec![change.clone()])).then([change]);
}

#[test]
fn a_path_never_leaves_the_workspace() {
    for path in ["../a", "/etc/passwd", "a/../../b", "", "a\0b"] {
        given::<Workspace>([created().into()])
            .when(WorkspaceCommand::RecordChanges(vec![FileCreated(change_of(path, None)).into()]))
            .refused(WorkspaceError::PathLeaves(path.into()));
    }
}

#[test]
fn an_unknown_workspace_has_no_changes() {
    given::<Workspace>([]).when(WorkspaceCommand::RecordChanges(vec![])).refused(WorkspaceError::Unknown);
    given::<Workspace>([created().into()]).when(WorkspaceCommand::Create(created())).then([]);
}

proptest! {
    /// The files of a workspace are those whose last change was not a deletion, with that change's hash.
    #[test]
    fn the_last_change_of_a_path_says_what_it_is(changes in prop::collection::vec((0..4u8, prop::option::of(any::<u8>())), 0..40)) {
        let mut events: Vec<WorkspaceEvent> = vec![created().into()];
        let mut expected = BTreeMap::new();
        for (name, after) in changes {
            let path = format!("f{name}");
            match after {
                Some(_) => {
                    expected.insert(path.clone(), after.map(|byte| Sha256([byte; 32])));
                    events.push(FileModified(change_of(&path, after)).into());
                }
                None => {
                    expected.remove(&path);
                    events.push(FileDeleted(change_of(&path, None)).into());
                }
            }
        }
        let workspace: Workspace = fold(&events);
        prop_assert_eq!(workspace.files(), &expected);
        prop_assert!(workspace.decide(&WorkspaceCommand::RecordChanges(events.split_off(1))).is_ok());
    }
}

#[test]
fn an_erased_workspace_knows_no_file_and_takes_none() {
    let change: WorkspaceEvent = FileCreated(change_of("a.py", Some(1))).into();
    let erased = WorkspaceErased { workspace_id: WorkspaceId::new(uuid(1)) };
    given::<Workspace>([]).when(WorkspaceCommand::Erase(erased.clone())).refused(WorkspaceError::Unknown);
    let after = given::<Workspace>([created().into(), change.clone()])
        .when(WorkspaceCommand::Erase(erased.clone()))
        .then([erased.clone().into()])
        .when(WorkspaceCommand::Erase(erased.clone()))
        .then([]);
    assert_eq!(after.0, given::<Workspace>([erased.into()]).0, "nothing else is known");
    after.when(WorkspaceCommand::RecordChanges(vec![change])).refused(WorkspaceError::Erased);
}
