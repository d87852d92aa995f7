//! A server over real HTTP.
#![cfg(feature = "serve")]

mod common;

use common::service::{Server, predicted, read, trained};
use common::{Place, fail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A form with files as `image`, and fields.
fn form(files: &[&Path], fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy();
        body.extend(format!("--edge\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}\"\r\n\r\n").bytes());
        body.extend(std::fs::read(file).unwrap());
        body.extend(b"\r\n");
    }
    for (name, value) in fields {
        body.extend(
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .bytes(),
        );
    }
    body.extend(b"--edge--\r\n");
    ("Content-Type: multipart/form-data; boundary=edge".into(), body)
}

fn same(served: &Value, predicted: &Value) {
    for key in ["class", "scored_as", "verdict", "threshold", "guaranteed"] {
        assert_eq!(served[key], predicted[key], "{key}");
    }
    let score = |v: &Value| v["score"].as_f64().unwrap();
    assert!((score(served) - score(predicted)).abs() < 1e-6, "{served} {predicted}");
}

#[test]
fn the_service_end_to_end() {
    let t = trained();
    let server = Server::start(&t, &[]);
    let said = predicted(&t, &t.images[..6]);

    // One by one, and as a form.
    for (image, row) in t.images.iter().zip(&said) {
        let bytes = std::fs::read(image).unwrap();
        let (status, answer) = server.post("/v1/predict", &["Content-Type: image/png"], &bytes);
        assert_eq!(status, 200, "{answer}");
        same(&answer["predictions"][0], row);
    }
    let files: Vec<&Path> = t.images[..6].iter().map(PathBuf::as_path).collect();
    let (kind, body) = form(&files, &[]);
    let (_, answer) = server.post("/v1/predict?map=npy", &[&kind], &body);
    for (answer, row) in answer["predictions"].as_array().unwrap().iter().zip(&said) {
        same(answer, row);
        assert_eq!(answer["map"]["size"], 64);
    }

    // Many at once get what each gets alone.
    let (server, said) = (&server, &said);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            for (image, row) in t.images.iter().zip(said) {
                scope.spawn(move || {
                    let bytes = std::fs::read(image).unwrap();
                    let kind = "Content-Type: application/octet-stream";
                    let (status, answer) = server.post("/v1/predict", &[kind], &bytes);
                    assert_eq!(status, 200, "{answer}");
                    same(&answer["predictions"][0], row);
                });
            }
        }
    });

    // Pictures.
    let bytes = std::fs::read(&t.images[0]).unwrap();
    let (status, head, png) = server.send("POST", "/v1/predict", &["Accept: image/png"], &bytes);
    assert_eq!((status, &png[1..4]), (200, &b"PNG"[..]));
    assert!(head.contains("content-type: image/png"));
    assert!(image::load_from_memory(&png).unwrap().width() >= 64);

    // What the model is, and a class that is given.
    let (_, model) = server.get("/v1/model");
    let model: Value = serde_json::from_str(&model).unwrap();
    let class = model["classes"][0].as_str().unwrap();
    let path = format!("/v1/predict?class={class}&overlay=true");
    let (_, answer) = server.post(&path, &["Content-Type: image/png"], &bytes);
    assert_eq!(answer["predictions"][0]["class"], class);
    assert!(answer["predictions"][0]["overlay"].as_str().unwrap().starts_with("iVBOR"));

    // Mistakes, each with a code and a way out.
    let huge = huge_png();
    let cases: [(&str, &str, &[u8], u16, &str); 7] = [
        ("/v1/predict", "Content-Type: text/plain", b"x", 415, "unsupported_media_type"),
        ("/v1/predict", "Content-Type: image/png", b"", 400, "no_image"),
        ("/v1/predict", "Content-Type: image/png", b"no image", 422, "unreadable_image"),
        ("/v1/predict", "Content-Type: image/png", &bytes[..200], 422, "unreadable_image"),
        ("/v1/predict?class=none", "Content-Type: image/png", &bytes, 422, "unknown_class"),
        ("/v1/predict?maps=png", "Content-Type: image/png", &bytes, 400, "bad_query"),
        ("/v1/predict", "Content-Type: image/png", &huge, 413, "too_many_pixels"),
    ];
    for (path, kind, body, status, code) in cases {
        let (found, answer) = server.post(path, &[kind], body);
        assert_eq!((found, answer["error"]["code"].as_str()), (status, Some(code)), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().len() > 15, "{answer}");
    }
    assert_eq!(server.get("/nothing").0, 404);
    assert_eq!(server.get("/v1/predict").0, 405);

    // Those who watch.
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(server.get("/readyz").0, 200);
    let (_, metrics) = server.get("/metrics");
    assert!(
        metrics.contains("hgad_requests_total{route=\"/v1/predict\",status=\"200\"}"),
        "{metrics}"
    );
    assert!(metrics.contains("hgad_waiting_images 0"), "{metrics}");
    assert!(metrics.contains("route=\"other\""), "{metrics}");

    // The description names every route that answers, and the fields of an answer.
    let (_, text) = server.get("/openapi.json");
    let api: Value = serde_json::from_str(&text).unwrap();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let (status, _, _) = server.send(&method.to_uppercase(), path, &[], &[]);
            assert!(status != 404 && status != 405, "{method} {path}: {status}");
        }
    }
    let described = api["components"]["schemas"]["Prediction"]["properties"].as_object().unwrap();
    for key in answer_keys(&answer) {
        assert!(described.contains_key(&key), "{key} is not described");
    }

    // The page and what it loads; nothing from elsewhere.
    let (_, head, page) = server.send("GET", "/", &[], &[]);
    assert!(head.contains("content-security-policy"));
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("Drop images here") && !page.contains("http"));
    assert_eq!((server.get("/page.js").0, server.get("/page.css").0), (200, 200));
}

