//! Event files for TensorBoard, read back by a reader of their own.

mod common;

use common::{Going, Place, SMALL, json, succeed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// CRC-32C bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn masked(bytes: &[u8]) -> u32 {
    let crc = crc32c(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The records of a file; one that was cut off at the end is left out.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 12 {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        assert_eq!(word(8), masked(&rest[..8]), "checksum of the length");
        if rest.len() < 16 + length {
            break;
        }
        let data = &rest[12..12 + length];
        assert_eq!(word(12 + length), masked(data), "checksum of the data");
        out.push(data.to_vec());
        rest = &rest[16 + length..];
    }
    out
}

/// The value of a field.
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A protocol buffer's fields in order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let varint = |bytes: &mut &[u8]| {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    };
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let fixed = |bytes: &mut &[u8], n: usize| {
            let (own, rest) = bytes.split_at(n);
            *bytes = rest;
            own.to_vec()
        };
        let value = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Bytes(fixed(&mut bytes, 8)),
            2 => {
                let n = varint(&mut bytes) as usize;
                Field::Bytes(fixed(&mut bytes, n))
            }
            5 => Field::Bytes(fixed(&mut bytes, 4)),
            kind => panic!("wire type {kind}"),
        };
        out.push((key >> 3, value));
    }
    out
}

/// An event as far as it is looked at here.
#[derive(Default)]
struct Event {
    time: f64,
    step: u64,
    version: Option<String>,
    restart: bool,
    scalars: BTreeMap<String, f32>,
}

fn event(bytes: &[u8]) -> Event {
    let mut out = Event::default();
    for field in fields(bytes) {
        match field {
            (1, Field::Bytes(b)) => out.time = f64::from_le_bytes(b.try_into().unwrap()),
            (2, Field::Number(n)) => out.step = n,
            (3, Field::Bytes(b)) => out.version = Some(String::from_utf8(b).unwrap()),
            (5, Field::Bytes(summary)) => {
                for value in fields(&summary) {
                    let (1, Field::Bytes(value)) = value else { panic!("no value") };
                    let (mut tag, mut number) = (String::new(), f32::NAN);
                    for part in fields(&value) {
                        match part {
                            (1, Field::Bytes(b)) => tag = String::from_utf8(b).unwrap(),
                            (2, Field::Bytes(b)) => {
                                number = f32::from_le_bytes(b.try_into().unwrap())
                            }
                            (n, _) => panic!("field {n} of a value"),
                        }
                    }
                    assert_eq!(out.scalars.insert(tag, number), None);
                }
            }
            (7, Field::Bytes(log)) => {
                let log = fields(&log);
                assert!(matches!(log[..], [(1, Field::Number(1))]), "SessionLog.START");
                out.restart = true;
            }
            (n, _) => panic!("field {n} of an event"),
        }
    }
    out
}

fn files(run: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(run).unwrap().map(|e| e.unwrap().path());
    let ours = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().contains("tfevents");
    let mut all: Vec<PathBuf> = all.filter(ours).collect();
    all.sort();
    all
}

/// What TensorBoard keeps of all files: scalars by step, those from a restart on dropped.
fn kept(run: &Path) -> BTreeMap<u64, Event> {
    let mut out: BTreeMap<u64, Event> = BTreeMap::new();
    for file in files(run) {
        let events: Vec<Event> =
            records(&std::fs::read(file).unwrap()).iter().map(|r| event(r)).collect();
        assert_eq!(events[0].version.as_deref(), Some("brain.Event:2"));
        for e in events.into_iter().skip(1) {
            if e.restart {
                out.retain(|step, _| *step < e.step);
            } else {
                assert!(out.insert(e.step, e).is_none(), "a step twice");
            }
        }
    }
    out
}

