//! Appending.

use commands::log::{Append, Context, StreamAppend};
use daybook_tests::Database;
use domain::run::RunEvent;
use domain::run::TestsSkipped;

#[tokio::test]
async fn an_append_answers_its_position() {
    let database = Database::fresh().await;
    let log = database.log().await;
    let append = Append {
        book_id: database.installation.home_book,
        request: None,
        context: Context { actor_id: "test".into(), correlation_id: None, causation_id: None },
        occurred_at: log.now(),
        streams: vec![StreamAppend {
            stream_id: uuid::Uuid::now_v7(),
            expected: 0,
            session_id: None,
            events: vec![RunEvent::from(TestsSkipped { reason: "none".into() }).into()],
        }],
    };
    let appended = log.append(append).await.unwrap();
    assert_eq!((appended.first, appended.last), (1, 1));
}
