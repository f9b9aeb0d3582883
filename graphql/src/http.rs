//! The API over HTTP and WebSocket.

use access::{Access, Grant};
use async_graphql::http::{ALL_WEBSOCKET_PROTOCOLS, GraphiQLSource};
use async_graphql_axum::{GraphQLProtocol, GraphQLRequest, GraphQLResponse, GraphQLWebSocket};
use axum::Router;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use commands::CommandError;
use domain::Viewer;

use crate::Schema;
use crate::error::with_codes;
use crate::granted::Granted;

/// How much of what a socket's client sends is read at once, in bytes. It sends little, and sockets are many; this much
/// is cleared each time that one is looked at.
const READ_BUFFER: usize = 1024;
/// The longest message that a client may send, in bytes.
const MESSAGE_MAX: usize = 1024 * 1024;

#[derive(Clone)]
struct Api {
    schema: Schema,
    access: Access,
}

/// The routes of the API: `/graphql`, `/graphql/ws`, and GraphiQL at `/graphiql`.
pub fn routes(schema: Schema, access: Access) -> Router {
    Router::new()
        .route("/graphql", post(query))
        .route("/graphql/ws", get(follow))
        .route("/graphiql", get(graphiql))
        .with_state(Api { schema, access })
}

async fn query(State(api): State<Api>, headers: HeaderMap, request: GraphQLRequest) -> Response {
    match api.viewer(&headers).await {
        Ok(viewer) => {
            let response = api.schema.execute(with(request.into_inner(), viewer)).await;
            GraphQLResponse::from(with_codes(response)).into_response()
        }
        Err(refusal) => refusal,
    }
}

async fn follow(
    State(api): State<Api>,
    headers: HeaderMap,
    protocol: GraphQLProtocol,
    upgrade: WebSocketUpgrade,
) -> Response {
    let grant = match api.grant(&headers).await {
        Ok(grant) => grant,
        Err(refusal) => return refusal,
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MESSAGE_MAX)
        .protocols(ALL_WEBSOCKET_PROTOCOLS)
        .on_upgrade(async move |socket| {
            let mut data = async_graphql::Data::default();
            if let Some(grant) = &grant {
                data.insert(grant.viewer().clone());
            }
            let granted = Granted { schema: api.schema, grant };
            GraphQLWebSocket::new(socket, granted, protocol).with_data(data).serve().await;
        })
        .into_response()
}

async fn graphiql() -> Html<String> {
    Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql/ws").finish())
}

impl Api {
    async fn viewer(&self, headers: &HeaderMap) -> Result<Option<Viewer>, Response> {
        self.access.viewer(headers).await.map_err(unavailable)
    }

    async fn grant(&self, headers: &HeaderMap) -> Result<Option<Grant>, Response> {
        self.access.grant(headers).await.map_err(unavailable)
    }
}

fn unavailable(error: CommandError) -> Response {
    tracing::error!(%error, "signing in failed");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn with(request: async_graphql::Request, viewer: Option<Viewer>) -> async_graphql::Request {
    match viewer {
        Some(viewer) => request.data(viewer),
        None => request,
    }
}
