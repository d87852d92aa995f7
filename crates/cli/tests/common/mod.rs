//! Runs the program in a folder of its own.
#![allow(dead_code)]

pub mod browser;
pub mod service;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with a cache and runs of its own.
pub struct Place(tempfile::TempDir);

/// Settings that make the demo a matter of a second.
pub const SMALL: &[&str] = &[
    "data.img_size=64",
    "data.mask_size=64",
    "data.synthetic.size=64",
    "data.synthetic.train=8",
    "data.synthetic.test_good=4",
    "data.synthetic.test_anomalous=6",
    "backbone.pyramid=1",
    "backbone.taps=[8]",
    "flow.blocks=2",
    "flow.condition=8",
    "train.epochs=3",
    "train.passes=1",
    "maps.per_class=2",
    "eval.every=1",
];

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_hgad"));
        c.args(args).current_dir(self.path()).env("HGAD_CACHE", self.path().join("cache"));
        c.env_remove("HGAD_DATA");
        c
    }

    /// `experiment NAME` with `settings`.
    pub fn experiment(&self, name: &str, settings: &[&str], more: &[&str]) -> Command {
        let mut c = self.command(&["experiment", name]);
        settings.iter().for_each(|s| {
            c.args(["--set", s]);
        });
        c.args(more);
        c
    }

    /// The newest run of that name.
    pub fn run_of(&self, name: &str) -> PathBuf {
        self.newest(name).unwrap_or_else(|| panic!("no run of {name}"))
    }

    /// The newest run of that name, once there is one: a name's folder comes before its first run.
    pub fn newest(&self, name: &str) -> Option<PathBuf> {
        let runs = std::fs::read_dir(self.path().join("runs").join(name)).ok()?;
        // Names tell seconds and then the seed; files tell which of one second came last.
        let begun = |run: &PathBuf| {
            let name = run.file_name().unwrap().to_string_lossy().into_owned();
            let second = name.get(..15).map(String::from);
            let written = std::fs::metadata(run.join("config.toml")).and_then(|m| m.modified());
            (second, written.ok(), name)
        };
        runs.map(|e| e.unwrap().path()).max_by_key(begun)
    }
}

pub fn text(output: &Output) -> String {
    let part = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    format!("{}{}", part(&output.stdout), part(&output.stderr))
}

/// Runs it; panics with what it printed where it fails.
pub fn succeed(mut c: Command) -> String {
    let output = c.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// Runs it to its error; gives the exit code and what it printed.
pub fn fail(mut c: Command) -> (i32, String) {
    let output = c.output().unwrap();
    assert!(!output.status.success(), "should fail:\n{}", text(&output));
    (output.status.code().unwrap_or(-1), text(&output))
}

/// A JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A run that is going on.
pub struct Going {
    child: std::process::Child,
    /// Its folder.
    pub run: PathBuf,
}

impl Going {
    /// Starts `experiment` of that name, in a place that has no run of it, and waits until it has
    /// `passes` passes and a checkpoint behind it.
    pub fn start(place: &Place, name: &str, mut experiment: Command, passes: usize) -> Self {
        let silent = || std::process::Stdio::null();
        let mut child = experiment.stdout(silent()).stderr(silent()).spawn().unwrap();
        let started = std::time::Instant::now();
        loop {
            if let Some(run) = place.newest(name) {
                let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
                let saved = run.join("checkpoint/last.safetensors").is_file();
                if saved && lines.lines().count() >= passes {
                    return Self { child, run };
                }
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            assert!(started.elapsed().as_secs() < 120, "{passes} passes took two minutes");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Kills it; gives its folder.
    pub fn kill(mut self) -> PathBuf {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(!self.run.join("results.json").exists(), "it ended before it was killed");
        self.run.clone()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
