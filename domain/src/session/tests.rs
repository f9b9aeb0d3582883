use super::*;
use crate::aggregate::testing::given;
use crate::content::Content;
use crate::id::{RunId, SessionId, UserId, WorkspaceId};
use crate::run::ApprovalPolicy;

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn started(origin: Origin) -> SessionStarted {
    SessionStarted {
        session_id: SessionId::new(uuid(1)),
        title: "Roman numerals".into(),
        owner_user_id: UserId::new(uuid(2)),
        workspace_id: WorkspaceId::new(uuid(3)),
        origin,
        model: None,
        approval_policy: ApprovalPolicy::Standard,
        import_source: None,
    }
}

fn message(n: u128) -> MessageReceived {
    MessageReceived {
        message_id: MessageId::new(uuid(n)),
        content: Content::inline("hello"),
        delivery: Delivery::Now,
        run_id: RunId::new(uuid(9)),
    }
}

#[test]
fn a_session_starts_once() {
    let web = started(Origin::Web);
    given::<Session>([]).when(SessionCommand::Start(web.clone())).then([web.clone().into()]);
    given::<Session>([web.clone().into()]).when(SessionCommand::Start(web.clone())).then([]);
    given::<Session>([web.into()]).when(SessionCommand::Start(started(Origin::Cli))).refused(SessionError::Taken);
}

#[test]
fn a_message_needs_a_session() {
    given::<Session>([]).when(SessionCommand::ReceiveMessage(message(5))).refused(SessionError::Unknown);
    given::<Session>([started(Origin::Web).into()])
        .when(SessionCommand::ReceiveMessage(message(5)))
        .then([message(5).into()])
        .when(SessionCommand::ReceiveMessage(message(5)))
        .then([]);
}

#[test]
fn a_record_takes_no_messages() {
    given::<Session>([started(Origin::Import).into()])
        .when(SessionCommand::ReceiveMessage(message(5)))
        .refused(SessionError::Imported);
}

fn erase(by: u128, role: Role) -> SessionCommand {
    SessionCommand::Erase(EraseSession {
        session_id: SessionId::new(uuid(1)),
        positions: PositionRange::cover([1, 2, 5]),
        payload_bytes: 300,
        blobs: 1,
        reason: "asked for".into(),
        requested_by: UserId::new(uuid(by)),
        role,
    })
}

fn erased(by: u128) -> ContentErased {
    ContentErased {
        session_id: SessionId::new(uuid(1)),
        positions: PositionRange::cover([1, 2, 5]),
        payload_bytes: 300,
        blobs: 1,
        reason: "asked for".into(),
        requested_by: UserId::new(uuid(by)),
        kept: KeptFacts {
            origin: Origin::Web,
            owner_user_id: UserId::new(uuid(2)),
            workspace_id: WorkspaceId::new(uuid(3)),
        },
    }
}

#[test]
fn an_owner_or_an_administrator_erases() {
    let session = || given::<Session>([started(Origin::Web).into(), message(5).into()]);
    session().when(erase(2, Role::Developer)).then([erased(2).into()]);
    session().when(erase(8, Role::Admin)).then([erased(8).into()]);
    session().when(erase(8, Role::Developer)).refused(SessionError::NotYours);
    given::<Session>([]).when(erase(8, Role::Admin)).refused(SessionError::Unknown);
}

#[test]
fn what_is_erased_stays_so_and_takes_nothing_more() {
    let session = given::<Session>([started(Origin::Web).into(), message(5).into(), erased(2).into()]);
    assert_eq!(session.0, given::<Session>([erased(2).into()]).0, "nothing else is known");
    let session = session.when(erase(2, Role::Developer)).then([]);
    session.when(SessionCommand::ReceiveMessage(message(6))).refused(SessionError::Erased);
    given::<Session>([erased(2).into()])
        .when(SessionCommand::Start(started(Origin::Web)))
        .refused(SessionError::Erased);
}
