//! The synthetic set: the same bytes twice, true masks, and a round trip through files.

use std::collections::HashSet;

use hgad_datasets::{
    Dataset, DatasetError, Descriptor, Report, Split, SyntheticConfig, SyntheticSet, open,
    write_mvtec,
};
use image::RgbImage;

fn small() -> SyntheticConfig {
    SyntheticConfig {
        size: 64,
        train_per_class: 2,
        test_good_per_class: 2,
        test_anomalous_per_class: 5,
        ..Default::default()
    }
}

fn set(config: SyntheticConfig) -> SyntheticSet {
    SyntheticSet::new(config).unwrap()
}

#[test]
fn the_same_configuration_gives_the_same_pixels() {
    let (a, b) = (set(small()), set(small()));
    let other = set(SyntheticConfig { seed: 1, ..small() });
    assert_eq!(a.samples(), b.samples());
    let mut hashes = HashSet::new();
    let mut images: HashSet<Vec<u8>> = HashSet::new();
    for sample in a.samples() {
        let image = a.image(sample).unwrap();
        assert_eq!(image, b.image(sample).unwrap());
        assert_ne!(image, other.image(sample).unwrap());
        let hash = a.content_hash(sample).unwrap();
        assert_eq!(hash, b.content_hash(sample).unwrap());
        assert_ne!(hash, other.content_hash(sample).unwrap());
        assert!(hashes.insert(hash) && images.insert(image.into_raw()), "{}", sample.id);
    }
}

#[test]
fn an_image_does_not_depend_on_how_many_there_are() {
    let more = set(SyntheticConfig { train_per_class: 7, ..small() });
    let few = set(small());
    for sample in few.samples() {
        let twin = more.samples().iter().find(|s| s.id == sample.id).unwrap();
        assert_eq!(few.image(sample).unwrap(), more.image(twin).unwrap());
    }
}

#[test]
fn masks_cover_a_small_visible_part() {
    for difficulty in [1.0, 3.0] {
        let set = set(SyntheticConfig { size: 128, difficulty, ..small() });
        for sample in set.samples() {
            let mask = set.mask(sample).unwrap();
            assert_eq!(mask.is_some(), sample.is_anomalous());
            let Some(mask) = mask else { continue };
            assert_eq!(mask.dimensions(), (128, 128));
            let share = mask.iter().filter(|v| **v != 0).count() as f64 / (128.0 * 128.0);
            assert!((1.0 / 1200.0..0.09).contains(&share), "{}: {share}", sample.id);
            assert!(mask.iter().all(|v| *v == 0 || *v == 255));
        }
    }
}

#[test]
fn normal_images_of_a_class_vary() {
    let set = set(small());
    for class in 0..set.classes().len() {
        let of_class = |s: &&hgad_datasets::Sample| s.class == class && s.split == Split::Train;
        let images: Vec<RgbImage> =
            set.samples().iter().filter(of_class).map(|s| set.image(s).unwrap()).collect();
        let apart: f64 = images[0]
            .as_raw()
            .iter()
            .zip(images[1].as_raw())
            .map(|(a, b)| f64::from(a.abs_diff(*b)))
            .sum::<f64>()
            / images[0].as_raw().len() as f64;
        assert!(apart > 4.0, "{}: {apart}", set.classes()[class]);
    }
}

#[test]
fn exporting_and_reading_gives_the_same() {
    let set = set(small());
    let folder = tempfile::tempdir().unwrap();
    write_mvtec(&set, set.samples(), folder.path()).unwrap();
    let read = open("folder", folder.path()).unwrap();
    assert_eq!(read.classes(), set.classes());
    assert_eq!(read.samples().len(), set.samples().len());
    for (a, b) in set.samples().iter().zip(read.samples()) {
        assert_eq!((&a.id, a.class, a.split, &a.defect), (&b.id, b.class, b.split, &b.defect));
        assert_eq!(set.image(a).unwrap(), read.image(b).unwrap());
        assert_eq!(set.mask(a).unwrap(), read.mask(b).unwrap());
    }
}

#[test]
fn the_shipped_descriptor_counts_the_default_set() {
    let set = set(SyntheticConfig::default());
    let report = Report::of(&Descriptor::by_name("synthetic").unwrap(), &set).unwrap();
    assert!(report.is_complete(), "{report}");
    let opened = open("synthetic", "nowhere".as_ref()).unwrap();
    assert_eq!(opened.samples(), set.samples());
}

#[test]
fn settings_out_of_range_and_foreign_samples_are_errors() {
    let bad = [
        SyntheticConfig { size: 8, ..small() },
        SyntheticConfig { train_per_class: 0, ..small() },
        SyntheticConfig { difficulty: f32::NAN, ..small() },
        SyntheticConfig { test_good_per_class: 0, test_anomalous_per_class: 0, ..small() },
    ];
    for config in bad {
        let error = SyntheticSet::new(config).err().unwrap();
        assert!(matches!(error, DatasetError::Config { .. }), "{error}");
    }
    let set = set(small());
    let mut sample = set.samples()[0].clone();
    sample.id = "board/train/good/999.png".into();
    assert!(matches!(set.image(&sample), Err(DatasetError::ForeignSample { .. })));
}
