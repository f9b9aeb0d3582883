//! Orders about events in quarantine. Whether an event is there is looked up by whoever asks.

use domain::quarantine::{self, QuarantineCommand, QuarantineRetried, QuarantineSkipped};
use domain::{Aggregate, RequestId, Viewer};

use crate::commands::{Commands, Done, Drafting, to_stream};
use crate::error::CommandError;
use crate::ids::request;
use crate::session::by;

impl Commands {
    /// Has a projection try again to take an event in.
    pub async fn quarantine_retry(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        order: QuarantineRetried,
        standing: bool,
    ) -> Result<Done, CommandError> {
        let asked = ("quarantine_retry", order.clone());
        self.order(viewer, request_id, &asked, QuarantineCommand::Retry { order, standing }).await
    }

    /// Has a projection go on for good without an event.
    pub async fn quarantine_skip(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        order: QuarantineSkipped,
        standing: bool,
    ) -> Result<Done, CommandError> {
        let asked = ("quarantine_skip", order.clone());
        self.order(viewer, request_id, &asked, QuarantineCommand::Skip { order, standing }).await
    }

    async fn order(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        asked: &impl serde::Serialize,
        command: QuarantineCommand,
    ) -> Result<Done, CommandError> {
        let book_id = viewer.book_id;
        let stream_id = quarantine::stream(book_id);
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let orders = self.inner.quarantines.load(book_id, stream_id).await?;
                Ok(vec![to_stream(stream_id, &orders, None, orders.state.decide(&command)?)])
            })
        };
        let done = self.carry_out(book_id, request(request_id, asked), by(viewer, stream_id), draft).await?;
        Ok(Done { position: done.position, answer: () })
    }
}
