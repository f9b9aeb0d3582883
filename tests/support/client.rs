//! A signed-in client of the API.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http;

/// The longest that any one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A signed-in client of the API.
#[derive(Debug, Clone)]
pub struct Client {
    /// Host and port.
    pub address: String,
    /// `name=value`, as the sign-in gave it.
    pub cookie: String,
}

impl Client {
    /// Opens the link that the server printed, as a browser would.
    pub async fn sign_in(address: &str, link: &str) -> Self {
        let path = link.split_once(address).expect("the link leads to the server").1;
        let answer = http::exchange(address, "GET", path, "", "").await.expect("the server answers");
        assert_eq!(answer.status, 303, "{}", answer.body);
        let cookie = answer.header("set-cookie").expect("signing in gives a cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { address: address.to_owned(), cookie }
    }

    /// What goes over the wire for a question.
    pub fn body(query: &str, variables: &Value) -> String {
        json!({ "query": query, "variables": variables }).to_string()
    }

    /// The headers of a question.
    pub fn headers(&self) -> String {
        let Self { address, cookie } = self;
        format!("Content-Type: application/json\r\nCookie: {cookie}\r\nOrigin: http://{address}\r\n")
    }

    /// The whole answer, errors included; an error of the connection where the server went away.
    pub async fn send(&self, query: &str, variables: Value) -> io::Result<Value> {
        let (headers, body) = (self.headers(), Self::body(query, &variables));
        let asking = http::exchange(&self.address, "POST", "/graphql", &headers, &body);
        let answer = tokio::time::timeout(ANSWER_LIMIT, asking).await.expect("the server answers in time")?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Ok(serde_json::from_str(&answer.body).expect("the API answers JSON"))
    }

    /// The answer to a question that has one.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.send(query, variables).await.expect("the server answers");
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// Code and sentence of a refusal.
    pub async fn refusal(&self, query: &str, variables: Value) -> (String, String) {
        let answer = self.send(query, variables).await.expect("the server answers");
        let error = &answer["errors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert!(error.is_object(), "{query} was not refused: {answer}");
        (text(&error["extensions"]["code"]), text(&error["message"]))
    }
}
