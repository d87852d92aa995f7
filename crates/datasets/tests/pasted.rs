//! Synthetic anomalies pasted on normal images.

use hgad_datasets::{
    Dataset, DatasetError, PastedKind, PastedSet, Sample, Source, Split, SyntheticConfig,
    SyntheticSet, open, write_mvtec,
};
use image::{GrayImage, Rgb, RgbImage};
use std::collections::HashSet;

fn base() -> SyntheticSet {
    let config = SyntheticConfig { size: 96, train_per_class: 4, ..Default::default() };
    SyntheticSet::new(config).unwrap()
}

fn normal() -> Vec<Sample> {
    base().samples().iter().filter(|s| s.split == Split::Train).cloned().collect()
}

fn pasted(seed: u64) -> PastedSet {
    PastedSet::new(Box::new(base()), normal(), 3, &PastedKind::ALL, seed)
}

#[test]
fn each_original_comes_once_as_it_is_and_in_copies_of_every_kind() {
    let (set, base) = (pasted(0), base());
    let (anomalous, usual): (Vec<Sample>, Vec<Sample>) =
        set.samples().iter().cloned().partition(Sample::is_anomalous);
    assert_eq!((usual.len(), anomalous.len()), (24, 72));
    assert!(set.samples().iter().all(|s| s.split == Split::Test));
    let ids: HashSet<&str> = set.samples().iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids.len(), 96);
    let kinds: HashSet<&str> = anomalous.iter().filter_map(|s| s.defect.as_deref()).collect();
    assert_eq!(kinds, PastedKind::ALL.map(PastedKind::name).into());
    for (sample, original) in usual.iter().zip(normal()) {
        assert_eq!(set.image(sample).unwrap(), base.image(&original).unwrap());
        assert_eq!(set.mask(sample).unwrap(), None);
        // Features of an image that stays as it is are those that training has.
        assert_eq!(set.content_hash(sample).unwrap(), base.content_hash(&original).unwrap());
        // And an image to train on can be had here too.
        assert_eq!(set.image(&original).unwrap(), base.image(&original).unwrap());
    }
}

#[test]
fn a_mask_has_the_pixels_that_are_others_and_nothing_else_is_touched() {
    let (set, base, normal) = (pasted(0), base(), normal());
    let mut seen = 0;
    for (i, sample) in set.samples().iter().filter(|s| s.is_anomalous()).enumerate() {
        let before = base.image(&normal[i / 3]).unwrap();
        let (after, mask) = set.draw(sample).unwrap();
        let mask = mask.unwrap();
        assert_eq!((after.dimensions(), mask.dimensions()), (before.dimensions(), (96, 96)));
        let marked = mask.as_raw().iter().filter(|v| **v != 0).count();
        seen += usize::from(marked > 0);
        assert!(marked < 96 * 96 / 3, "{}: {marked}", sample.id);
        for ((x, y, a), b) in after.enumerate_pixels().zip(before.pixels()) {
            let apart = (0..3).map(|c| a[c].abs_diff(b[c])).max().unwrap();
            // Strong differences are in the mask whatever their neighbours are.
            assert!(apart < 36 || mask.get_pixel(x, y)[0] == 255, "{} at {x} {y}", sample.id);
        }
    }
    assert_eq!(seen, 72);
}

/// Pieces of a mask, those that touch at a corner counted as one.
fn pieces(mask: &GrayImage) -> usize {
    let (width, height) = mask.dimensions();
    let mut left: HashSet<(u32, u32)> =
        mask.enumerate_pixels().filter(|p| p.2[0] != 0).map(|p| (p.0, p.1)).collect();
    let mut count = 0;
    while let Some(start) = left.iter().next().copied() {
        let mut open = vec![start];
        while let Some((x, y)) = open.pop() {
            for y in y.saturating_sub(1)..(y + 2).min(height) {
                for x in x.saturating_sub(1)..(x + 2).min(width) {
                    open.extend(left.remove(&(x, y)).then_some((x, y)));
                }
            }
        }
        count += 1;
    }
    count
}

#[test]
fn some_images_have_one_anomaly_and_some_have_several() {
    // Pieces in one colour are whole, but for what overlaps or is hardly to be seen at its rim.
    let set = PastedSet::new(Box::new(base()), normal(), 4, &[PastedKind::Fill], 0);
    let counts: Vec<usize> = set
        .samples()
        .iter()
        .filter_map(|s| set.mask(s).unwrap())
        .map(|mask| pieces(&mask))
        .collect();
    let share = |of: std::ops::RangeInclusive<usize>| {
        counts.iter().filter(|c| of.contains(c)).count() as f32 / counts.len() as f32
    };
    assert!(share(1..=1) > 0.2, "{counts:?}");
    assert!(share(2..=3) > 0.2, "{counts:?}");
    assert!(share(4..=usize::MAX) > 0.2, "{counts:?}");
}

