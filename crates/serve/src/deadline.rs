//! Who is let in, and for how long.

use crate::problem::Problem;
use crate::state::App;
use crate::upload::discard;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets a request for predictions in where there is room, and ends it when its time is up; its body
/// is read only then.
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let limits = &app.options.limits;
    let Ok(_admitted) = app.admitted.clone().try_acquire_owned() else {
        discard(request).await;
        return Problem::busy(limits.requests).into_response();
    };
    match tokio::time::timeout(limits.time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!(
                "it took longer than {:.0} s; send fewer or smaller images, or try again",
                limits.time.as_secs_f64()
            );
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).into_response()
        }
    }
}
