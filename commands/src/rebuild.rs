//! What the read side reports about rebuilds, written into the system book.

use domain::rebuild::{RebuildCommand, RebuildEvent};
use domain::{Aggregate, RequestId};

use crate::commands::{Commands, Done, Drafting, to_stream};
use crate::error::CommandError;
use crate::ids::{derived, new_id, request};
use crate::log::Context;

impl Commands {
    /// Writes down what happened to a build of a projection, and who wanted it; nothing where it is known already.
    pub async fn rebuild_record(
        &self,
        projection: &str,
        event: RebuildEvent,
        actor_id: Option<String>,
    ) -> Result<Done, CommandError> {
        let book_id = self.installation().system_book;
        let stream_id = derived::<()>(book_id.uuid(), &format!("projection {projection}")).uuid();
        let request_id: RequestId = new_id();
        let context = Context {
            actor_id: actor_id.unwrap_or_else(|| "system".into()),
            correlation_id: Some(stream_id),
            causation_id: None,
        };
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let rebuild = self.inner.rebuilds.load(book_id, stream_id).await?;
                let events = rebuild.state.decide(&RebuildCommand::Record(event.clone()));
                Ok(vec![to_stream(stream_id, &rebuild, None, events.unwrap_or_else(|never| match never {}))])
            })
        };
        let asked = domain::Event::from(event.clone()).payload();
        let done = self.carry_out(book_id, request(request_id, &asked), context, draft).await?;
        Ok(Done { position: done.position, answer: () })
    }
}
