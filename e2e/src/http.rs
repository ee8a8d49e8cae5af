use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Above the longest wait that a client may ask for.
const TIMEOUT: Duration = Duration::from_secs(35);
/// Less than the five seconds of the services: no request meets their end of a connection.
const IDLE: Duration = Duration::from_secs(2);

/// One HTTP interface.
#[derive(Debug, Clone)]
pub struct Http {
    base: String,
    client: Client,
}

impl Http {
    /// `base` is the URL before every path.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .pool_idle_timeout(IDLE)
            .build()?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// As [`Self::new`], but every request has its own connection.
    pub fn without_keep_alive(&self) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self {
            base: self.base.clone(),
            client,
        })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// What `/readyz` says, whether ready or not.
    pub async fn readiness(&self) -> anyhow::Result<serde_json::Value> {
        Answer::to(self.get("/readyz")).await?.json()
    }
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// RFC 9457, as far as clients may rely on it.
#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: Option<String>,
    pub id: Option<String>,
}

impl Answer {
    pub async fn to(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// An error that tells the body, unless the status is this one.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        ensure!(
            self.status == status,
            "{}, not {status}: {}",
            self.status,
            self.text()
        );
        Ok(self)
    }

    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: {}", self.status, self.text()))
    }

    /// The body as a problem, which agrees with the response around it.
    pub fn problem(&self) -> anyhow::Result<Problem> {
        let media_type = self.header(CONTENT_TYPE.as_str());
        ensure!(
            media_type == Some("application/problem+json"),
            "{media_type:?}: {}",
            self.text()
        );
        let problem: Problem = self.json()?;
        ensure!(
            problem.status == self.status,
            "{} says {problem:?}",
            self.status
        );
        ensure!(problem.kind.starts_with("urn:problem:"), "{problem:?}");
        ensure!(!problem.title.is_empty(), "{problem:?}");
        Ok(problem)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
