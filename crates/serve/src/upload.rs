//! The images of a request: its body as it is, or the parts of a form.

use crate::options::Limits;
use crate::problem::Problem;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use std::time::Duration;

/// Bytes beyond the limit that are still read: a client that is hung up on in the middle of its body
/// may never see the answer.
const SLACK: usize = 1 << 20;

/// One image file.
pub struct Upload {
    /// Its file name in a form, or `image`.
    pub name: String,
    /// The file.
    pub bytes: Bytes,
}

/// What a request brings.
pub struct Uploads {
    /// At least one.
    pub images: Vec<Upload>,
    /// The field `class` of a form.
    pub class: Option<String>,
}

impl Uploads {
    /// Reads the body.
    pub async fn read(request: Request, limits: &Limits) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let kind = kind.unwrap_or("application/octet-stream");
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "multipart/form-data" => form(request, limits).await,
            // The last is what curl calls a body of which it was told nothing.
            k if k.starts_with("image/")
                || ["application/octet-stream", "application/x-www-form-urlencoded"]
                    .contains(&k) =>
            {
                let bytes = to_bytes(request.into_body(), limits.body + SLACK)
                    .await
                    .map_err(|e| broken_body(&e, limits))?;
                if bytes.len() > limits.body {
                    return Err(too_large(limits));
                }
                if bytes.is_empty() {
                    return Err(empty());
                }
                Ok(Self { images: vec![Upload { name: "image".into(), bytes }], class: None })
            }
            other => {
                discard(request).await;
                Err(Problem::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_media_type",
                    format!(
                        "`{other}` is no image; send image/*, application/octet-stream or multipart/form-data"
                    ),
                ))
            }
        }
    }
}

/// Reads the body of a request that is refused, as far as it is short.
pub async fn discard(request: Request) {
    let body = to_bytes(request.into_body(), SLACK);
    let _ = tokio::time::timeout(Duration::from_secs(1), body).await;
}

async fn form(request: Request, limits: &Limits) -> Result<Uploads, Problem> {
    let broken = |e: axum::extract::multipart::MultipartError| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(limits),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "broken_form",
            format!("the form cannot be read: {}", e.body_text()),
        ),
    };
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, "broken_form", e.body_text()))?;
    let mut out = Uploads { images: Vec::new(), class: None };
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name().unwrap_or_default() {
            "image" => {
                if out.images.len() == limits.images {
                    let message =
                        format!("at most {} images a request; send several", limits.images);
                    return Err(Problem::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "too_many_images",
                        message,
                    ));
                }
                let name = field.file_name().unwrap_or("image").to_string();
                out.images.push(Upload { name, bytes: field.bytes().await.map_err(broken)? });
            }
            "class" => {
                let class = field.text().await.map_err(broken)?;
                out.class = Some(class).filter(|c| !c.is_empty());
            }
            other => {
                let message = format!("unknown field `{other}`; expected `image` and `class`");
                return Err(Problem::new(StatusCode::BAD_REQUEST, "unknown_field", message));
            }
        }
    }
    if out.images.is_empty() { Err(empty()) } else { Ok(out) }
}

/// A body that is longer than it may be, or that did not come whole.
fn broken_body(error: &axum::Error, limits: &Limits) -> Problem {
    if error.to_string().contains("length limit") {
        return too_large(limits);
    }
    let message = format!("the body did not come whole: {error}; send it again");
    Problem::new(StatusCode::BAD_REQUEST, "broken_body", message)
}

fn empty() -> Problem {
    let message =
        "there is no image in the request; send a file as the body, or as the field `image`";
    Problem::new(StatusCode::BAD_REQUEST, "no_image", message)
}

fn too_large(limits: &Limits) -> Problem {
    let message = format!("the body is larger than {} bytes; send smaller images", limits.body);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}
