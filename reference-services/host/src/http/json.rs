//! The `Json` extractor: what is wrong with a body, and where.

use axum::body::Bytes;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::problem::Problem;

/// A JSON request body, or a JSON response.
///
/// As an extractor it answers 415 for another media type, 413 for a body over the limit, 400 for what is not JSON and
/// 422 with a JSON Pointer for a value of the wrong type, a missing field, or (for types marked
/// `#[serde(deny_unknown_fields)]`) an unknown one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_said_to_be_json());
        }
        parse(&read(request, state).await?).map(Json)
    }
}

/// `Option<Json<T>>`: `None` when there is no body. A body without a Content-Type is refused: what is taken for no body
/// would be dropped without a word, and the caller told that all of the request was done.
impl<T, S> OptionalFromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return <Self as FromRequest<S>>::from_request(request, state)
                .await
                .map(Some);
        }
        if read(request, state).await?.is_empty() {
            Ok(None)
        } else {
            Err(not_said_to_be_json())
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The whole body, within the limit.
async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            let status = rejection.status();
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                let limit = crate::server::BODY_LIMIT;
                Problem::new(status)
                    .detail(format!("the body must not be larger than {limit} bytes"))
            } else {
                Problem::new(status).detail(rejection.body_text())
            }
        })
}

fn not_said_to_be_json() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .detail("the body must be JSON, with Content-Type: application/json")
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Parses a body; for handlers that must see the bytes first, such as a signed webhook.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        match inner.classify() {
            Category::Data => {
                let detail = without_position(&inner);
                Problem::unprocessable("the body is JSON, but not what is expected here")
                    .at(pointer, detail)
            }
            Category::Syntax | Category::Eof | Category::Io => not_json(&inner),
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not JSON: {error}"))
}

/// The pointer tells the place; line and column of the text would only repeat it less usefully.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn pointer(path: &Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            // Neither is a step in the document.
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Order {
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        quantity: u32,
    }

    fn rejection(body: &str) -> serde_json::Value {
        serde_json::to_value(parse::<Order>(body.as_bytes()).unwrap_err()).unwrap()
    }

    #[test]
    fn names_the_place_of_a_wrong_type() {
        let problem = rejection(r#"{"items":[{"quantity":1},{"quantity":"two"}]}"#);
        assert_eq!(problem["status"], 422);
        assert_eq!(problem["errors"][0]["pointer"], "/items/1/quantity");
        assert_eq!(
            problem["errors"][0]["detail"],
            r#"invalid type: string "two", expected u32"#
        );
    }

    #[test]
    fn names_an_unknown_and_a_missing_field() {
        let unknown = rejection(r#"{"items":[{"quantity":1,"color/~":"red"}]}"#);
        assert_eq!(unknown["status"], 422);
        assert_eq!(unknown["errors"][0]["pointer"], "/items/0/color~1~0");
        let missing = rejection(r#"{"items":[{}]}"#);
        assert_eq!(missing["errors"][0]["pointer"], "/items/0");
        assert_eq!(missing["errors"][0]["detail"], "missing field `quantity`");
    }

    fn request(content_type: Option<&str>, body: &'static str) -> Request {
        let mut request = Request::new(axum::body::Body::from(body));
        if let Some(value) = content_type {
            let value = value.parse().unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        request
    }

    #[tokio::test]
    async fn only_no_body_is_none() {
        let optional = async |content_type, body| {
            <Json<Order> as OptionalFromRequest<()>>::from_request(request(content_type, body), &())
                .await
                .map(|order| order.map(|Json(order)| order))
                .map_err(|problem| problem.status().as_u16())
        };
        let json = Some("application/json");
        assert_eq!(optional(None, "").await, Ok(None));
        assert_eq!(
            optional(json, r#"{"items":[]}"#).await,
            Ok(Some(Order { items: Vec::new() }))
        );
        // Neither a whole body nor half of one is dropped because nobody said what it is.
        assert_eq!(optional(None, r#"{"items":[]}"#).await, Err(415));
        assert_eq!(optional(None, r#"{"ite"#).await, Err(415));
        assert_eq!(optional(Some("text/plain"), "{}").await, Err(415));
        // Who announces JSON and sends none was cut off.
        assert_eq!(optional(json, "").await, Err(400));
    }

    #[test]
    fn tells_malformed_from_unacceptable() {
        for body in ["", "{", "{\"items\":[]", "{\"items\":[]} x", "\u{feff}{}"] {
            assert_eq!(rejection(body)["status"], 400, "{body:?}");
        }
    }
}
