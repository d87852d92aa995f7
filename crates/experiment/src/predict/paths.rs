//! Which images are meant: files, folders, globs, or a list.

use crate::error::ExperimentError;
use hgad_datasets::is_image_name;
use std::collections::HashSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// The images that `arguments` name, each once, in their order: a folder means the image files below
/// it, sorted; a name with `*`, `?` or `[` what it matches; `-` the lines of `list`, each such a name. A
/// file that is not there stays in the list, for whoever reads it to say so.
///
/// # Errors
/// A folder or list that cannot be read; a pattern that is none; no image at all.
pub fn find_images(
    arguments: &[String],
    list: &mut dyn BufRead,
) -> Result<Vec<PathBuf>, ExperimentError> {
    let mut found = Found::default();
    for argument in arguments {
        if argument != "-" {
            found.name(argument)?;
            continue;
        }
        for line in list.lines() {
            let line =
                line.map_err(|e| ExperimentError::io("read", Path::new("standard input"), e))?;
            let line = line.trim_end_matches('\r');
            if !line.trim().is_empty() {
                found.name(line)?;
            }
        }
    }
    if found.images.is_empty() {
        return Err(ExperimentError::Setting {
            key: "PATH",
            value: arguments.join(" "),
            reason:
                "there is no image there (png, jpg, jpeg, bmp, tif, tiff, webp in a folder or glob)"
                    .into(),
        });
    }
    Ok(found.images)
}

#[derive(Default)]
struct Found {
    images: Vec<PathBuf>,
    /// Images and folders by their real place: links may lead to what was there before, and go round
    /// in circles.
    seen: HashSet<PathBuf>,
    folders: HashSet<PathBuf>,
}

impl Found {
    fn image(&mut self, path: PathBuf) {
        if self.seen.insert(real(&path)) {
            self.images.push(path);
        }
    }

    fn name(&mut self, name: &str) -> Result<(), ExperimentError> {
        let path = PathBuf::from(name);
        // A file may well have a bracket in its name.
        if path.exists() || !name.contains(['*', '?', '[']) {
            return self.path(path);
        }
        let matches = glob::glob(name).map_err(|e| ExperimentError::Setting {
            key: "PATH",
            value: name.into(),
            reason: format!("this is no pattern ({e}); ** stands alone between slashes"),
        })?;
        let mut matched = Vec::new();
        for path in matches {
            let path = path.map_err(|e| {
                let place = e.path().to_path_buf();
                ExperimentError::io("list", &place, e.into())
            })?;
            if path.is_dir() || is_image_name(&path) {
                matched.push(path);
            }
        }
        // A pattern follows links, round in circles too: each file once, by its shortest name.
        matched.sort_by_key(|p| p.as_os_str().len());
        let mut places = HashSet::new();
        matched.retain(|p| places.insert(real(p)));
        matched.sort();
        matched.into_iter().try_for_each(|path| self.path(path))
    }

    fn path(&mut self, path: PathBuf) -> Result<(), ExperimentError> {
        if !path.is_dir() {
            self.image(path);
            return Ok(());
        }
        if !self.folders.insert(real(&path)) {
            return Ok(());
        }
        let failed = |e| ExperimentError::io("list", &path, e);
        let mut entries = std::fs::read_dir(&path)
            .map_err(failed)?
            .map(|entry| entry.map(|e| e.path()).map_err(failed))
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort();
        for entry in entries {
            let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if !hidden && (entry.is_dir() || is_image_name(&entry)) {
                self.path(entry)?;
            }
        }
        Ok(())
    }
}

/// Where a path leads; itself where it leads nowhere, which reading will tell.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_globs_lists_and_each_image_once() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        for name in ["a/2.png", "a/1.JPG", "a/deep/3.bmp", "a/.4.png", "a/notes.txt", "b[1].png"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), "x").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.join("a"), root.join("a/deep/round")).unwrap();
        let text = |p: &str| root.join(p).to_string_lossy().into_owned();
        let find = |arguments: &[String], list: &str| {
            let found = find_images(arguments, &mut list.as_bytes())?;
            let names =
                found.iter().map(|p| p.strip_prefix(root).unwrap().to_string_lossy().into());
            Ok::<Vec<String>, ExperimentError>(names.collect())
        };
        assert_eq!(find(&[text("a")], "").unwrap(), ["a/1.JPG", "a/2.png", "a/deep/3.bmp"]);
        assert_eq!(find(&[text("a/*.png"), text("a/2.png")], "").unwrap(), ["a/2.png"]);
        assert_eq!(find(&[text("**/*.bmp")], "").unwrap(), ["a/deep/3.bmp"]);
        // What a user names is taken as it is.
        assert_eq!(find(&[text("b[1].png"), text("no.png")], "").unwrap(), ["b[1].png", "no.png"]);
        let list = format!("{}\r\n\n{}\n", text("a/2.png"), text("a/deep"));
        // The link in a/deep leads to a, where 2.png was found before.
        let expected = ["a/2.png", "a/deep/3.bmp", "a/deep/round/1.JPG"];
        assert_eq!(find(&["-".into()], &list).unwrap(), expected);
        let message = find(&[text("a/*.gif")], "").unwrap_err().to_string();
        assert!(message.contains("*.gif") && message.contains("no image"), "{message}");
    }
}
