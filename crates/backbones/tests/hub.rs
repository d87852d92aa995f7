//! The hub without a network.
#![cfg(feature = "hub")]

use hgad_backbones::{BackboneSpec, build};
use std::time::{Duration, Instant};

/// One test, alone in its process: it sets the environment.
#[test]
fn an_unreachable_hub_fails_fast_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let set = |key: &str, value: &str| {
        // SAFETY: no other thread of this process runs.
        unsafe { std::env::set_var(key, value) }
    };
    for proxy in ["https_proxy", "http_proxy", "all_proxy"] {
        for name in [proxy.to_string(), proxy.to_uppercase()] {
            // SAFETY: as above.
            unsafe { std::env::remove_var(name) }
        }
    }
    // SAFETY: as above.
    unsafe { std::env::remove_var("HF_HUB_OFFLINE") };
    set("HF_HOME", folder.path().to_str().unwrap());
    set("HF_ENDPOINT", "http://127.0.0.1:9");
    let refusal = |spec: &BackboneSpec| {
        let start = Instant::now();
        let error = build(spec).err().expect("there is no hub").to_string();
        assert!(start.elapsed() < Duration::from_secs(12), "took {:?}", start.elapsed());
        for part in [
            "tf_efficientnet_b6",
            "timm/tf_efficientnet_b6.ns_jft_in1k",
            "model.safetensors",
            "https://huggingface.co/",
            "backbone.weights=FILE",
        ] {
            assert!(error.contains(part), "`{part}` is missing: {error}");
        }
        error
    };
    let paper = BackboneSpec::default();
    assert!(refusal(&paper).contains("http://127.0.0.1:9 cannot be reached"));
    // An address of documentation networks, whose packets go nowhere.
    set("HF_ENDPOINT", "http://192.0.2.1:81");
    assert!(refusal(&paper).contains("cannot be reached"));
    set("HF_ENDPOINT", "http://no-such-host.invalid");
    assert!(refusal(&paper).contains("cannot be reached"));
    let error = refusal(&BackboneSpec { download: false, ..paper.clone() });
    assert!(error.contains("turned off"), "{error}");
    set("HF_HUB_OFFLINE", "1");
    assert!(refusal(&paper).contains("HF_HUB_OFFLINE"));

    // What is cached needs no network: here a file that is no weights, which only loading finds out.
    let repository = folder.path().join("hub/models--timm--tf_efficientnet_b6.ns_jft_in1k");
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::create_dir_all(repository.join("snapshots/abc")).unwrap();
    std::fs::write(repository.join("refs/main"), "abc").unwrap();
    std::fs::write(repository.join("snapshots/abc/model.safetensors"), "cached").unwrap();
    let error = build(&paper).err().expect("no weights").to_string();
    assert!(error.contains("not a whole safetensors file"), "{error}");
}
