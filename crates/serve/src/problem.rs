//! Errors as a client sees them: `{"error": {"code", "message"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hgad_datasets::DatasetError;
use hgad_experiment::ExperimentError;
use serde_json::json;

/// A refusal or a failure.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    /// With a code for programs and a message for people that says what to do.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// More requests at once than the server takes.
    pub fn busy(limit: usize) -> Self {
        let message = format!("{limit} requests are being answered already; try again in a second");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
    }

    /// The server failed; the details are in its log alone.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a prediction failed");
        let message = "the server could not answer; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl From<DatasetError> for Problem {
    fn from(error: DatasetError) -> Self {
        match error {
            DatasetError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_pixels", error.to_string())
            }
            _ => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unreadable_image",
                format!("{}; send a whole PNG, JPEG, BMP, TIFF or WebP file", chain(&error)),
            ),
        }
    }
}

impl From<ExperimentError> for Problem {
    fn from(error: ExperimentError) -> Self {
        match error {
            ExperimentError::Dataset(e) => e.into(),
            ExperimentError::Setting { key: "class", .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_class", error.to_string())
            }
            ExperimentError::Score(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "class_needed", error.to_string())
            }
            _ => Self::internal(&chain(&error)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        if !text.contains(&cause.to_string()) {
            text += &format!(": {cause}");
        }
        at = cause.source();
    }
    text
}
