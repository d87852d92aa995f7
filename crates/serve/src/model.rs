//! `GET /v1/model`

use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// What the model is, and what it promises.
pub async fn model(State(app): State<App>) -> Json<Value> {
    let p = &app.predictor;
    let header = p.header();
    let caveats = p.caveats();
    let caveats: serde_json::Map<String, Value> =
        caveats.into_iter().map(|(class, why)| (class.into(), why.into())).collect();
    let limits = &app.options.limits;
    Json(json!({
        "name": header.config.name,
        "classes": p.classes(),
        "infers_classes": p.infers_classes(),
        "backbone": header.config.backbone.kind,
        "img_size": header.config.data.img_size,
        "map_size": p.calibration().map.size,
        "passes": header.passes,
        "false_alarm_rate": p.false_alarm_rate(),
        "caveats": caveats,
        "limits": {
            "body_bytes": limits.body,
            "pixels": limits.pixels,
            "images": limits.images,
            "requests": limits.requests,
            "seconds": limits.time.as_secs_f64(),
        },
        "version": env!("CARGO_PKG_VERSION"),
    }))
}
