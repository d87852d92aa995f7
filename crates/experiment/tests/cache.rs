//! The cache serves what was put, and never for another image or setting.

use hgad_datasets::Dataset;
use hgad_experiment::cache::{Extractor, FeatureCache, Precision, clear, list};
use hgad_experiment::{ExperimentError, LevelShape};
use proptest::prelude::*;
use std::path::Path;

fn extractor(precision: Precision) -> Extractor {
    Extractor {
        backbone: "test".into(),
        fingerprint: "weights 1".into(),
        transform: "none".into(),
        patches: String::new(),
        img_size: 8,
        levels: [4, 2].map(|s| LevelShape { height: s, width: s, channels: 3 }).to_vec(),
        precision,
    }
}

fn maps(seed: u32) -> Vec<Vec<f32>> {
    let one = |n: u32, s: u32| (0..n).map(|i| ((i * 31 + s) as f32 * 0.37).sin()).collect();
    vec![one(48, seed), one(12, seed + 9)]
}

/// A folder set with one image, whose file is at `path`.
fn open(root: &Path) -> Box<dyn Dataset> {
    hgad_datasets::open("folder", root).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_changed_image_is_never_served(pixel in 0usize..64, by in 1u8..255, seed in 0u32..1000) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("set");
        let file = root.join("thing/train/good/a.png");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::create_dir_all(root.join("thing/test/good")).unwrap();
        let mut image = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([(x * y + seed) as u8]));
        image.save(&file).unwrap();
        image.save(root.join("thing/test/good/a.png")).unwrap();
        let content = || { let set = open(&root); set.content_hash(&set.samples()[0]).unwrap() };
        let cache = FeatureCache::open(&dir.path().join("cache"), extractor(Precision::F32)).unwrap();
        let before = content();
        cache.put(&before, &maps(seed)).unwrap();
        prop_assert!(cache.get(&content()).unwrap().is_some());

        let p = image.get_pixel_mut(pixel as u32 % 8, pixel as u32 / 8);
        p.0[0] = p.0[0].wrapping_add(by);
        image.save(&file).unwrap();
        prop_assert!(cache.get(&content()).unwrap().is_none(), "stale features were served");
        let kept = cache.get(&before).unwrap().unwrap();
        prop_assert_eq!(kept.level(0).to_vec(), maps(seed)[0].clone());
        prop_assert_eq!(kept.level(1).to_vec(), maps(seed)[1].clone());
    }
}

#[test]
fn another_setting_has_another_folder() {
    let dir = tempfile::tempdir().unwrap();
    let put = |e: Extractor| {
        let cache = FeatureCache::open(dir.path(), e).unwrap();
        assert!(cache.get(&[1; 32]).unwrap().is_none());
        cache.put(&[1; 32], &maps(3)).unwrap();
    };
    let base = || extractor(Precision::F32);
    put(base());
    put(Extractor { fingerprint: "weights 2".into(), ..base() });
    put(Extractor { transform: "other".into(), ..base() });
    put(extractor(Precision::F16));
    let entries = list(dir.path()).unwrap();
    assert_eq!(entries.len(), 4);
    assert!(entries.iter().all(|e| e.images == 1 && e.extractor.is_some()));
    let gone = clear(dir.path(), &entries[0].key).unwrap();
    assert_eq!((gone.len(), list(dir.path()).unwrap().len()), (1, 3));
    clear(dir.path(), "").unwrap();
    assert!(list(dir.path()).unwrap().is_empty());
}

#[test]
fn half_precision_is_close() {
    let dir = tempfile::tempdir().unwrap();
    let cache = FeatureCache::open(dir.path(), extractor(Precision::F16)).unwrap();
    cache.put(&[7; 32], &maps(5)).unwrap();
    let got = cache.get(&[7; 32]).unwrap().unwrap();
    for (a, b) in got.level(0).iter().zip(&maps(5)[0]) {
        assert!((a - b).abs() <= b.abs() / 2048.0 + 1e-7);
    }
}

#[test]
fn a_torn_file_and_a_disk_too_small_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let cache = FeatureCache::open(dir.path(), extractor(Precision::F32)).unwrap();
    cache.put(&[2; 32], &maps(1)).unwrap();
    let name = "02".repeat(32);
    let file = cache.folder().join(&name[..2]).join(&name[2..]);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 4]).unwrap();
    assert!(!cache.contains(&[2; 32]));
    let message = cache.get(&[2; 32]).err().unwrap().to_string();
    assert!(message.contains("not a whole feature file"), "{message}");

    let mut huge = extractor(Precision::F32);
    huge.levels[0].channels = 1 << 40;
    let cache = FeatureCache::open(dir.path(), huge).unwrap();
    let message = cache.require_space(1000).unwrap_err().to_string();
    assert!(message.contains("no space left") && message.contains("cache.dir"), "{message}");
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let message = ExperimentError::io("write", Path::new("runs/x"), full).to_string();
    assert!(message.contains("no space left on the disk of runs/x"), "{message}");
}
