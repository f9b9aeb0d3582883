//! What is asked over a socket, and what goes on over it, for as long as the sign-in behind it is good.

use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use async_graphql::{Data, Executor, Pos, Request, Response};
use async_stream::stream;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::Schema;
use crate::viewer::ended;

/// How often the sign-in behind something that has nothing to say is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The schema as one socket may use it.
#[derive(Clone)]
pub struct Granted {
    pub schema: Schema,
    /// Whoever opened the socket, where somebody was signed in.
    pub grant: Option<Grant>,
}

impl Executor for Granted {
    async fn execute(&self, request: Request) -> Response {
        match &self.grant {
            Some(grant) if !grant.is_good().await => over(),
            _ => self.schema.execute(request).await,
        }
    }

    /// Queries and mutations come this way too: over a socket each is a stream of one answer.
    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let (schema, session) = (self.schema.clone(), session.unwrap_or_default());
        let Some(grant) = self.grant.clone() else { return schema.execute_stream_with_session_data(request, session) };
        Box::pin(stream! {
            if !grant.is_good().await {
                yield over();
                return;
            }
            let mut answers = schema.execute_stream_with_session_data(request, session);
            let mut looks = tokio::time::interval(LOOK_EVERY);
            looks.reset();
            loop {
                let answer = tokio::select! {
                    answer = answers.next() => match answer {
                        Some(answer) => Some(answer),
                        None => return,
                    },
                    _ = looks.tick() => None,
                };
                if !grant.is_good().await {
                    yield over();
                    return;
                }
                if let Some(answer) = answer {
                    yield answer;
                }
            }
        })
    }
}

/// The last answer.
fn over() -> Response {
    Response::from_errors(vec![ended().into_server_error(Pos::default())])
}
