//! `runs/NAME/ID/`: where the files of a run are, and which runs there are.

use crate::atomic;
use crate::config::Config;
use crate::error::ExperimentError;
use crate::results::Results;
use crate::run_lock::RunLock;
use std::path::{Path, PathBuf};

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// A new folder `run.dir/NAME/TIME-sSEED` with the resolved configuration in it.
    ///
    /// # Errors
    /// I/O.
    pub fn create(config: &Config) -> Result<Self, ExperimentError> {
        let now = time::OffsetDateTime::now_utc();
        let stamp = format!(
            "{:04}{:02}{:02}-{:02}{:02}{:02}-s{}",
            now.year(),
            u8::from(now.month()),
            now.day(),
            now.hour(),
            now.minute(),
            now.second(),
            config.seed
        );
        let parent = config.run.dir.join(&config.name);
        atomic::create_dir(&parent)?;
        // Runs that start in the same second get a number.
        for n in 1.. {
            let id = if n == 1 { stamp.clone() } else { format!("{stamp}-{n}") };
            let path = parent.join(id);
            match std::fs::create_dir(&path) {
                Ok(()) => return Self(path).started(config),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(ExperimentError::io("create", &path, e)),
            }
        }
        unreachable!("the numbers do not end")
    }

    /// The new folder `path` with the resolved configuration in it.
    ///
    /// # Errors
    /// There is something there already; I/O.
    pub fn create_at(path: &Path, config: &Config) -> Result<Self, ExperimentError> {
        let empty = || std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        if path.exists() && !empty() {
            let reason = "it exists already; name a folder that does not, or remove it".into();
            return Err(ExperimentError::Run { path: path.into(), reason });
        }
        atomic::create_dir(path)?;
        Self(path.into()).started(config)
    }

    fn started(self, config: &Config) -> Result<Self, ExperimentError> {
        let text = toml::to_string(config)
            .map_err(|e| ExperimentError::File { path: self.config(), reason: e.to_string() })?;
        atomic::write_bytes(&self.config(), text.as_bytes())?;
        Ok(self)
    }

    /// An existing run.
    ///
    /// # Errors
    /// There is no run in that folder.
    pub fn open(path: &Path) -> Result<Self, ExperimentError> {
        let run = Self(path.into());
        if run.config().is_file() {
            return Ok(run);
        }
        let reason =
            "there is no run here (no config.toml); give a folder like runs/NAME/ID".into();
        Err(ExperimentError::Run { path: path.into(), reason })
    }

    /// The newest run of `config`'s name that was not finished and has the same configuration.
    ///
    /// # Errors
    /// There is none.
    pub fn unfinished(config: &Config) -> Result<Self, ExperimentError> {
        if let Some(run) = Self::newest(config, false) {
            return Ok(run);
        }
        let parent = config.run.dir.join(&config.name);
        let stopped = |r: &Self| !r.is_finished() && !r.is_imported();
        let reason = match Self::all(&parent).into_iter().find(stopped) {
            Some(other) => format!(
                "no unfinished run here has these settings; to go on with {} and its own, give --resume={}",
                other.id(),
                other.path().display()
            ),
            None => "there is no unfinished run here; start one without --resume".into(),
        };
        Err(ExperimentError::Run { path: parent, reason })
    }

    /// The newest run of `config`'s name with the same configuration that is `finished`, or is not;
    /// imported ones were not made by it.
    pub fn newest(config: &Config, finished: bool) -> Option<Self> {
        Self::all(&config.run.dir.join(&config.name))
            .into_iter()
            .filter(|r| r.is_finished() == finished && !r.is_imported())
            .find(|r| r.load_config().is_ok_and(|c| c.same_run(config)))
    }

    /// The runs in the folder `parent`, the newest first.
    pub fn all(parent: &Path) -> Vec<Self> {
        let mut runs: Vec<Self> = std::fs::read_dir(parent)
            .map(|entries| entries.flatten().map(|e| Self(e.path())).collect())
            .unwrap_or_default();
        runs.retain(|r| r.config().is_file());
        runs.sort_by(|a, b| b.0.cmp(&a.0));
        runs
    }

    /// Whether it reached its end.
    pub fn is_finished(&self) -> bool {
        self.results().is_file()
    }

    /// Takes the run for this process, until what is given is dropped.
    ///
    /// # Errors
    /// Another process is at work on it.
    pub fn lock(&self) -> Result<RunLock, ExperimentError> {
        RunLock::take(&self.0)
    }

    /// Whether a process is at work on it, as far as the file system tells.
    pub fn is_running(&self) -> bool {
        RunLock::is_taken(&self.0)
    }

    /// Whether its model was imported, so that there is no training to go on with.
    pub fn is_imported(&self) -> bool {
        self.origin().is_file()
    }

    /// What it reached.
    ///
    /// # Errors
    /// It is not finished; a file that is no result of this version.
    pub fn load_results(&self) -> Result<Results, ExperimentError> {
        let path = self.results();
        let text = std::fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => ExperimentError::Run {
                path: self.0.clone(),
                reason: match self.is_imported() {
                    true => "the imported model was not evaluated yet; `hgad evaluate` with this folder does".into(),
                    false => "the run was not finished; go on with it with --resume".into(),
                },
            },
            _ => ExperimentError::io("read", &path, e),
        })?;
        serde_json::from_slice(&text).map_err(|e| ExperimentError::File {
            path,
            reason: format!("it cannot be read ({e}); was it written by another version?"),
        })
    }

    /// The configuration it was started with.
    ///
    /// # Errors
    /// I/O; a file that is no configuration.
    pub fn load_config(&self) -> Result<Config, ExperimentError> {
        let path = self.config();
        let text =
            std::fs::read_to_string(&path).map_err(|e| ExperimentError::io("read", &path, e))?;
        toml::from_str(&text).map_err(|e: toml::de::Error| ExperimentError::Config {
            origin: path.display().to_string(),
            reason: e.to_string().trim().into(),
        })
    }

    /// Its name, the last part of the path.
    pub fn id(&self) -> String {
        self.0.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// A line a pass.
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    /// What the run reached.
    pub fn results(&self) -> PathBuf {
        self.0.join("results.json")
    }

    /// The score of every test image.
    pub fn scores(&self) -> PathBuf {
        self.0.join("scores.csv")
    }

    /// The trained model.
    pub fn model(&self) -> PathBuf {
        self.0.join("model.safetensors")
    }

    /// Where an imported model came from.
    pub fn origin(&self) -> PathBuf {
        self.0.join("origin.json")
    }

    /// What it reached, as a page.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// What the page is drawn from.
    pub fn report_data(&self) -> PathBuf {
        self.0.join("report.json")
    }

    /// State to go on from.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint").join("last.safetensors")
    }

    /// Pictures.
    pub fn maps(&self) -> PathBuf {
        self.0.join("maps")
    }
}
