use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};

use super::error::ConnectError;
use crate::env::Properties;
use crate::supervisor::Target;

/// A JSON body; errors in Connect's form.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ConnectError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let is_json = media_type.is_some_and(|text| text.starts_with("application/json"));
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let bytes = bytes
                .await
                .map_err(|error| ConnectError::plain(error.as_response_error().status_code()))?;
            if !is_json {
                return Err(ConnectError::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE));
            }
            let parsed = serde_json::from_slice(&bytes);
            parsed
                .map(Self)
                .map_err(|error| ConnectError::bad_request(error.to_string()))
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateConnector {
    pub(super) name: String,
    #[serde(deserialize_with = "properties")]
    pub(super) config: Properties,
    #[serde(default)]
    pub(super) initial_state: Target,
}

/// The body of a `PUT …/config`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct PutConfig {
    #[serde(deserialize_with = "properties")]
    pub(super) config: Properties,
}

/// Numbers and booleans become text, as Connect takes them.
fn properties<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Properties, D::Error> {
    use serde_json::Value;
    let members = serde_json::Map::<String, Value>::deserialize(deserializer)?;
    let text = |(key, value): (String, Value)| match value {
        Value::String(text) => Some(Ok((key, text))),
        Value::Number(number) => Some(Ok((key, number.to_string()))),
        Value::Bool(flag) => Some(Ok((key, flag.to_string()))),
        Value::Null => None,
        Value::Array(_) | Value::Object(_) => Some(Err(de::Error::custom(format!(
            "configuration \"{key}\" is not a text"
        )))),
    };
    members.into_iter().filter_map(text).collect()
}
