use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::supervisor::SupervisorError;

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error_code: u16,
    message: String,
}

/// An error on its way to the client.
#[derive(Debug)]
pub(super) struct ConnectError {
    status: StatusCode,
    message: String,
}

impl ConnectError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// What Connect's web server says where its API says nothing.
    pub(super) fn plain(status: StatusCode) -> Self {
        Self {
            status,
            message: format!("HTTP {status}"),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ConnectError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let body = ErrorBody {
            error_code: self.status.as_u16(),
            message: self.message.clone(),
        };
        HttpResponse::build(self.status).json(body)
    }
}

impl From<SupervisorError> for ConnectError {
    fn from(error: SupervisorError) -> Self {
        let status = match &error {
            SupervisorError::NotFound(_) => StatusCode::NOT_FOUND,
            SupervisorError::AlreadyExists(_)
            | SupervisorError::Standby(_)
            | SupervisorError::Unusable(..) => StatusCode::CONFLICT,
            SupervisorError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            SupervisorError::Broker(..) => StatusCode::INTERNAL_SERVER_ERROR,
            SupervisorError::Invalid { .. } | SupervisorError::BadRequest(_) => {
                StatusCode::BAD_REQUEST
            }
        };
        Self {
            status,
            message: error.to_string(),
        }
    }
}

pub(super) async fn not_found() -> Result<HttpResponse, ConnectError> {
    Err(ConnectError::plain(StatusCode::NOT_FOUND))
}

pub(super) async fn method_not_allowed() -> Result<HttpResponse, ConnectError> {
    Err(ConnectError::plain(StatusCode::METHOD_NOT_ALLOWED))
}
