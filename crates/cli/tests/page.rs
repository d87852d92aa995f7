//! The service's page and the report in a real browser; HGAD_SCREENSHOTS=DIR keeps pictures of them.
#![cfg(feature = "serve")]

mod common;

use common::browser::Browser;
use common::service::{Server, predicted, trained};
use common::{Place, SMALL, json, succeed};
use serde_json::{Value, json as value};
use std::path::{Path, PathBuf};

/// The classes that the page offers.
fn offered(page: &mut Browser) -> Value {
    page.value("[...document.querySelectorAll('#class option')].map((o) => o.value)")
}

/// Gives the page an image and waits for its verdict: what the newest card says.
#[track_caller]
fn look(page: &mut Browser, image: &Path) -> Value {
    let before = page.value("document.querySelectorAll('article').length").as_u64().unwrap();
    page.choose("#files", &[image]);
    page.wait(&format!(
        "document.querySelectorAll('article').length === {} && !document.querySelector('article.waiting')",
        before + 1
    ));
    page.value(
        "(() => {
            const card = document.querySelector('article');
            const text = (name) => card.querySelector(name).textContent;
            const canvas = card.querySelector('canvas');
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return {
                state: card.className, verdict: text('.verdict'), class: text('dd.class'),
                score: text('.score'), regions: text('.regions'), name: text('.name'),
                colors: new Set(new Uint32Array(data.buffer)).size, side: canvas.width,
            };
        })()",
    )
}

/// No element is wider than the window.
#[track_caller]
fn fits(page: &mut Browser) {
    let over =
        page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(over, 0, "the page is wider than its window");
}

/// The colour behind everything, as red, green and blue added.
fn ground(page: &mut Browser) -> u64 {
    let sum = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)";
    page.value(sum).as_u64().unwrap()
}

#[test]
fn images_are_looked_at_on_the_page() {
    let Some(mut page) = Browser::start() else { return };
    let t = trained();
    let server = Server::start(&t, &[]);
    // Some of each class, normal and not.
    let images: Vec<PathBuf> = t.images.iter().step_by(17).cloned().collect();
    let said = predicted(&t, &images);
    for verdict in ["normal", "anomalous"] {
        assert!(said.iter().any(|s| s["verdict"] == verdict), "none is {verdict}");
    }
    page.view(1200, 900, false);
    page.open(&format!("http://{}/", server.address));
    page.wait("document.querySelectorAll('#class option').length > 1");

    // What the model is.
    let (_, text) = server.get("/v1/model");
    let model: Value = serde_json::from_str(&text).unwrap();
    let mut classes = vec![value!("")];
    classes.extend(model["classes"].as_array().unwrap().iter().cloned());
    assert_eq!(offered(&mut page), Value::Array(classes));
    let line = page.text("#model");
    assert!(line.contains("6 classes") && line.contains("false alarms 5 %"), "{line}");
    page.is_content();
    page.picture("page-empty");

    // Images as a person chooses them: what the page says is what `hgad predict` says.
    for (image, row) in images.iter().zip(&said) {
        let card = look(&mut page, image);
        let (state, verdict) = (card["state"].as_str().unwrap(), row["verdict"].as_str().unwrap());
        assert_eq!(state, verdict, "{card}");
        assert!(card["verdict"].as_str().unwrap().starts_with(verdict), "{card}");
        let class = row["class"].as_str().map_or("none (nearest", |c| c);
        assert!(card["class"].as_str().unwrap().starts_with(class), "{card} {row}");
        let score = format!("{:.4}", row["score"].as_f64().unwrap());
        assert!(card["score"].as_str().unwrap().starts_with(&score), "{card} {score}");
        let regions = row["regions"].as_array().unwrap().len().to_string();
        assert_eq!(card["regions"], regions, "{card}");
        assert_eq!(card["name"], *image.file_name().unwrap().to_string_lossy());
        // The image and its heat are drawn: a blank canvas has one colour.
        assert!(card["colors"].as_u64().unwrap() > 100 && card["side"] == 128, "{card}");
    }
    page.is_content();
    page.picture("page-light");

    // The threshold: below every map all is anomalous, and back as it was.
    let states = "[...document.querySelectorAll('article')].map((a) => a.className)";
    let before = page.value(states);
    let slide = |to: &str| {
        format!(
            "(() => {{ const t = document.getElementById('threshold'); t.value = {to}; t.dispatchEvent(new Event('input')); }})()"
        )
    };
    page.value(&slide("0.05"));
    assert_eq!(page.value(states), value!(vec!["anomalous"; images.len()]));
    assert!(page.text("#threshold-text").contains("0.050"));
    page.click("#reset");
    assert_eq!(page.value(states), before);
    assert!(page.text("#threshold-text").contains("as calibrated"));

    // A class that is given.
    let class = model["classes"][2].as_str().unwrap();
    page.value(&format!("document.getElementById('class').value = {class:?}"));
    assert_eq!(look(&mut page, &images[0])["class"], class);

    // In the dark, and on a telephone.
    let light = ground(&mut page);
    page.view(390, 844, true);
    assert!(ground(&mut page) + 300 < light, "dark is as light as light");
    fits(&mut page);
    page.is_content();
    page.picture("page-dark-narrow");

    // What is no image is told, and costs nothing else.
    let text = t.place.path().join("notes.png");
    std::fs::write(&text, "no image").unwrap();
    assert_eq!(look(&mut page, &text)["state"], "failed");
    let problem = page.text("#problem");
    assert!(problem.contains("notes.png") && problem.len() > 30, "{problem}");
    page.picture("page-failed");
}

