//! Files that appear whole or not at all.

use crate::error::ExperimentError;
use std::io::Write;
use std::path::Path;

/// Writes `path` through a file beside it that is synced and renamed; on any error `path` is as
/// it was.
///
/// # Errors
/// A full disk, told apart; any other I/O error.
pub fn write(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), ExperimentError> {
    let io = |action| move |e| ExperimentError::io(action, path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir(folder)?;
    let mut aside = beside().tempfile_in(folder).map_err(io("write"))?;
    {
        let mut buffered = std::io::BufWriter::with_capacity(1 << 20, aside.as_file_mut());
        fill(&mut buffered).and_then(|()| buffered.flush()).map_err(io("write"))?;
    }
    aside.as_file().sync_all().map_err(io("sync"))?;
    aside.persist(path).map_err(|e| ExperimentError::io("rename to", path, e.error))?;
    Ok(())
}

/// How a temporary file is made that others may read where they may read any file of this user's.
pub(crate) fn beside() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's mask is taken from it, as from any new file's.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

/// [`write()`] of bytes.
///
/// # Errors
/// As [`write()`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ExperimentError> {
    write(path, |w| w.write_all(bytes))
}

/// Creates a folder and those above it.
///
/// # Errors
/// I/O.
pub fn create_dir(path: &Path) -> Result<(), ExperimentError> {
    std::fs::create_dir_all(path).map_err(|e| ExperimentError::io("create", path, e))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn whoever_may_read_other_files_may_read_these() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, whole] = ["plain", "whole"].map(|name| folder.path().join(name));
        std::fs::write(&plain, "a").unwrap();
        write_bytes(&whole, b"a").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&whole), mode(&plain));
    }
}
