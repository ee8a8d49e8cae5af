use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// One field of a request that breaks a rule.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    #[schema(example = "qty")]
    pub field: String,
    #[schema(example = "must be 1 to 10000")]
    pub detail: String,
}

impl FieldError {
    pub fn new(field: &str, detail: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            detail: detail.into(),
        }
    }
}

/// The body of every error: `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(title = "Problem")]
pub struct ProblemDocument {
    /// What kind of problem; stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:problem:validation")]
    kind: String,
    #[schema(example = "The request breaks a rule")]
    title: &'static str,
    #[schema(example = 422)]
    status: u16,
    /// What happened here and what to do, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "qty must be 1 to 10000")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The id that the resource has, or would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    document: Box<ProblemDocument>,
    retry_after: Option<Duration>,
    location: Option<String>,
    allow: Option<&'static str>,
    about: Option<Box<About>>,
}

/// What a log line about a problem says of its order; the client is not told.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) order_id: String,
    pub(super) trace_id: String,
}

impl Problem {
    /// `kind` is the last part of the problem's type, `urn:problem:<kind>`.
    pub fn new(status: StatusCode, kind: &str, title: &'static str) -> Self {
        let document = ProblemDocument {
            kind: format!("urn:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: None,
            errors: Vec::new(),
            id: None,
        };
        Self {
            status,
            document: Box::new(document),
            retry_after: None,
            location: None,
            allow: None,
            about: None,
        }
    }

    /// 400: not what this endpoint can read at all.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "The request cannot be read",
        )
        .detail(detail)
    }

    /// 400: parameters of the query that make no sense.
    pub fn bad_query(errors: Vec<FieldError>) -> Self {
        Self::malformed("").errors(errors)
    }

    /// 422: readable, but it breaks the rules named.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let title = "The request breaks a rule";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", title).errors(errors)
    }

    /// 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let title = "It is not known who is asking";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", title).detail(detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        let title = "Who is asking may not do this";
        Self::new(StatusCode::FORBIDDEN, "forbidden", title).detail(detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found").detail(detail)
    }

    /// 409.
    pub fn conflict(kind: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            kind,
            "The request conflicts with the current state",
        )
        .detail(detail)
    }

    /// 405, with the methods that would do.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The method is not allowed here",
        )
        .detail(format!("use {allow}"));
        problem.allow = Some(allow);
        problem
    }

    /// 503: nothing was done; try again after the time given.
    pub fn unavailable(kind: &str, detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            kind,
            "Not possible right now",
        )
        .detail(detail)
        .retry_after(retry_after)
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.document.detail = Some(detail.into());
        self
    }

    /// The fields at fault; the detail says them in one sentence.
    fn errors(mut self, errors: Vec<FieldError>) -> Self {
        let each = errors
            .iter()
            .map(|error| format!("{} {}", error.field, error.detail));
        self.document.detail = Some(each.collect::<Vec<_>>().join("; "));
        self.document.errors = errors;
        self
    }

    pub fn id(mut self, id: impl fmt::Display) -> Self {
        self.document.id = Some(id.to_string());
        self
    }

    /// For the log.
    pub fn about(mut self, order_id: impl fmt::Display, trace_id: &str) -> Self {
        self.about = Some(Box::new(About {
            order_id: order_id.to_string(),
            trace_id: trace_id.to_owned(),
        }));
        self
    }

    pub(super) fn order(&self) -> Option<&About> {
        self.about.as_deref()
    }

    pub fn location(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            self.document
                .detail
                .as_deref()
                .unwrap_or(self.document.title),
        )
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(after) = self.retry_after {
            response.insert_header((RETRY_AFTER, after.as_secs().max(1).to_string()));
        }
        if let Some(location) = &self.location {
            response.insert_header((LOCATION, location.as_str()));
        }
        if let Some(allow) = self.allow {
            response.insert_header((ALLOW, allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        let body = serde_json::to_vec(&self.document).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}
