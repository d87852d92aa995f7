//! Variables that the program, or a library of it, listens to.

use super::finding::{Finding, Section};
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// What a variable's value may be shown of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Whole,
    /// That it is set.
    Secret,
    /// An address, without name and password.
    Address,
}

/// Name, what it does, what of it is shown.
const VARIABLES: [(&str, &str, Shown); 18] = [
    ("HGAD_DATA", "data root where an experiment names none", Shown::Whole),
    ("HGAD_CACHE", "folder of cached features", Shown::Whole),
    ("HGAD_ISA", "lowers the instruction set: avx512, avx2, baseline", Shown::Whole),
    ("HGAD_LOG", "log lines of the libraries: debug, hgad_serve=trace", Shown::Whole),
    ("HGAD_TOKEN", "bearer token of `hgad serve`", Shown::Secret),
    ("HF_HOME", "folder of the Hugging Face cache", Shown::Whole),
    ("HF_ENDPOINT", "address of the hub, or of a mirror", Shown::Address),
    ("HF_HUB_OFFLINE", "1: nothing is downloaded", Shown::Whole),
    ("https_proxy", "proxy of downloads; http_proxy and all_proxy too", Shown::Address),
    ("http_proxy", "", Shown::Address),
    ("all_proxy", "", Shown::Address),
    ("XDG_CACHE_HOME", "the user's cache folder; else HOME/.cache", Shown::Whole),
    ("HOME", "", Shown::Whole),
    ("RAYON_NUM_THREADS", "threads where --threads is not given", Shown::Whole),
    ("CANDLE_NUM_THREADS", "candle's threads, if others than --threads", Shown::Whole),
    ("CUDA_VISIBLE_DEVICES", "CUDA devices that there are", Shown::Whole),
    ("NO_COLOR", "no colours", Shown::Whole),
    ("TMPDIR", "folder of temporary files", Shown::Whole),
];

/// All of them, and what is wrong with some.
pub fn section() -> Section {
    let findings = VARIABLES.iter().map(|(name, what, shown)| finding(name, what, *shown));
    Section { title: "environment", findings: findings.collect() }
}

fn finding(name: &str, what: &str, shown: Shown) -> Finding {
    // Proxies are known in both spellings.
    let value = std::env::var_os(name).or_else(|| {
        name.ends_with("_proxy").then(|| std::env::var_os(name.to_uppercase())).flatten()
    });
    let Some(value) = value.filter(|v| !v.is_empty()) else {
        let about = if what.is_empty() { String::new() } else { format!(" ({what})") };
        return Finding::new(name, format!("not set{about}")).value(());
    };
    let value = value.to_string_lossy().into_owned();
    let text = match shown {
        Shown::Whole => value.clone(),
        Shown::Secret => "set, not shown".into(),
        Shown::Address => without_password(&value),
    };
    let found = Finding::new(name, text);
    match problem(name, &value) {
        Some((reason, way_out)) => found.wrong(reason, way_out),
        None => found,
    }
}

/// What is wrong with `value`, and what to do.
fn problem(name: &str, value: &str) -> Option<(String, String)> {
    match name {
        "HGAD_DATA" if !Path::new(value).is_dir() => Some((
            "there is no such folder".into(),
            "set it to the folder of your data, or unset it and name data.root".into(),
        )),
        "HGAD_LOG" => {
            let error = value.parse::<EnvFilter>().err()?;
            Some((error.to_string(), "write it like debug, or hgad_serve=debug,warn".into()))
        }
        "RAYON_NUM_THREADS" | "CANDLE_NUM_THREADS" if value.parse::<usize>().is_err() => {
            Some(("it is no number, and has no effect".into(), "set it to one, or unset it".into()))
        }
        _ => None,
    }
}

/// `scheme://user:word@host` without what is before the `@`.
fn without_password(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (address, shown) in [
            ("http://user:word@proxy:3128", "http://proxy:3128"),
            ("http://user:w@rd@proxy:3128/x@y", "http://proxy:3128/x@y"),
            ("user:word@proxy", "proxy"),
            ("https://mirror.local/hf", "https://mirror.local/hf"),
        ] {
            assert_eq!(without_password(address), shown);
        }
    }

    /// Every variable that the sources read is in the list.
    #[test]
    fn all_are_listed() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut open = vec![crates.to_path_buf()];
        let mut seen = 0;
        while let Some(at) = open.pop() {
            for entry in std::fs::read_dir(at).unwrap().flatten() {
                let path = entry.path();
                let name = entry.file_name().to_string_lossy().into_owned();
                if path.is_dir() && !["tests", "target", "benches", "examples"].contains(&&*name) {
                    open.push(path);
                } else if name.ends_with(".rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    for part in text.split('"') {
                        let ours = ["HGAD_", "HF_"].iter().any(|p| part.starts_with(p));
                        let variable = part.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
                        // What only tests read is no business of the user's.
                        if !ours || !variable || ["HGAD_", "HF_", "HGAD_ASSETS"].contains(&part) {
                            continue;
                        }
                        seen += 1;
                        let listed = VARIABLES.iter().any(|(name, ..)| *name == part);
                        assert!(listed, "{part} of {} is not listed", path.display());
                    }
                }
            }
        }
        assert!(seen >= 5, "{seen} variables were seen");
    }
}
