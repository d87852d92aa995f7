//! `GET /openapi.json`

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The description of the service.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}
