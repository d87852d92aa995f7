//! `GET /metrics`: counts and times in the format of Prometheus.

use crate::state::App;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Instant;

type Labels = Vec<(&'static str, String)>;

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    images: Family<Labels, Counter>,
    /// Images that wait for the model.
    pub waiting: Gauge,
    /// Images a batch.
    pub batches: Histogram,
}

impl Metrics {
    /// All at 0.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hgad");
        let (requests, images) = (Family::default(), Family::default());
        let times = || Histogram::new(exponential_buckets(0.002, 2.0, 14));
        let seconds = Family::<Labels, Histogram>::new_with_constructor(times);
        let waiting = Gauge::default();
        let batches = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        registry.register("requests", "Requests by route and status", requests.clone());
        registry.register("request_seconds", "Time to an answer by route", seconds.clone());
        registry.register("images", "Images by verdict", images.clone());
        registry.register("waiting_images", "Images that wait for the model", waiting.clone());
        registry.register("batch_images", "Images that went through together", batches.clone());
        Self { registry, requests, seconds, images, waiting, batches }
    }

    /// One more image.
    pub fn count_verdict(&self, anomalous: bool) {
        let verdict = if anomalous { "anomalous" } else { "normal" };
        self.images.get_or_create(&vec![("verdict", verdict.to_string())]).inc();
    }
}

/// Counts and times every request.
pub async fn watch(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    // Of paths that are no route one name: a client must not make series at will.
    let route = request.extensions().get::<MatchedPath>().map_or("other", |p| p.as_str());
    let route = route.to_string();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let metrics = &app.metrics;
    metrics.requests.get_or_create(&vec![("route", route.clone()), ("status", status)]).inc();
    let seconds = started.elapsed().as_secs_f64();
    metrics.seconds.get_or_create(&vec![("route", route)]).observe(seconds);
    response
}

/// `GET /metrics`
pub async fn metrics(State(app): State<App>) -> Response {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &app.metrics.registry);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
