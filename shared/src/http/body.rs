use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::Problem;

/// A JSON body. What is not the JSON asked for is a 400 that names the place, another
/// media type 415, too many bytes 413.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = check_media_type(request);
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            // The body is read first even if the media type is wrong: a client that is
            // still sending would miss the answer.
            let bytes = bytes.await.map_err(|error| unreadable(&error));
            media_type?;
            parse(&bytes?).map(Self)
        })
    }
}

fn check_media_type(request: &HttpRequest) -> Result<(), Problem> {
    let sent = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = sent.unwrap_or("").split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = format!("send `Content-Type: application/json`, not `{essence}`");
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The media type is not supported",
    )
    .detail(detail))
}

fn unreadable(error: &actix_web::Error) -> Problem {
    if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request body is too large",
        )
        .detail("send a smaller body");
    }
    Problem::malformed(format!("the body cannot be read: {error}"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            String::new()
        } else {
            format!("field `{path}`: ")
        };
        Problem::malformed(format!("{place}{}", error.into_inner()))
    })?;
    json.end()
        .map_err(|error| Problem::malformed(error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        #[allow(dead_code, reason = "only its type matters")]
        qty: i32,
    }

    #[test]
    fn the_place_of_the_fault_is_named() {
        for (body, expected) in [
            (
                &br#"{"qty":"two"}"#[..],
                "field `qty`: invalid type: string",
            ),
            (br#"{"qtty":2}"#, "unknown field `qtty`, expected `qty`"),
            (br#"{}"#, "missing field `qty`"),
            (br#"{"qty":1"#, "EOF"),
            (br#"{"qty":1} x"#, "trailing characters"),
            (b"\xff\xfe", "expected value"),
            (b"", "EOF"),
        ] {
            let problem = parse::<Request>(body).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
