//! Host and Origin: a page of another site must not be able to use the visitor's cookie, nor a name that was made to
//! point at this machine (DNS rebinding).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The hosts under which this server answers.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// The port it listens on.
    pub port: u16,
    /// Names and addresses besides those of loopback.
    pub hosts: Vec<String>,
}

impl Allowed {
    fn host(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        let known = matches!(name, "localhost" | "127.0.0.1" | "[::1]") || self.hosts.iter().any(|host| host == name);
        // A name that was allowed on purpose may stand behind a proxy with a port of its own.
        known && (port == Some(self.port) || self.hosts.iter().any(|host| host == name))
    }

    /// Why a request is refused, if it is.
    fn refuses(&self, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        if !text(header::HOST).is_some_and(|host| self.host(host)) {
            return Some("this server does not answer under that name: allow it with --allow-host");
        }
        let origin = text(header::ORIGIN)?;
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if host.is_some_and(|host| self.host(host)) { None } else { Some("requests from other sites are refused") }
    }
}

/// Refuses requests under a foreign name or from a foreign page.
pub async fn check_origin(State(allowed): State<Allowed>, request: Request, next: Next) -> Response {
    match allowed.refuses(request.headers()) {
        Some(why) => {
            let body = serde_json::json!({ "errors": [{ "message": why, "extensions": { "code": "FORBIDDEN" } }] });
            (StatusCode::FORBIDDEN, axum::Json(body)).into_response()
        }
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &str, origin: Option<&str>) -> bool {
        let allowed = Allowed { port: 6813, hosts: vec!["daybook.example".into()] };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        allowed.refuses(&headers).is_some()
    }

    #[test]
    fn only_our_own_names_and_pages_are_answered() {
        assert!(!refused("127.0.0.1:6813", None));
        assert!(!refused("localhost:6813", Some("http://localhost:6813")));
        assert!(!refused("[::1]:6813", None));
        assert!(!refused("daybook.example", Some("https://daybook.example")));
        assert!(refused("127.0.0.1:80", None));
        assert!(refused("evil.example:6813", None));
        assert!(refused("127.0.0.1:6813", Some("http://evil.example")));
        assert!(refused("127.0.0.1:6813", Some("null")));
        assert!(refused("127.0.0.1:6813", Some("http://127.0.0.1:9")));
    }
}
