//! All routes.

use crate::auth::require_token;
use crate::deadline::admit;
use crate::problem::Problem;
use crate::state::App;
use crate::{metrics, model, openapi, page, predict};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

/// The router of `app`.
pub fn router(app: App) -> Router {
    let guarded = Router::new()
        .route("/v1/predict", post(predict::predict).layer(from_fn_with_state(app.clone(), admit)))
        .route("/v1/model", get(model::model))
        .route("/metrics", get(metrics::metrics))
        .route_layer(from_fn_with_state(app.clone(), require_token));
    let open = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(openapi::openapi))
        .route("/", get(page::index))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script));
    guarded
        .merge(open)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(app.options.limits.body))
        .layer(from_fn(page::headers))
        .layer(from_fn_with_state(app.clone(), metrics::watch))
        .with_state(app)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    if app.is_ready() {
        return Ok("ready\n");
    }
    let message = "the server is shutting down, or its model has failed; its log says which";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message))
}

async fn unknown() -> Problem {
    let message = "there is nothing here; /openapi.json describes what there is";
    Problem::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn wrong_method() -> Problem {
    let message = "not with this method; /openapi.json describes what there is";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
