//! `daybook serve` and `daybook demo`: the web client, the API and the workers in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use access::Allowed;
use anyhow::{Context, bail};
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::routing::get;
use graphql::{ModelProvider, ReadSide};
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::cli::{OK, Place, Serve};
use crate::health::Health;
use crate::metrics::{self, Metrics};
use crate::node::Node;
use crate::provider::{self, HOW_TO_CHANGE};
use crate::workers::Workers;

/// What pages of this server may load: only what it serves itself. Styles are set by scripts too.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'";

/// Serves.
pub async fn serve(place: &Place, wanted: &Serve) -> anyhow::Result<u8> {
    start(place, wanted, false).await
}

/// Serves, and shows the way in.
pub async fn demo(place: &Place, wanted: &Serve) -> anyhow::Result<u8> {
    start(place, wanted, true).await
}

async fn start(place: &Place, wanted: &Serve, demo: bool) -> anyhow::Result<u8> {
    let client = client_folder(wanted)?;
    let mut node = Node::open(place).await?;
    node.deploy();
    let provider = provider::open(&node.commands).await?;
    let shown = ModelProvider {
        provider: provider.name().to_owned(),
        model: provider.model().to_owned(),
        context_window_tokens: provider.context_window_tokens(),
        how_to_change: HOW_TO_CHANGE.to_owned(),
    };
    let workers = Workers::start(&node, provider).await?;
    let trees = node.trees().await?;
    let following = tokio::spawn(trees.clone().run());
    let address = SocketAddr::new(wanted.bind, wanted.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "port {} cannot be had at {}: is Daybook running already? Choose another with --port",
            wanted.port, wanted.bind
        )
    })?;
    let address = listener.local_addr()?;
    let (reader, follower, rebuilder) = (node.reader.clone(), node.follower.clone(), node.rebuilder.clone());
    let schema = graphql::schema(node.commands.clone(), ReadSide { reader, rebuilder, follower, trees }, shown);
    let allowed = Allowed { port: address.port(), hosts: wanted.allow_host.clone() };
    let health = Health::new(node.pool.clone(), Duration::from_secs(wanted.stall_after));
    let app = router(&node, schema, client, allowed, health);
    let link = node.access.demo_link(demo).await?;
    println!("listening on http://{address}");
    let host = wanted.allow_host.first().map_or_else(|| address.to_string(), Clone::clone);
    println!("\nOpen this link; it signs you in for the next 12 hours:\n\n    http://{host}{link}\n");
    if demo && !wanted.no_open {
        open_browser(&format!("http://{address}{link}"));
    }
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    workers.stop().await?;
    following.abort();
    node.sign().await;
    node.close().await;
    Ok(OK)
}

fn router(node: &Node, schema: graphql::Schema, client: PathBuf, allowed: Allowed, health: Health) -> Router {
    let header = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let index = ServeFile::new(client.join("index.html"));
    let metrics = Metrics { pool: node.pool.clone(), commands: node.commands.clone(), access: node.access.clone() };
    Router::new()
        .route("/health", get(async move || health.check().await))
        .route("/metrics", get(metrics::answer).with_state(metrics))
        .merge(graphql::routes(schema, node.access.clone()))
        .merge(node.access.routes())
        .fallback_service(ServeDir::new(client).fallback(index))
        .layer(CompressionLayer::new())
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::X_FRAME_OPTIONS, "DENY"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(axum::middleware::from_fn_with_state(allowed, access::check_origin))
}

/// Where the built client is: as told, or beside a checkout's `target` folder.
fn client_folder(wanted: &Serve) -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.ancestors().nth(3)?.join("frontend/dist")));
    let places = [wanted.client.clone(), beside, Some("frontend/dist".into())];
    let found = places.into_iter().flatten().find(|place| place.join("index.html").is_file());
    match found {
        Some(folder) => Ok(folder),
        None => bail!("the web client is not built: run `make client`, or say where it is with --client DIR"),
    }
}

/// Opens a browser where there is a screen; says nothing where there is none.
fn open_browser(link: &str) {
    let screen = std::env::var_os("DISPLAY").or_else(|| std::env::var_os("WAYLAND_DISPLAY"));
    if screen.is_some() {
        let quiet = std::process::Stdio::null;
        let _ = tokio::process::Command::new("xdg-open").arg(link).stdout(quiet()).stderr(quiet()).spawn();
    }
}

async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    eprintln!("stopping…");
}
