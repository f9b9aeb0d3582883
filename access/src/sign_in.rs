//! Signing in: a short-lived link, as a command prints it, is exchanged for a cookie that only HTTP can read.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use chrono::TimeDelta;
use commands::secrets::{self, Bearer, SecretKind};
use commands::{CommandError, Commands};
use domain::{Role, Viewer};

use crate::grant::{Grant, Grants};

/// Where a sign-in link leads.
pub const SIGN_IN_PATH: &str = "/sign-in";
/// The cookie's name.
pub const COOKIE: &str = "daybook_session";
/// How long a link is good: long enough to be opened, and opened again in another browser.
const LINK_HOURS: i64 = 12;
/// How long a cookie is good.
const COOKIE_DAYS: i64 = 7;

/// Says who is asking. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    commands: Commands,
    demo: Arc<Viewer>,
    grants: Arc<Grants>,
}

#[derive(serde::Deserialize)]
struct Link {
    token: String,
    #[serde(default)]
    demo: bool,
}

impl Access {
    /// Opens the door. On a first start the built-in user is registered.
    pub async fn open(commands: Commands) -> Result<Self, CommandError> {
        let user = commands.demo_user().await?;
        secrets::sweep(commands.log().pool(), commands.log().now()).await?;
        let book_id = commands.installation().home_book;
        let demo = Viewer { user_id: user.user_id, book_id, role: Role::Admin, name: user.name };
        Ok(Self { commands, demo: Arc::new(demo), grants: Arc::default() })
    }

    /// The built-in user.
    pub fn demo_user(&self) -> &Viewer {
        &self.demo
    }

    /// A new sign-in link for the built-in user: path and query.
    pub async fn demo_link(&self, demo_run: bool) -> Result<String, CommandError> {
        let token = self.issue(SecretKind::SignInLink, TimeDelta::hours(LINK_HOURS)).await?;
        let demo = if demo_run { "&demo=true" } else { "" };
        Ok(format!("{SIGN_IN_PATH}?token={token}{demo}"))
    }

    /// Who is asking, by cookie or bearer token.
    pub async fn viewer(&self, headers: &HeaderMap) -> Result<Option<Viewer>, CommandError> {
        Ok(self.bearer(headers).await?.map(|_| (*self.demo).clone()))
    }

    /// Who is asking, for something that goes on: whether they still may can be asked again.
    pub async fn grant(&self, headers: &HeaderMap) -> Result<Option<Grant>, CommandError> {
        let found = self.bearer(headers).await?;
        let viewer = || (*self.demo).clone();
        Ok(found.map(|(token, found)| self.grants.of(&self.commands, viewer(), token, found.expires_at)))
    }

    async fn bearer<'a>(&self, headers: &'a HeaderMap) -> Result<Option<(&'a str, Bearer)>, CommandError> {
        let Some(token) = cookie(headers).or_else(|| bearer(headers)) else { return Ok(None) };
        let found = secrets::look_up(self.commands.log().pool(), SecretKind::Cookie, token).await?;
        Ok(found.filter(|found| found.user_id == self.demo.user_id).map(|found| (token, found)))
    }

    /// The routes of signing in.
    pub fn routes(&self) -> Router {
        Router::new().route(SIGN_IN_PATH, get(sign_in)).with_state(self.clone())
    }

    async fn issue(&self, kind: SecretKind, lifetime: TimeDelta) -> Result<String, CommandError> {
        let expires_at = self.commands.log().now() + lifetime;
        let bearer = Bearer { book_id: self.demo.book_id, user_id: self.demo.user_id, expires_at };
        Ok(secrets::issue(self.commands.log().pool(), kind, bearer).await?)
    }
}

async fn sign_in(State(access): State<Access>, Query(link): Query<Link>) -> Response {
    match exchange(&access, &link).await {
        Ok(Some(cookie)) => {
            let to = if link.demo { "/?demo=1" } else { "/" };
            ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
        }
        Ok(None) => {
            let words = "This sign-in link has expired. Start `daybook demo` again and open the link that it prints.\n";
            (StatusCode::UNAUTHORIZED, words).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "signing in failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "Signing in failed; the server's log says why.\n").into_response()
        }
    }
}

async fn exchange(access: &Access, link: &Link) -> Result<Option<String>, CommandError> {
    let pool = access.commands.log().pool();
    if secrets::look_up(pool, SecretKind::SignInLink, &link.token).await?.is_none() {
        return Ok(None);
    }
    let lifetime = TimeDelta::days(COOKIE_DAYS);
    let token = access.issue(SecretKind::Cookie, lifetime).await?;
    Ok(Some(format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}", lifetime.num_seconds())))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
