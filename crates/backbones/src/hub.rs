//! Weights from the Hugging Face hub, cached as its other programs do.

use crate::BackboneError;
use std::path::PathBuf;

/// The file of weights in a timm repository.
const FILE: &str = "model.safetensors";

/// The path of the cached weights of `repository`, downloaded first where they are not there
/// (HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE count as everywhere).
///
/// # Errors
/// No network: the message names the file and where to put it.
#[cfg(feature = "hub")]
pub(crate) fn fetch(kind: &str, repository: &str) -> Result<PathBuf, BackboneError> {
    use hf_hub::{Cache, Repo, api::sync::ApiBuilder};
    let cached = Cache::from_env().repo(Repo::model(repository.into())).get(FILE);
    if let Some(path) = cached {
        return Ok(path);
    }
    let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !v.is_empty() && v != "0");
    let download = || {
        let api = ApiBuilder::from_env().with_retries(0).build()?;
        api.model(repository.into()).get(FILE)
    };
    let reason = if offline {
        "HF_HUB_OFFLINE is set".to_string()
    } else {
        match download() {
            Ok(path) => return Ok(path),
            Err(e) => e.to_string(),
        }
    };
    Err(BackboneError::Hub { kind: kind.into(), repository: repository.into(), file: FILE, reason })
}

/// Without the feature `hub` nothing is downloaded.
///
/// # Errors
/// Always.
#[cfg(not(feature = "hub"))]
pub(crate) fn fetch(kind: &str, repository: &str) -> Result<PathBuf, BackboneError> {
    let reason = "this program was built without the feature `hub`".into();
    Err(BackboneError::Hub { kind: kind.into(), repository: repository.into(), file: FILE, reason })
}
