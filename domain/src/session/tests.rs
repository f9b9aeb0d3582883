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
