//! The bearer token.

use crate::problem::Problem;
use crate::state::App;
use crate::upload::discard;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

const SCHEME: &[u8] = b"Bearer ";

/// Refuses a request without the token, where one is asked for.
pub async fn require_token(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(token) = &app.options.token else { return next.run(request).await };
    let given = request.headers().get(header::AUTHORIZATION).map(|v| v.as_bytes());
    let given = given.and_then(|v| v.split_at_checked(SCHEME.len()));
    // The name of a scheme has no case (RFC 9110, section 11.1).
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME));
    let given = given.map_or(&[][..], |(_, token)| token);
    if bool::from(given.ct_eq(token.as_bytes())) {
        return next.run(request).await;
    }
    discard(request).await;
    let message = "this server asks for a token; send the header `Authorization: Bearer TOKEN`";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response()
}