/// One normal image, of a grey level at each place.
struct Grey {
    level: fn(u32, u32) -> u8,
    classes: Vec<String>,
    samples: Vec<Sample>,
}

impl Dataset for Grey {
    fn name(&self) -> &str {
        "grey"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn image(&self, _: &Sample) -> Result<RgbImage, DatasetError> {
        Ok(RgbImage::from_fn(96, 96, |x, y| Rgb([(self.level)(x, y); 3])))
    }

    fn content_hash(&self, _: &Sample) -> Result<[u8; 32], DatasetError> {
        Ok([0; 32])
    }
}

/// Sixty copies of one image with something pasted on.
fn copies_of(level: fn(u32, u32) -> u8) -> PastedSet {
    let normal = Sample {
        class: 0,
        split: Split::Train,
        defect: None,
        source: Source::Generated(0),
        id: "grey/train/good/0.png".into(),
    };
    let grey = Grey { level, classes: vec!["grey".into()], samples: vec![normal.clone()] };
    PastedSet::new(Box::new(grey), vec![normal], 60, &PastedKind::ALL, 0)
}

#[test]
fn an_image_of_two_tones_stays_one() {
    // Bars with a grey edge, as scans have them.
    let set = copies_of(|x, y| match (x + y / 9) % 24 {
        0..12 => 240,
        12 => 120,
        _ => 8,
    });
    let before = set.image(&set.samples()[0]).unwrap();
    let (mut changed, mut edges) = (0, 0);
    for sample in set.samples().iter().filter(|s| s.is_anomalous()) {
        let after = set.image(sample).unwrap();
        for (a, b) in after.pixels().zip(before.pixels()).filter(|(a, b)| a != b) {
            assert!([8, 240].contains(&a[0]), "{}: {a:?}", sample.id);
            if sample.defect.as_deref() == Some("scratch") {
                changed += 1;
                edges += usize::from(b[0] == 120);
            }
        }
    }
    // An edge that no line crosses is left as it is.
    assert!(4 * edges < changed, "{edges} of {changed}");
}

#[test]
fn a_plain_ground_with_a_speck_on_it_has_not_two_tones() {
    let set = copies_of(|x, y| if x < 5 && y < 5 { 8 } else { 200 + (x % 5) as u8 });
    let between = |p: &Rgb<u8>| (20..190).contains(&p[0]);
    let toned = set.samples().iter().filter(|s| set.image(s).unwrap().pixels().any(between));
    assert!(toned.count() > 10);
}

#[test]
fn on_any_ground_there_is_something_to_see() {
    let grounds: [fn(u32, u32) -> u8; 3] =
        [|_, _| 128, |_, _| 255, |x, _| if x % 24 < 12 { 240 } else { 8 }];
    for (ground, level) in grounds.into_iter().enumerate() {
        let set = copies_of(level);
        for mask in set.samples().iter().filter_map(|s| set.mask(s).unwrap()) {
            assert!(mask.as_raw().iter().any(|v| *v != 0), "{ground}");
        }
    }
}

#[test]
fn the_seed_decides_all_of_it() {
    let (a, b, other) = (pasted(3), pasted(3), pasted(4));
    let mut moved = 0;
    for sample in a.samples().iter().filter(|s| s.is_anomalous()) {
        assert_eq!(a.draw(sample).unwrap(), b.draw(sample).unwrap());
        assert_eq!(a.content_hash(sample).unwrap(), b.content_hash(sample).unwrap());
        assert_ne!(a.content_hash(sample).unwrap(), other.content_hash(sample).unwrap());
        moved += usize::from(a.image(sample).unwrap() != other.image(sample).unwrap());
    }
    assert_eq!(moved, 72);
}

#[test]
fn they_can_be_written_and_read_back() {
    let (set, folder) = (pasted(1), tempfile::tempdir().unwrap());
    write_mvtec(&set, set.samples(), folder.path()).unwrap();
    let read = open("folder", folder.path()).unwrap();
    let anomalous: Vec<&Sample> = set.samples().iter().filter(|s| s.is_anomalous()).collect();
    let of = |sample: &Sample| read.samples().iter().find(|s| s.id == sample.id).cloned();
    for sample in anomalous {
        let own = of(sample).unwrap();
        assert_eq!(own.defect, sample.defect);
        assert_eq!(read.image(&own).unwrap(), set.image(sample).unwrap());
        assert_eq!(read.mask(&own).unwrap(), set.mask(sample).unwrap());
    }
}

#[test]
fn a_sample_of_another_set_is_refused() {
    let set = pasted(0);
    let mut foreign = set.samples().last().unwrap().clone();
    foreign.source = Source::Generated(1000);
    assert!(matches!(set.image(&foreign), Err(DatasetError::ForeignSample { .. })));
}
