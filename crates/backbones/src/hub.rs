//! Weights from the Hugging Face hub, cached as its other programs do.

use crate::BackboneError;
use std::path::PathBuf;

/// The file of weights in a timm repository.
const FILE: &str = "model.safetensors";

/// The path of the cached weights of `repository`, downloaded first where they are not there and
/// `download` allows it (HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE count as everywhere).
///
/// # Errors
/// No network, found out within seconds: the message names the file and where to put it.
pub(crate) fn fetch(
    kind: &str,
    repository: &str,
    download: bool,
) -> Result<PathBuf, BackboneError> {
    get(repository, download).map_err(|reason| BackboneError::Hub {
        kind: kind.into(),
        repository: repository.into(),
        file: FILE,
        reason,
    })
}

/// The folder of the hub's cache; `None` in a build without the hub.
#[cfg(feature = "hub")]
pub fn hub_cache() -> Option<PathBuf> {
    Some(hf_hub::Cache::from_env().path().clone())
}

/// The folder of the hub's cache; `None` in a build without the hub.
#[cfg(not(feature = "hub"))]
pub fn hub_cache() -> Option<PathBuf> {
    None
}

/// The weights of `repository` in that cache, where they are there.
#[cfg(feature = "hub")]
pub(crate) fn cached(repository: &str) -> Option<PathBuf> {
    hf_hub::Cache::from_env().repo(hf_hub::Repo::model(repository.into())).get(FILE)
}

/// The weights of `repository` in that cache, where they are there.
#[cfg(not(feature = "hub"))]
pub(crate) fn cached(_: &str) -> Option<PathBuf> {
    None
}

#[cfg(not(feature = "hub"))]
fn get(_: &str, _: bool) -> Result<PathBuf, String> {
    Err("this program was built without the feature `hub`".into())
}

#[cfg(feature = "hub")]
fn get(repository: &str, download: bool) -> Result<PathBuf, String> {
    use hf_hub::api::sync::ApiBuilder;
    if let Some(path) = cached(repository) {
        return Ok(path);
    }
    if !download {
        return Err("downloads are turned off".into());
    }
    if std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !v.is_empty() && v != "0") {
        return Err("HF_HUB_OFFLINE is set".into());
    }
    reach::endpoint(&reach::from_env())?;
    let api = ApiBuilder::from_env().build().map_err(|e| e.to_string())?;
    api.model(repository.into()).get(FILE).map_err(|e| e.to_string())
}

/// Whether the hub answers at all. hf-hub sets no limit on connecting, and a firewall that drops
/// packets would keep it waiting for minutes.
#[cfg(feature = "hub")]
mod reach {
    use std::net::{TcpStream, ToSocketAddrs};
    use std::sync::mpsc;
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(8);

    pub(super) fn from_env() -> String {
        std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".into())
    }

    /// Connects to `url`'s host, unless a proxy stands between.
    pub(super) fn endpoint(url: &str) -> Result<(), String> {
        let proxy = ["https_proxy", "http_proxy", "all_proxy"];
        if proxy.iter().any(|p| set(p) || set(&p.to_uppercase())) {
            return Ok(());
        }
        let address = address(url);
        let (send, receive) = mpsc::channel();
        // A name server may be silent too, and resolving takes no limit: hence a thread.
        std::thread::spawn(move || {
            let _ = send.send(connect(&address));
        });
        let failure = match receive.recv_timeout(LIMIT) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(e)) => e.to_string(),
            Err(_) => format!("no answer within {} seconds", LIMIT.as_secs()),
        };
        Err(format!("{url} cannot be reached: {failure}"))
    }

    fn set(variable: &str) -> bool {
        std::env::var_os(variable).is_some_and(|v| !v.is_empty())
    }

    fn connect(address: &str) -> std::io::Result<()> {
        let mut last = std::io::Error::other("the name has no address");
        for candidate in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&candidate, LIMIT / 2) {
                Ok(_) => return Ok(()),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// `host:port` of a URL.
    fn address(url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let authority = rest.split('/').next().unwrap_or(rest);
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let after_brackets = host.rsplit(']').next().unwrap_or(host);
        match after_brackets.contains(':') {
            true => host.into(),
            false => format!("{host}:{}", if scheme == "http" { 80 } else { 443 }),
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(address("https://huggingface.co"), "huggingface.co:443");
        assert_eq!(address("http://user:word@mirror.local/hf"), "mirror.local:80");
        assert_eq!(address("http://127.0.0.1:9/"), "127.0.0.1:9");
        assert_eq!(address("http://[::1]"), "[::1]:80");
        assert_eq!(address("http://[::1]:81"), "[::1]:81");
    }
}
