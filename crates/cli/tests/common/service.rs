//! `hgad serve` with a tiny model, and what it answers.

use super::{Place, SMALL, succeed};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A place with a tiny trained model and pictures of its classes.
pub struct Trained {
    pub place: Place,
    pub model: PathBuf,
    pub images: Vec<PathBuf>,
}

pub fn trained() -> Trained {
    let place = Place::new();
    succeed(place.command(&["datasets", "synthesize", "photos"]));
    let own = ["data.root=photos", "backbone.kind=scattering", "train.rate=5e-3", "eval.every=0"];
    let settings = [SMALL, &own].concat();
    succeed(place.experiment("hgad-folder", &settings, &["--quiet"]));
    let model = place.run_of("hgad-folder");
    let mut images: Vec<PathBuf> = walk(&place.path().join("photos"));
    images.retain(|p| p.to_string_lossy().contains("/test/"));
    images.sort();
    assert!(images.len() > 12);
    Trained { place, model, images }
}

pub fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|p| if p.is_dir() { walk(&p) } else { vec![p] }).collect()
}

/// A running server, ended with the test.
pub struct Server {
    pub child: Child,
    pub address: String,
}

impl Server {
    pub fn start(t: &Trained, more: &[&str]) -> Self {
        let model = t.model.to_string_lossy().into_owned();
        let mut command = t.place.command(&["serve", &model, "--bind", "127.0.0.1:0"]);
        command.args(more).env_remove("HGAD_TOKEN");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|l| Some(l.unwrap().split_once("http://")?.1.trim().to_string()))
            .expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Status, head and body of one request.
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> (u16, String, Vec<u8>) {
        let stream = TcpStream::connect(&self.address).unwrap();
        exchange(stream, &self.address, method, path, headers, body)
    }

    #[track_caller]
    pub fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> (u16, Value) {
        let (status, _, body) = self.send("POST", path, headers, body);
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.send("GET", path, &[], &[]);
        (status, String::from_utf8(body).unwrap())
    }

    pub fn stop(&self) {
        let pid = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub fn exchange(
    mut stream: TcpStream,
    host: &str,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let lines: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses a body may hang up before it has all of it.
    let _ = stream.write_all(body);
    read(stream)
}

#[track_caller]
pub fn read(mut stream: TcpStream) -> (u16, String, Vec<u8>) {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(answer[..split].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[split + 4..].to_vec())
}

/// What `hgad predict` says of some files, by their paths.
pub fn predicted(t: &Trained, images: &[PathBuf]) -> Vec<Value> {
    let model = t.model.to_string_lossy().into_owned();
    let mut command = t.place.command(&["predict", &model, "--out", "said", "--quiet"]);
    command.args(images);
    succeed(command);
    let rows = std::fs::read_to_string(t.place.path().join("said/predictions.jsonl")).unwrap();
    rows.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}