fn metrics(run: &Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The event files say what `metrics.jsonl` says, no more and no less.
#[track_caller]
fn agree(run: &Path, passes: usize) {
    let (events, records) = (kept(run), metrics(run));
    assert_eq!(records.len(), passes);
    let steps: Vec<u64> = events.keys().copied().collect();
    assert_eq!(steps, (1..=passes as u64).collect::<Vec<_>>());
    for (event, record) in events.values().zip(&records) {
        let mut expected: BTreeMap<String, f32> = BTreeMap::new();
        let mut add = |tag: &str, value: &Value| {
            expected.extend(value.as_f64().map(|v| (tag.to_string(), v as f32)));
        };
        add("loss/total", &record["loss"]);
        for term in record["terms"].as_array().unwrap() {
            add(&format!("loss/{}", term[0].as_str().unwrap()), &term[1]);
        }
        add("rate", &record["rate"]);
        add("seconds", &record["seconds"]);
        add("test/image_auroc", &record["image_auroc"]);
        add("test/pixel_auroc", &record["pixel_auroc"]);
        assert!(expected.len() >= 4 && expected.keys().any(|t| t.starts_with("loss/i")));
        assert_eq!(event.scalars, expected);
    }
}

fn now() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

#[test]
fn scalars_by_pass() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    let place = Place::new();
    let before = now();
    let printed = succeed(place.experiment("demo", SMALL, &["--tensorboard"]));
    assert!(printed.contains("tensorboard --logdir runs/demo/"), "{printed}");
    let run = place.run_of("demo");
    assert_eq!(files(&run).len(), 1);
    agree(&run, 3);
    let times: Vec<f64> = kept(&run).values().map(|e| e.time).collect();
    assert!(times.is_sorted() && times[0] >= before && times[2] <= now(), "{times:?}");
    assert_eq!(json(&run.join("results.json"))["settings"]["run"]["tensorboard"], true);

    // Not asked for, not there.
    let mut settings = SMALL.to_vec();
    settings.push("seed=1");
    succeed(place.experiment("demo", &settings, &[]));
    assert!(files(&place.run_of("demo")).is_empty());
}

#[test]
fn a_run_that_is_resumed_goes_on_in_a_file_of_its_own() {
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    settings.extend(["train.epochs=60", "train.checkpoint_seconds=0", "maps.per_class=0"]);
    let begin = |more: &[&str]| place.experiment("demo", &settings, more);
    let run = Going::start(&place, "demo", begin(&["--tensorboard"]), 4).kill();
    // A pass that the checkpoint does not have, and a record that was cut off.
    let file = files(&run).remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = records(&bytes).pop().unwrap();
    let mut later = whole.clone();
    // Key of the step, then the step: fewer than 60 passes take one byte.
    let at = 9;
    assert_eq!((later[at], u64::from(later[at + 1])), (2 << 3, event(&whole).step));
    later[at + 1] = 58;
    for (record, cut) in [(&later, 0), (&whole, 5)] {
        let length = (record.len() as u64).to_le_bytes();
        let mut framed = length.to_vec();
        framed.extend(masked(&length).to_le_bytes());
        framed.extend(record);
        framed.extend(masked(record).to_le_bytes());
        bytes.extend(&framed[..framed.len() - cut]);
    }
    std::fs::write(&file, bytes).unwrap();
    assert!(kept(&run).contains_key(&58));

    // The flag need not be given again.
    succeed(begin(&["--resume"]));
    assert_eq!(files(&run).len(), 2);
    agree(&run, 60);
    read_by_tensorboard(&run, 60);
}

#[test]
fn a_run_that_was_begun_without_has_its_earlier_passes_too() {
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    settings.extend(["train.epochs=40", "train.checkpoint_seconds=0", "maps.per_class=0"]);
    let run = Going::start(&place, "demo", place.experiment("demo", &settings, &[]), 3).kill();
    assert!(files(&run).is_empty());
    succeed(place.experiment("demo", &settings, &["--resume", "--tensorboard"]));
    assert_eq!(place.run_of("demo"), run);
    agree(&run, 40);
}

#[test]
fn an_ablation_has_them_by_setting() {
    let place = Place::new();
    let mut c = place.command(&["ablation", "priors", "--base", "demo", "--seeds", "0"]);
    c.args(["--only", "single", "--set", "run.tensorboard=true"]);
    SMALL.iter().filter(|s| !s.starts_with("eval.every")).for_each(|s| {
        c.args(["--set", s]);
    });
    succeed(c);
    agree(&place.run_of("ablation-priors/single"), 3);
}

/// TensorBoard's own reader, where HGAD_PEER_PYTHON names a Python that has it.
fn read_by_tensorboard(run: &Path, passes: usize) {
    const CODE: &str = "import json, sys
try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    sys.exit(77)
events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps({t: [[e.step, e.value] for e in events.Scalars(t)] for t in events.Tags()['scalars']}))";
    let Ok(python) = std::env::var("HGAD_PEER_PYTHON") else {
        println!("skipped: HGAD_PEER_PYTHON names no Python with tensorboard");
        return;
    };
    let output = Command::new(python).args(["-c", CODE]).arg(run).output().unwrap();
    if output.status.code() == Some(77) {
        println!("skipped: the Python of HGAD_PEER_PYTHON has no tensorboard");
        return;
    }
    assert!(output.status.success(), "{}", common::text(&output));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let records = metrics(run);
    let loss = read["loss/total"].as_array().unwrap();
    assert_eq!(loss.len(), passes);
    for (point, record) in loss.iter().zip(&records) {
        assert_eq!(point[0], record["pass"]);
        assert_eq!(point[1].as_f64().unwrap() as f32, record["loss"].as_f64().unwrap() as f32);
    }
    assert_eq!(read["test/image_auroc"].as_array().unwrap().len(), passes);
}
