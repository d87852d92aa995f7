//! `POST /v1/predict`

use crate::answer::{Answer, Said};
use crate::problem::Problem;
use crate::state::App;
use crate::upload::{Upload, Uploads};
use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hgad_datasets::decode_image;
use hgad_experiment::predict::{MapFormat, Prepared};
use hgad_experiment::{ClassChoice, Prediction};
use image::RgbImage;
use serde::Deserialize;
use std::path::Path;

/// The query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The class of all images; inferred where it is not given.
    class: Option<String>,
    /// Whether the map comes with the answer, and how.
    map: Option<AskedMap>,
    /// Whether the overlay comes with it.
    #[serde(default)]
    overlay: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AskedMap {
    None,
    Png,
    Npy,
}

/// Says what the model says of each image. With `Accept: image/png` and one image the answer is its
/// overlay, a picture.
pub async fn predict(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(asked) =
        asked.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, "bad_query", e.body_text()))?;
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let picture = accept.split([',', ';']).any(|kind| kind.trim() == "image/png");
    let uploads = Uploads::read(request, &app.options.limits).await?;
    let class = match uploads.class.or(asked.class) {
        Some(name) => {
            app.predictor.knows(&name)?;
            ClassChoice::Given(name)
        }
        None if !app.predictor.infers_classes() => {
            let known = app.predictor.classes().join(", ");
            let message = format!("this model cannot tell classes apart; give one of {known}");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "class_needed", message));
        }
        None => ClassChoice::Inferred,
    };
    if picture && uploads.images.len() != 1 {
        let message = "one image a request, where a picture is the answer";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "one_image", message));
    }
    let overlays = asked.overlay || picture;
    let gone = || Problem::internal(&"the model's thread has ended");
    // All of them are in the queue before the first is waited for.
    let mut waiting = Vec::with_capacity(uploads.images.len());
    for upload in uploads.images {
        let (name, (prepared, square)) = prepare(&app, upload, overlays).await?;
        let wait = app.batcher.enqueue(prepared, class.clone()).ok_or_else(gone)?;
        waiting.push((name, square, wait));
    }
    let mut said = Vec::with_capacity(waiting.len());
    for (name, square, wait) in waiting {
        let prediction = wait.await.map_err(|_| gone())??;
        app.metrics.count_verdict(prediction.anomalous);
        said.push(draw(&app, name, square, prediction, asked.map, picture).await?);
    }
    if picture && let Some((_, Some(png))) = said.pop() {
        return Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response());
    }
    let predictions = said.into_iter().map(|(said, _)| said).collect();
    Ok(Json(Answer { predictions }).into_response())
}

/// An image as the model takes it, and its square where an overlay is asked for: no image is kept whole.
type Ready = (Prepared, Option<RgbImage>);

/// Decodes and resizes off the async threads.
async fn prepare(app: &App, upload: Upload, keep: bool) -> Result<(String, Ready), Problem> {
    let here = app.clone();
    blocking(app, move || {
        let app = here;
        let name = Path::new(&upload.name);
        let image = decode_image(&upload.bytes, name, app.options.limits.pixels)?;
        let prepared = app.predictor.prepare(&image)?;
        let square = keep.then(|| app.predictor.backdrop(&image)).transpose()?;
        Ok((upload.name, (prepared, square)))
    })
    .await
}

/// The answer of one image, and its overlay as a file of its own where that is all of the answer.
async fn draw(
    app: &App,
    name: String,
    square: Option<RgbImage>,
    prediction: Prediction,
    map: Option<AskedMap>,
    picture: bool,
) -> Result<(Said, Option<Vec<u8>>), Problem> {
    let here = app.clone();
    blocking(app, move || {
        let app = here;
        let mut said = Said::new(name, &prediction, app.predictor.classes());
        match map {
            Some(AskedMap::Png) => said.add_map(MapFormat::Png, &prediction)?,
            Some(AskedMap::Npy) => said.add_map(MapFormat::Npy, &prediction)?,
            Some(AskedMap::None) | None => {}
        }
        let overlay = square.map(|s| app.predictor.overlay(&s, &prediction)).transpose()?;
        match overlay {
            Some(png) if picture => Ok((said, Some(png))),
            Some(png) => {
                said.add_overlay(&png);
                Ok((said, None))
            }
            None => Ok((said, None)),
        }
    })
    .await
}

/// Runs `work` on a thread of its own, when one of the cores is free for it; a request that is given up
/// keeps its place until the work is done.
async fn blocking<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let place = app.decoding.clone().acquire_owned().await.map_err(|e| Problem::internal(&e))?;
    let placed = move || {
        let _place = place;
        work()
    };
    tokio::task::spawn_blocking(placed).await.map_err(|e| Problem::internal(&e))?
}
