//! `hgad cache`

use super::Outcome;
use crate::arguments::{CacheArguments, CacheCommand};
use hgad_experiment::cache::{self, CacheEntry, bytes_text};
use std::process::ExitCode;

/// Lists or clears cached features.
pub fn run(a: CacheArguments) -> Outcome {
    let root = cache::root(&a.dir.unwrap_or_default());
    let (entries, did) = match a.command {
        CacheCommand::List => (cache::list(&root)?, "in"),
        CacheCommand::Clear { key } => {
            (cache::clear(&root, &key.unwrap_or_default())?, "removed from")
        }
    };
    for entry in &entries {
        println!("{}", line(entry));
    }
    let bytes = entries.iter().map(|e| e.bytes).sum();
    println!("{} extractor(s), {} {did} {}", entries.len(), bytes_text(bytes), root.display());
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &CacheEntry) -> String {
    let made_by = match &entry.extractor {
        Some(e) => format!("{} at {} px, {:?}", e.backbone, e.img_size, e.precision),
        None => "unknown extractor".into(),
    };
    format!(
        "{}  {made_by}, {} images, {}",
        &entry.key[..12.min(entry.key.len())],
        entry.images,
        bytes_text(entry.bytes)
    )
}
