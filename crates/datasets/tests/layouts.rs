//! Each layout, built from tiny images.

mod tiny;

use std::path::Path;

use hgad_datasets::{Dataset, Descriptor, Split, check, layout_by_name, open};
use tiny::{Folder, class_of, count};

fn ids(set: &dyn Dataset) -> Vec<&str> {
    set.samples().iter().map(|s| &*s.id).collect()
}

#[test]
fn mvtec_and_any_folder_like_it() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["zip", "bottle"]);
    folder.text("license.txt", "not an image");
    folder.text("bottle/train/good/notes.txt", "not an image");
    folder.image(".cache/train/good/a.png");
    for name in ["mvtec", "folder"] {
        let set = open(name, folder.path()).unwrap();
        assert_eq!(set.name(), name);
        assert_eq!(set.classes(), ["bottle", "zip"]);
        assert_eq!(
            ids(&*set)[..6],
            [
                "bottle/train/good/000.png",
                "bottle/train/good/001.JPG",
                "bottle/test/broken/000.bmp",
                "bottle/test/broken/001.png",
                "bottle/test/good/000.png",
                "zip/train/good/000.png",
            ]
        );
        assert_eq!(count(&*set, 0), (2, 1, 2));
        let broken = &set.samples()[2];
        assert_eq!((broken.defect.as_deref(), broken.split), (Some("broken"), Split::Test));
        let (image, mask) = (set.image(broken).unwrap(), set.mask(broken).unwrap().unwrap());
        assert_eq!(image.dimensions(), mask.dimensions());
        assert_eq!(mask.iter().filter(|v| **v != 0).count(), 1);
        assert_eq!(set.mask(&set.samples()[4]).unwrap(), None);
        let hash = set.content_hash(broken).unwrap();
        assert_ne!(hash, set.content_hash(&set.samples()[3]).unwrap());
    }
}

#[test]
fn the_root_may_hold_the_data_set() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "mvtec_anomaly_detection/", &["bottle"]);
    let set = open("mvtec", folder.path()).unwrap();
    assert_eq!(set.samples()[0].id, "bottle/train/good/000.png");
    let inner = folder.path().join("mvtec_anomaly_detection");
    assert_eq!(open("mvtec", &inner).unwrap().samples(), set.samples());
}

#[test]
fn btad() {
    let folder = Folder::new();
    tiny::btad(&folder, "");
    let set = open("btad", folder.path()).unwrap();
    assert_eq!(set.classes(), ["01", "03"]);
    assert_eq!((count(&*set, 0), count(&*set, 1)), ((1, 1, 1), (1, 1, 1)));
    for sample in set.samples().iter().filter(|s| s.is_anomalous()) {
        assert_eq!(sample.defect.as_deref(), Some("ko"));
        assert!(set.mask(sample).unwrap().is_some());
    }
}

#[test]
fn mvtec3d() {
    let folder = Folder::new();
    tiny::mvtec3d(&folder, "");
    let set = open("mvtec3d", folder.path()).unwrap();
    assert_eq!(set.classes(), ["bagel"]);
    assert_eq!(count(&*set, 0), (1, 1, 1));
    assert_eq!(
        ids(&*set),
        [
            "bagel/train/good/rgb/000.png",
            "bagel/test/crack/rgb/000.png",
            "bagel/test/good/rgb/000.png"
        ]
    );
    assert!(set.mask(&set.samples()[1]).unwrap().is_some());
}

#[test]
fn visa() {
    let folder = Folder::new();
    tiny::visa(&folder, "");
    let set = open("visa", folder.path()).unwrap();
    assert_eq!(set.classes(), ["candle", "pcb1"]);
    assert_eq!((count(&*set, 0), count(&*set, 1)), ((1, 1, 1), (1, 1, 1)));
    let anomalous = set.samples().iter().find(|s| s.is_anomalous()).unwrap();
    assert_eq!(anomalous.id, "candle/Data/Images/Anomaly/000.JPG");
    // The labels of this data set are small numbers, not 255.
    let mask = set.mask(anomalous).unwrap().unwrap();
    assert_eq!(mask.iter().filter(|v| **v != 0).count(), 1);
}

#[test]
fn the_union_counts_classes_on() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "mvtec/", &["bottle", "zip"]);
    tiny::btad(&folder, "btad/");
    tiny::mvtec3d(&folder, "mvtec3d/");
    tiny::visa(&folder, "visa/");
    let set = open("union", folder.path()).unwrap();
    let expected = [
        "mvtec/bottle",
        "mvtec/zip",
        "btad/01",
        "btad/03",
        "mvtec3d/bagel",
        "visa/candle",
        "visa/pcb1",
    ];
    assert_eq!(set.classes(), expected);
    let mut seen = std::collections::HashSet::new();
    for sample in set.samples() {
        assert!(sample.id.starts_with(set.classes()[sample.class].split('/').next().unwrap()));
        assert!(seen.insert(&sample.id));
        set.image(sample).unwrap();
        assert_eq!(set.mask(sample).unwrap().is_some(), sample.is_anomalous());
        set.content_hash(sample).unwrap();
    }
    assert_eq!(class_of(&*set, "visa/pcb1/Data/Images/Normal/001.JPG"), 6);
    let alone = open("btad", folder.path()).unwrap();
    let (a, b) = (&alone.samples()[2], &set.samples().iter().find(|s| s.class == 2).unwrap());
    assert_eq!(alone.content_hash(&alone.samples()[0]).unwrap(), set.content_hash(b).unwrap());
    assert!(set.image(a).is_err(), "a member's sample has another id");
}

