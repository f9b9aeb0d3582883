//! What a release does not know: it is not appended, and reading it is a clear refusal.

use commands::CommandError;
use commands::ids::new_id;
use commands::log::{AppendError, admit};
use commands::{MessageSend, SessionStart};
use daybook_tests::Database;
use domain::session::Origin;
use domain::text::MessageText;
use domain::{DecodeError, Event};
use sqlx::Executor;

use crate::fixture::{developer, marked, superuser};

#[test]
fn what_this_release_does_not_know_is_not_admitted() {
    let known = r#"{"reason":"none"}"#;
    assert_eq!(admit("tests.skipped", 1, known), Ok(marked("none")));
    let unknown = |name: &str, version| Err::<Event, _>(AppendError::Unknown { name: name.into(), version });
    assert_eq!(admit("tests.skipped", 2, known), unknown("tests.skipped", 2));
    assert_eq!(admit("no.such", 1, known), unknown("no.such", 1));
    let said = unknown("tests.skipped", 2).unwrap_err().to_string();
    assert_eq!(said, "event type tests.skipped version 2 is unknown to this release: it is not appended");
    assert!(matches!(admit("tests.skipped", 1, "{}"), Err(AppendError::Malformed(_))));
}

/// Another process of a later release wrote to a session, and this one is asked to go on with it.
#[tokio::test]
async fn a_command_on_a_stream_of_a_later_release_is_refused_by_name() {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    let viewer = developer(database.installation.home_book);
    let text = || MessageText::parse("text", "go on").unwrap();
    let start = SessionStart {
        text: text(),
        title: None,
        approval_policy: Default::default(),
        origin: Origin::Web,
        model: "scripted/test".into(),
    };
    let session_id = commands.session_start(&viewer, new_id(), start).await.unwrap().answer.session_id;
    let mut db = superuser(&database).await;
    db.execute("UPDATE events SET event_version = 2 WHERE event_type = 'message.received'").await.unwrap();
    let send = MessageSend { session_id, text: text(), model: "scripted/test".into() };
    let refused = database.commands().await.message_send(&viewer, new_id(), send).await.unwrap_err();
    match refused {
        CommandError::Decode(DecodeError::Unknown { name, version }) => {
            assert_eq!((name.as_str(), version), ("message.received", 2));
        }
        other => panic!("{other}"),
    }
}
