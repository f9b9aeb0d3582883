//! Who is asking, and which model answers.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::Viewer;

use crate::State;
use crate::error::{ErrorCode, Refused, refuse};
use crate::ids::id;

/// Who is asking.
#[derive(Default)]
pub struct ViewerQuery;

/// What a user may do within one organisation.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::Role")]
pub enum Role {
    /// Everything.
    Admin,
    /// Works with agents.
    Developer,
    /// Looks on.
    Viewer,
    /// Reads everything, changes nothing.
    Auditor,
}

/// A signed-in person within one organisation.
#[derive(SimpleObject)]
#[graphql(name = "Viewer")]
struct ViewerObject {
    user_id: ID,
    name: String,
    role: Role,
    book_id: ID,
}

/// What answers.
#[derive(SimpleObject)]
struct ModelProvider {
    provider: String,
    model: String,
    /// Whether it is the built-in demonstration, which calls no AI.
    scripted: bool,
    context_window_tokens: u32,
    /// How to set another one, in Markdown.
    how_to_change: String,
}

#[Object]
impl ViewerQuery {
    /// Who is asking.
    async fn viewer(&self, ctx: &Context<'_>) -> Refused<ViewerObject> {
        let viewer = viewer(ctx)?;
        Ok(ViewerObject {
            user_id: id(viewer.user_id),
            name: viewer.name.clone(),
            role: viewer.role.into(),
            book_id: id(viewer.book_id),
        })
    }

    /// What answers: the provider in force.
    async fn model_provider(&self, ctx: &Context<'_>) -> Refused<ModelProvider> {
        viewer(ctx)?;
        let provider = &ctx.data_unchecked::<State>().provider;
        Ok(ModelProvider {
            scripted: provider.provider == "scripted",
            provider: provider.provider.clone(),
            model: provider.model.clone(),
            context_window_tokens: provider.context_window_tokens,
            how_to_change: provider.how_to_change.clone(),
        })
    }
}

/// Who is asking, or that nobody is signed in.
pub fn viewer<'a>(ctx: &'a Context<'_>) -> Refused<&'a Viewer> {
    ctx.data_opt::<Viewer>().ok_or_else(|| {
        refuse(ErrorCode::Unauthenticated, "nobody is signed in: open the link that `daybook demo` prints")
    })
}

/// The sign-in behind something that went on is no good any more.
pub fn ended() -> async_graphql::Error {
    refuse(ErrorCode::Unauthenticated, "your sign-in has expired or was ended: sign in again")
}

/// Who is asking, if they may change the installation itself.
pub fn admin<'a>(ctx: &'a Context<'_>) -> Refused<&'a Viewer> {
    let viewer = viewer(ctx)?;
    if viewer.role.may_administer() {
        Ok(viewer)
    } else {
        Err(refuse(ErrorCode::Forbidden, "this is for administrators"))
    }
}

/// Who is asking, if they may change anything.
pub fn writer<'a>(ctx: &'a Context<'_>) -> Refused<&'a Viewer> {
    let viewer = viewer(ctx)?;
    if viewer.role.may_write() {
        Ok(viewer)
    } else {
        Err(refuse(ErrorCode::Forbidden, "your role allows to read only"))
    }
}

/// Who is asking, if they may look into the workings of the installation.
pub fn overseer<'a>(ctx: &'a Context<'_>) -> Refused<&'a Viewer> {
    let viewer = viewer(ctx)?;
    if viewer.role.may_oversee() {
        Ok(viewer)
    } else {
        Err(refuse(ErrorCode::Forbidden, "this is for administrators and auditors"))
    }
}
