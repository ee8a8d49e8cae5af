use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

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
pub(crate) struct CreateConnector {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(deserialize_with = "properties")]
    pub(crate) config: Properties,
    #[serde(default)]
    pub(crate) initial_state: Target,
}

/// The body of a `PUT …/config`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct PutConfig {
    #[serde(deserialize_with = "properties")]
    pub(crate) config: Properties,
}

/// The body of a `PATCH …/config`: null removes a key.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct PatchConfig {
    #[serde(deserialize_with = "changes")]
    pub(super) changes: BTreeMap<String, Option<String>>,
}

/// A key without a value counts as absent.
fn properties<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Properties, D::Error> {
    let changes = changes(deserializer)?.into_iter();
    Ok(changes
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}

/// Numbers and booleans become text, as Connect takes them.
fn changes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Option<String>>, D::Error> {
    let members = serde_json::Map::<String, Value>::deserialize(deserializer)?;
    let text = |(key, value): (String, Value)| match value {
        Value::String(text) => Ok((key, Some(text))),
        Value::Number(number) => Ok((key, Some(number.to_string()))),
        Value::Bool(flag) => Ok((key, Some(flag.to_string()))),
        Value::Null => Ok((key, None)),
        Value::Array(_) | Value::Object(_) => Err(de::Error::custom(format!(
            "configuration \"{key}\" is not a text"
        ))),
    };
    members.into_iter().map(text).collect()
}