#[test]
fn a_page_that_needs_a_token_asks_for_it() {
    let Some(mut page) = Browser::start() else { return };
    let t = trained();
    std::fs::write(t.place.path().join("token"), "s3cret\n").unwrap();
    let server = Server::start(&t, &["--token-file", "token"]);
    page.open(&format!("http://{}/", server.address));
    page.wait("!document.getElementById('token-field').hidden");
    assert_eq!(page.value("document.querySelectorAll('#class option').length"), 0);
    page.click("#token");
    page.call("Input.insertText", value!({"text": "s3cret"}));
    page.value("document.getElementById('token').blur()");
    page.wait("document.querySelectorAll('#class option').length === 7");
    let card = look(&mut page, &t.images[0]);
    assert_eq!(card["state"], predicted(&t, &t.images[..1])[0]["verdict"]);
}

#[test]
fn reports_are_drawn_without_complaint() {
    let Some(mut page) = Browser::start() else { return };
    let place = Place::new();
    succeed(place.experiment("demo", SMALL, &[]));
    let run = place.run_of("demo");
    check_report(&mut page, &run);
    check_comparison(&mut page, &place, &run);
}

fn address(file: &Path) -> String {
    format!("file://{}", file.display())
}

fn check_report(page: &mut Browser, run: &Path) {
    page.view(1200, 900, false);
    page.open(&address(&run.join("report.html")));
    let results = json(&run.join("results.json"));

    // Nothing was loaded but the file itself.
    let loaded = page.value("performance.getEntriesByType('resource').map((r) => r.name).filter((n) => !n.startsWith('data:'))");
    assert_eq!(loaded, value!([]));
    // Each chart has a size, and each picture is one.
    let charts = page.value("[...document.querySelectorAll('section svg.chart')].filter((s) => s.checkVisibility()).map((s) => s.getBoundingClientRect().height)");
    let charts = charts.as_array().unwrap();
    assert!(charts.len() > 20 && charts.iter().all(|h| h.as_f64().unwrap() > 60.0), "{charts:?}");
    page.value("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; })");
    page.wait("[...document.querySelectorAll('img')].every((i) => i.complete)");
    let pictures = page.value("[...document.querySelectorAll('img')].map((i) => i.naturalWidth)");
    let pictures = pictures.as_array().unwrap();
    assert!(pictures.len() >= 30 && pictures.iter().all(|w| w == 64), "{pictures:?}");

    // Pressed, a heading sorts: the image AUROC from the best.
    page.click("#classes th:nth-child(2) button");
    let column = page.value("[...document.querySelectorAll('#classes tbody tr')].map((r) => Number(r.cells[1].dataset.value))");
    let mut sorted: Vec<f64> = results["classes"]
        .as_object()
        .unwrap()
        .values()
        .map(|m| m["image_auroc"].as_f64().unwrap())
        .collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let column: Vec<f64> = column.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(column.len(), sorted.len());
    assert!(column.iter().zip(&sorted).all(|(a, b)| (a - b).abs() < 1e-3), "{column:?} {sorted:?}");
    // A class is brought out in the curves.
    page.click("#curves [data-focus='1']");
    assert_eq!(page.value("document.querySelector('#curves').classList.contains('focused')"), true);
    // The threshold stands in each chart of scores, in its middle.
    let marks = page.value(
        "[...document.querySelectorAll('#scores svg')].map((s) => { const m = s.querySelector('.limit path').getBoundingClientRect(); const all = s.querySelector('.axis').getBoundingClientRect(); return (m.x - all.x) / all.width; })",
    );
    let marks = marks.as_array().unwrap();
    assert_eq!(marks.len(), 6);
    assert!(marks.iter().all(|m| (m.as_f64().unwrap() - 0.5).abs() < 0.01), "{marks:?}");
    page.is_content();
    page.picture("report-light");

    let light = ground(page);
    page.view(390, 844, true);
    assert!(ground(page) + 300 < light, "dark is as light as light");
    fits(page);
    page.is_content();
    page.picture("report-dark-narrow");
}

fn check_comparison(page: &mut Browser, place: &Place, first: &Path) {
    succeed(place.experiment("demo", SMALL, &["--set", "prior.kind=single"]));
    let second = place.run_of("demo");
    let runs = [first, &second].map(|r| r.to_string_lossy().into_owned());
    succeed(place.command(&["report", &runs[0], &runs[1], "--out", "both.html"]));
    page.view(1200, 900, false);
    page.open(&address(&place.path().join("both.html")));
    let rows = page.value("document.querySelectorAll('#settings tbody tr').length");
    assert!(rows.as_u64().unwrap() >= 1, "what differs is told");
    page.is_content();
    page.picture("comparison");
}