#[test]
fn reports_say_what_differs() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["bottle", "own"]);
    let descriptor = Descriptor::by_name("mvtec").unwrap();
    let report = check(&descriptor, folder.path()).unwrap();
    assert!(!report.is_complete());
    let text = report.to_string();
    for part in [
        "2 training images, expected 209",
        "1 normal test images, expected 20",
        "2 anomalous test images, expected 63",
        "missing",
        "not a class of this data set",
        "16 of 16 classes differ",
    ] {
        assert!(text.contains(part), "`{part}` in\n{text}");
    }
    let own = check(&Descriptor::by_name("folder").unwrap(), folder.path()).unwrap();
    assert!(own.is_complete(), "{own}");
}

#[test]
fn shipped_descriptors_agree_with_the_publications() {
    let totals = |name: &str| {
        let expected = Descriptor::by_name(name).unwrap().expected_classes().unwrap();
        expected.iter().fold((0, 0, 0, 0), |t, c| {
            let n = |count: Option<usize>| count.unwrap_or(0);
            (t.0 + 1, t.1 + n(c.train), t.2 + n(c.test_good), t.3 + n(c.test_anomalous))
        })
    };
    assert_eq!(totals("mvtec"), (15, 3629, 467, 1258));
    assert_eq!(totals("btad"), (3, 1799, 451, 290));
    assert_eq!(totals("mvtec3d"), (10, 2656, 249, 948));
    assert_eq!(totals("visa"), (12, 8659, 962, 1200));
    assert_eq!(totals("union").0, 40);
    for name in Descriptor::names() {
        let descriptor = Descriptor::by_name(name).unwrap();
        assert_eq!(descriptor.name, name);
        layout_by_name(&descriptor.layout).unwrap();
        let results: Vec<_> = descriptor.classes.iter().filter_map(|c| c.published).collect();
        let Some(mean) = descriptor.published.filter(|_| !results.is_empty()) else {
            continue;
        };
        let n = results.len() as f64;
        let image = results.iter().map(|r| r.image_auroc).sum::<f64>() / n;
        let pixel = results.iter().map(|r| r.pixel_auroc).sum::<f64>() / n;
        assert!((image - mean.image_auroc).abs() < 1.5e-3, "{name}: {image}");
        assert!((pixel - mean.pixel_auroc).abs() < 1.5e-3, "{name}: {pixel}");
    }
}

#[test]
fn published_numbers_are_the_authors() {
    let set = |name: &str| Descriptor::by_name(name).unwrap();
    let class = |set: &Descriptor, name: &str| {
        let class = set.classes.iter().find(|c| c.name == name).unwrap();
        class.published.map(|p| (p.image_auroc, p.pixel_auroc)).unwrap()
    };
    let mean = |set: &Descriptor| set.published.map(|p| (p.image_auroc, p.pixel_auroc)).unwrap();
    for (name, expected) in [
        ("mvtec", (0.984, 0.979)),
        ("btad", (0.949, 0.980)),
        ("mvtec3d", (0.871, 0.977)),
        ("visa", (0.971, 0.989)),
        ("union", (0.935, 0.975)),
    ] {
        let set = set(name);
        assert_eq!(mean(&set), expected, "{name}");
        assert!(set.classes.iter().all(|c| c.published.is_some()), "{name}");
        let protocol = set.protocol.unwrap();
        assert_eq!(
            (protocol.method.as_str(), protocol.img_size, protocol.passes),
            ("HGAD", 1024, 200)
        );
        assert_eq!(protocol.backbone, "tf_efficientnet_b6");
    }
    assert_eq!(class(&set("mvtec"), "toothbrush"), (0.911, 0.990));
    assert_eq!(class(&set("mvtec"), "transistor"), (0.977, 0.913));
    assert_eq!(class(&set("btad"), "02"), (0.859, 0.973));
    assert_eq!(class(&set("visa"), "fryum"), (0.984, 0.949));
    assert_eq!(class(&set("mvtec3d"), "potato"), (0.690, 0.950));
    let others = set("mvtec").others;
    let others: Vec<_> =
        others.iter().map(|o| (o.method.as_str(), o.image_auroc, o.pixel_auroc)).collect();
    assert_eq!(others, [("VQ-Flow", 0.995, 0.983), ("Dinomaly", 0.996, 0.984)]);
}

#[test]
fn real_photographs_are_counted() {
    let assets = std::env::var("HGAD_ASSETS")
        .unwrap_or_else(|_| format!("{}/../../../shared", env!("CARGO_MANIFEST_DIR")));
    let root = Path::new(&assets).join("data/real5");
    if !root.is_dir() {
        println!("skipped: {} does not exist, set HGAD_ASSETS", root.display());
        return;
    }
    let set = open("folder", &root).unwrap();
    assert_eq!(set.classes(), ["bottle", "grid", "magnetic_tile", "pcb", "screw"]);
    let expected = [(209, 20, 63), (264, 21, 57), (300, 80, 150), (200, 50, 80), (320, 41, 119)];
    for (class, expected) in expected.into_iter().enumerate() {
        assert_eq!(count(&*set, class), expected, "{}", set.classes()[class]);
    }
    for class in 0..5 {
        let sample = set.samples().iter().find(|s| s.class == class && s.is_anomalous()).unwrap();
        let mask = set.mask(sample).unwrap().unwrap();
        assert_eq!(set.image(sample).unwrap().dimensions(), mask.dimensions());
        assert!(mask.iter().any(|v| *v != 0));
    }
}