fn answer_keys(answer: &Value) -> Vec<String> {
    answer["predictions"][0].as_object().unwrap().keys().cloned().collect()
}

/// A header that promises 30000 x 30000 pixels, and little behind it.
fn huge_png() -> Vec<u8> {
    let mut png = Vec::new();
    let small = image::GrayImage::new(1, 1);
    small.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    png[16..20].copy_from_slice(&30_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&30_000u32.to_be_bytes());
    // The header's checksum, by the polynomial of PNG.
    let crc = png[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            (c >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(c & 1))
        })
    });
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

#[test]
fn limits_a_token_and_the_end() {
    let t = trained();
    std::fs::write(t.place.path().join("token"), "s3cret\n").unwrap();
    let more =
        ["--token-file", "token", "--max-body", "1", "--max-requests", "1", "--max-seconds", "3"];
    let server = Server::start(&t, &more);
    let bytes = std::fs::read(&t.images[0]).unwrap();
    let (kind, token) = ("Content-Type: image/png", "Authorization: Bearer s3cret");

    for wrong in
        [&[kind][..], &[kind, "Authorization: Bearer s3cre"], &[kind, "Authorization: s3cret"]]
    {
        let (status, answer) = server.post("/v1/predict", wrong, &bytes);
        assert_eq!((status, answer["error"]["code"].as_str()), (401, Some("unauthorized")));
    }
    assert_eq!(server.get("/v1/model").0, 401);
    assert_eq!(server.get("/metrics").0, 401);
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(server.post("/v1/predict", &[kind, token], &bytes).0, 200);

    let (status, answer) = server.post("/v1/predict", &[kind, token], &vec![0; (1 << 20) + 1]);
    assert_eq!((status, answer["error"]["code"].as_str()), (413, Some("too_large")));

    // A request whose body does not come holds the only place, until its time is up.
    let host = &server.address;
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{kind}\r\n{token}\r\n\r\n",
        bytes.len()
    );
    let begin = || {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // Time to be let in.
        std::thread::sleep(Duration::from_millis(500));
        stream
    };
    let slow = begin();
    let (status, busy, _) = server.send("POST", "/v1/predict", &[kind, token], &bytes);
    assert_eq!(status, 429);
    assert!(busy.contains("retry-after: 1"), "{busy}");
    let (status, _, body) = read(slow);
    assert_eq!(status, 504, "{}", String::from_utf8_lossy(&body));
    assert_eq!(server.post("/v1/predict", &[kind, token], &bytes).0, 200);

    // Told to stop with a request under way, it answers that one and ends.
    let mut last = begin();
    server.stop();
    std::thread::sleep(Duration::from_millis(500));
    last.write_all(&bytes).unwrap();
    let (status, _, body) = read(last);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let mut server = server;
    assert!(server.child.wait().unwrap().success());
    assert!(TcpStream::connect(&server.address).is_err());
}

/// Bytes until the server hangs up, or the reason why it does not.
fn until_closed(mut stream: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut got = Vec::new();
    match stream.read_to_end(&mut got) {
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => Ok(got),
        Err(e) => Err(e),
        Ok(_) => Ok(got),
    }
}

#[test]
fn clients_that_are_slow_to_say_what_they_want_are_cut() {
    let t = trained();
    let server = Server::start(&t, &["--max-head-seconds", "1.5"]);
    let open = || {
        let stream = TcpStream::connect(&server.address).unwrap();
        // Far beyond the limit: a server without one would keep them until then.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    };
    let silent = open();
    let mut half = open();
    half.write_all(b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Le").unwrap();
    // A byte now and then does not buy time.
    let mut drop_by_drop = open();
    drop_by_drop.write_all(b"GET /healthz HTTP/1.1\r\nX: ").unwrap();
    let dripping = std::thread::spawn(move || {
        (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            drop_by_drop.write_all(b"x").is_err()
        })
    });
    // One that was answered is not kept for ever either.
    let mut kept = open();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();

    assert_eq!(until_closed(&silent).unwrap(), b"", "nothing was asked, and nothing answered");
    let answer = String::from_utf8(until_closed(&half).unwrap()).unwrap();
    assert!(!answer.contains("200 OK"), "half a head was answered: {answer}");
    assert!(dripping.join().unwrap(), "a client that drips was never cut");
    let answer = String::from_utf8(until_closed(&kept).unwrap()).unwrap();
    assert!(answer.contains("200 OK") && answer.ends_with("ok\n"), "{answer}");

    // The time for a head is not that of a request: a body may come later.
    let bytes = std::fs::read(&t.images[0]).unwrap();
    let mut slow = open();
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\nContent-Type: image/png\r\n\r\n",
        bytes.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    slow.write_all(&bytes).unwrap();
    assert_eq!(read(slow).0, 200);
}

#[test]
fn what_cannot_be_served_is_told() {
    let place = Place::new();
    let (code, text) = fail(place.command(&["serve", "nothing.safetensors"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("nothing.safetensors"), "{text}");
    for wrong in [
        ["--bind", "localhost"],
        ["--max-requests", "0"],
        ["--max-body", "17592186044416"],
        ["--max-head-seconds", "0"],
        ["--max-seconds", "1e40"],
    ] {
        let (code, text) = fail(place.command(&["serve", "model", wrong[0], wrong[1]]));
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(wrong[0]), "{text}");
    }
}
