//! Commands on the installation's own book: users, prices, what the sandbox's probe found, keys of checkpoints.

use domain::checkpoint_key::{CheckpointKeyCommand, CheckpointKeyCreated};
use domain::model::{ModelCommand, ModelPriced, PriceList};
use domain::sandbox::{SandboxCommand, SandboxProbed};
use domain::user::{UserCommand, UserRegistered};
use domain::{Aggregate, RequestId, UserId};
use uuid::Uuid;

use crate::commands::{Commands, Done, Drafting, to_stream};
use crate::error::CommandError;
use crate::ids::{derived, new_id, request};
use crate::log::Context;
use crate::stream::Loaded;

impl Commands {
    /// The built-in user of this installation, registered on the first start.
    pub async fn demo_user(&self) -> Result<UserRegistered, CommandError> {
        let book_id = self.installation().system_book;
        let user_id: UserId = derived(book_id.uuid(), "demo user");
        let registered = UserRegistered { user_id, name: "Demo".into(), demo: true };
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let user = self.inner.users.load(book_id, user_id.uuid()).await?;
                let events = user.state.decide(&UserCommand::Register(registered.clone()))?;
                Ok(vec![to_stream(user_id.uuid(), &user, None, events)])
            })
        };
        let request_id: RequestId = derived(user_id.uuid(), "register");
        self.carry_out(book_id, request(request_id, &registered), system(), draft).await?;
        Ok(registered)
    }

    /// Sets the price of a model; nothing happens where it is the price already.
    pub async fn model_price(&self, priced: ModelPriced) -> Result<Done, CommandError> {
        let book_id = self.installation().system_book;
        let request_id: RequestId = new_id();
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let prices = self.prices().await?;
                let events = prices.state.decide(&ModelCommand::Price(priced.clone()))?;
                Ok(vec![to_stream(self.price_stream(), &prices, None, events)])
            })
        };
        let done = self.carry_out(book_id, request(request_id, &priced), system(), draft).await?;
        Ok(Done { position: done.position, answer: () })
    }

    /// Writes down what a probe of the sandbox found; nothing happens where it found the same before.
    pub async fn sandbox_probed(&self, found: SandboxProbed) -> Result<Done, CommandError> {
        let book_id = self.installation().system_book;
        let stream_id = derived::<()>(book_id.uuid(), "sandbox").uuid();
        let request_id: RequestId = new_id();
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let sandbox = self.inner.sandboxes.load(book_id, stream_id).await?;
                let events =
                    sandbox.state.decide(&SandboxCommand::Record(found.clone())).unwrap_or_else(|never| match never {});
                Ok(vec![to_stream(stream_id, &sandbox, None, events)])
            })
        };
        let done = self.carry_out(book_id, request(request_id, &found), system(), draft).await?;
        Ok(Done { position: done.position, answer: () })
    }

    /// Writes down the public part of a key that signs checkpoints; nothing happens where it stands there already.
    pub async fn checkpoint_key_created(&self, created: CheckpointKeyCreated) -> Result<Done, CommandError> {
        let book_id = self.installation().system_book;
        let stream_id = derived::<()>(book_id.uuid(), "checkpoint keys").uuid();
        let request_id: RequestId = new_id();
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let keys = self.inner.checkpoint_keys.load(book_id, stream_id).await?;
                let command = CheckpointKeyCommand::Record(created.clone());
                let events = keys.state.decide(&command).unwrap_or_else(|never| match never {});
                Ok(vec![to_stream(stream_id, &keys, None, events)])
            })
        };
        let done = self.carry_out(book_id, request(request_id, &created), system(), draft).await?;
        Ok(Done { position: done.position, answer: () })
    }

    /// The price list as it is now.
    pub async fn prices(&self) -> Result<Loaded<PriceList>, CommandError> {
        self.inner.prices.load(self.installation().system_book, self.price_stream()).await
    }

    fn price_stream(&self) -> Uuid {
        derived::<()>(self.installation().system_book.uuid(), "price list").uuid()
    }
}

/// Daybook itself acts.
fn system() -> Context {
    Context { actor_id: "system".into(), correlation_id: None, causation_id: None }
}
