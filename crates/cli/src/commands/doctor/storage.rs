//! Folders that the program writes to: cached features, weights of the hub, runs.

use super::finding::{Finding, Section};
use hgad_experiment::cache::{self, bytes_text, free_space};
use hgad_experiment::runs;
use std::path::{Path, PathBuf};

/// The cache that other programs share.
const HUB: &str = "Hugging Face cache";

/// The cache of features.
pub fn cache(setting: &Path) -> Section {
    let root = cache::root(setting);
    let mut findings =
        folder("folder", &root, "set HGAD_CACHE, or cache.dir, to a folder that can be");
    let kept = match cache::list(&root) {
        Ok(entries) => {
            let bytes = entries.iter().map(|e| e.bytes).sum();
            let images: usize = entries.iter().map(|e| e.images).sum();
            let text = format!(
                "{} of {images} images by {} extractor(s); `hgad cache list` shows them",
                bytes_text(bytes),
                entries.len()
            );
            Finding::new("kept", text).value(bytes)
        }
        // That it is no folder was said above.
        Err(_) if !root.is_dir() => Finding::new("kept", "nothing").value(0),
        Err(e) => Finding::new("kept", "unknown")
            .value(())
            .wrong(e.to_string(), "mend its permissions, or set HGAD_CACHE to another folder"),
    };
    findings.insert(1, kept);
    Section { title: "feature cache", findings }
}

/// Weights that are here, and where those of the hub would go.
pub fn weights() -> Section {
    let mut findings = match hgad_backbones::hub_cache() {
        Some(root) => {
            folder(HUB, &root, "set HF_HOME to a folder that can be, or name backbone.weights")
        }
        None => vec![Finding::new(HUB, "none: this build has no downloads").value(())],
    };
    let found = hgad_backbones::cached_weights();
    if found.is_empty() {
        let text = "none in that cache; an experiment downloads what it needs, or set backbone.weights=FILE";
        findings.push(Finding::new("found", text).value(()));
    }
    for (kind, path) in found {
        // The hub's files are links.
        let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
        let text = format!("{} ({})", path.display(), bytes_text(bytes));
        findings.push(Finding::new(kind, text).value(path.display().to_string()));
    }
    Section { title: "weights", findings }
}

/// The folder of runs.
pub fn runs(root: &Path) -> Section {
    let mut findings = folder("folder", root, "go to a folder that can be, or set run.dir");
    if root.is_dir() {
        let kept = match runs::list(root) {
            Ok(all) => {
                let bytes = bytes_text(all.iter().map(|r| r.bytes).sum());
                let text = format!("{} runs, {bytes}; `hgad runs` shows them", all.len());
                Finding::new("kept", text).value(all.len())
            }
            Err(e) => Finding::new("kept", "unknown")
                .value(())
                .wrong(e.to_string(), "mend its permissions, or set run.dir to another folder"),
        };
        findings.insert(1, kept);
    }
    Section { title: "runs", findings }
}

/// Where a folder is, whether it can be written to, and what is free on its disk.
fn folder(what: &str, path: &Path, way_out: &str) -> Vec<Finding> {
    let place = Finding::new(what, path.display().to_string());
    let (exists, at) = match nearest(path) {
        Ok(nearest) => (nearest == path, nearest),
        Err(reason) => return vec![place.wrong(reason, way_out)],
    };
    let place = match exists {
        true => place,
        false => Finding::new(what, format!("{} (made when it is needed)", path.display()))
            .value(path.display().to_string()),
    };
    // A file in it tells what permissions, quotas and read-only disks allow; it is removed at once.
    let written = tempfile::Builder::new().prefix(".hgad-doctor-").tempfile_in(&at);
    let place = match written {
        Ok(_) => place,
        Err(e) => place.wrong(format!("it cannot be written to: {e}"), way_out),
    };
    let free = free_space(&at);
    let disk = match free {
        Some(bytes) => Finding::new("free on its disk", bytes_text(bytes)).value(bytes),
        None => Finding::new("free on its disk", "the file system does not tell").value(()),
    };
    vec![place, disk]
}

/// `path`, or the folder above it that is there and in which it would be made.
fn nearest(path: &Path) -> Result<PathBuf, String> {
    let mut at = path;
    loop {
        // The parent of a relative name is the folder one is in.
        let here = if at.as_os_str().is_empty() { Path::new(".") } else { at };
        match std::fs::metadata(here) {
            Ok(m) if m.is_dir() => return Ok(here.into()),
            Ok(_) => return Err(format!("{} is a file, not a folder", here.display())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => match at.parent() {
                Some(parent) if !at.as_os_str().is_empty() => at = parent,
                _ => return Err(format!("{} cannot be reached: {e}", path.display())),
            },
            // A file in its place, or a folder that may not be entered.
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => match at.parent() {
                Some(parent) => at = parent,
                None => return Err(format!("{} cannot be reached: {e}", here.display())),
            },
            Err(e) => return Err(format!("{} cannot be reached: {e}", here.display())),
        }
    }
}
