//! What goes wrong says what, where, and what to do.

mod tiny;

use std::path::Path;

use hgad_datasets::{
    DatasetError, Descriptor, Report, find_unreadable, layout_by_name, open, read_image, read_mask,
    verify_image,
};
use image::{DynamicImage, GrayAlphaImage, GrayImage, Luma, LumaA, Rgba, RgbaImage};
use tiny::Folder;

fn failure(name: &str, root: &Path) -> DatasetError {
    open(name, root).err().expect("an error")
}

#[track_caller]
fn says(error: &DatasetError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` in: {text}");
    }
}

#[test]
fn a_missing_root_says_where_it_looked_and_where_to_get_it() {
    let folder = Folder::new();
    let root = folder.path().join("data");
    let error = failure("mvtec", &root);
    assert!(matches!(error, DatasetError::RootMissing { .. }));
    says(
        &error,
        &[
            "mvtec",
            root.to_str().unwrap(),
            root.join("mvtec_anomaly_detection").to_str().unwrap(),
            "does not exist",
            "CLASS/train/good",
            "https://www.mvtec.com",
            "CC BY-NC-SA 4.0",
        ],
    );
    folder.text("data/readme.txt", "nothing here");
    says(&failure("mvtec", &root), &["is there, but holds no class"]);
    says(&failure("visa", &root), &["split_csv/1cls.csv", "amazon-science"]);
    says(&failure("union", &root), &["mvtec"]);
}

#[test]
fn unknown_names_list_the_known_ones() {
    says(&failure("mvtek", Path::new(".")), &["mvtek", "mvtec", "btad", "synthetic"]);
    let error = layout_by_name("zip").err().unwrap();
    says(&error, &["zip", "mvtec3d", "union"]);
    let error = Descriptor::parse("name = 1", "mine.toml").unwrap_err();
    says(&error, &["mine.toml"]);
    let key = "name='a'\ntitle='a'\nlayout='mvtec'\nhomepage='a'\nlicence='a'\ncolour='red'";
    says(&Descriptor::parse(key, "mine.toml").unwrap_err(), &["colour"]);
}

#[test]
fn classes_without_images_are_named() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["bottle", "zip"]);
    folder.remove("zip/train/good");
    let error = failure("mvtec", folder.path());
    assert!(matches!(error, DatasetError::NoTrainingImages { .. }));
    says(&error, &["`zip`", folder.path().join("zip/train/good").to_str().unwrap()]);
}

#[test]
fn a_class_without_test_images_is_allowed() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["bottle", "zip"]);
    folder.remove("zip/test");
    let set = open("folder", folder.path()).unwrap();
    assert_eq!(tiny::count(&*set, 1), (2, 0, 0));
    let text = Report::of(&Descriptor::by_name("folder").unwrap(), &*set).unwrap().to_string();
    assert_eq!(text.lines().filter(|l| l.contains("no test images")).count(), 1, "{text}");
}

#[test]
fn a_class_without_anomalies_is_allowed() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["bottle"]);
    folder.remove("bottle/test/broken");
    folder.remove("bottle/ground_truth");
    let set = open("folder", folder.path()).unwrap();
    assert_eq!(tiny::count(&*set, 0), (2, 1, 0));
}

#[test]
fn missing_masks_are_named() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["bottle"]);
    folder.remove("bottle/ground_truth/broken/001.png");
    let error = failure("mvtec", folder.path());
    assert!(matches!(error, DatasetError::MaskMissing { .. }));
    let expected = folder.path().join("bottle/ground_truth/broken/001_mask.png");
    says(&error, &["bottle/test/broken/001.png", expected.to_str().unwrap()]);

    folder.remove("bottle/ground_truth");
    let error = failure("mvtec", folder.path());
    assert!(matches!(error, DatasetError::NoGroundTruth { .. }));
    says(&error, &["`bottle`", "ground_truth"]);
}

#[test]
fn a_mask_of_another_size_names_both() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["bottle"]);
    folder.mask("bottle/ground_truth/broken/000_mask.png", (6, 8), 255);
    let set = open("mvtec", folder.path()).unwrap();
    let error = set.mask(&set.samples()[2]).unwrap_err();
    assert!(matches!(error, DatasetError::MaskSize { .. }));
    says(&error, &["000_mask.png", "6x8", "test/broken/000.bmp", "8x6"]);
}

#[test]
fn truncated_and_false_images_are_corrupt() {
    let folder = Folder::new();
    tiny::mvtec(&folder, "", &["bottle"]);
    let noise =
        |x: u32, y: u32| image::Rgb([(x * 37 + y * 91) as u8, (x * y) as u8, (x ^ y) as u8]);
    let image = image::RgbImage::from_fn(64, 64, noise);
    for ending in ["png", "jpg", "bmp", "tif", "webp"] {
        let path = folder.path().join(format!("whole.{ending}"));
        image.save(&path).unwrap();
        verify_image(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for share in [0.02, 0.5, 0.95] {
            let cut = folder.path().join(format!("cut.{ending}"));
            std::fs::write(&cut, &bytes[..(bytes.len() as f64 * share) as usize]).unwrap();
            let error = verify_image(&cut).expect_err(&format!("{ending} cut at {share}"));
            assert!(matches!(error, DatasetError::Corrupt { .. }), "{error}");
            says(&error, &[cut.to_str().unwrap(), "corrupt or truncated"]);
        }
    }
    folder.text("bottle/test/good/000.png", "this is no image");
    folder.text("bottle/train/good/001.JPG", "");
    let set = open("mvtec", folder.path()).unwrap();
    let bad = find_unreadable(&*set, set.samples(), |_| ());
    let indices: Vec<usize> = bad.iter().map(|(i, _)| *i).collect();
    assert_eq!(indices, [1, 4]);
    says(&bad[1].1, &["bottle/test/good/000.png"]);
    let gone = read_image(&folder.path().join("gone.png")).unwrap_err();
    assert!(matches!(gone, DatasetError::Io { .. }), "{gone}");
}

#[test]
fn oversized_images_are_refused_before_decoding() {
    let folder = Folder::new();
    let path = folder.path().join("huge.bmp");
    let mut header = b"BM".to_vec();
    header.extend([0; 8]);
    header.extend(54u32.to_le_bytes());
    header.extend(40u32.to_le_bytes());
    header.extend(30_000i32.to_le_bytes());
    header.extend(30_000i32.to_le_bytes());
    header.extend([1, 0, 24, 0]);
    header.extend([0; 24]);
    std::fs::write(&path, header).unwrap();
    let error = read_image(&path).unwrap_err();
    assert!(matches!(error, DatasetError::TooLarge { .. }), "{error}");
    says(&error, &["huge.bmp", "30000x30000"]);
}

#[test]
fn grey_deep_and_transparent_images_become_rgb() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name);
    GrayImage::from_pixel(2, 2, Luma([77])).save(path("grey.png")).unwrap();
    assert_eq!(read_image(&path("grey.png")).unwrap().get_pixel(1, 1).0, [77; 3]);
    let deep = image::ImageBuffer::from_pixel(2, 2, Luma([77u16 * 257]));
    DynamicImage::ImageLuma16(deep).save(path("deep.png")).unwrap();
    assert_eq!(read_image(&path("deep.png")).unwrap().get_pixel(0, 1).0, [77; 3]);
    RgbaImage::from_pixel(2, 2, Rgba([10, 20, 30, 0])).save(path("clear.png")).unwrap();
    assert_eq!(read_image(&path("clear.png")).unwrap().get_pixel(0, 0).0, [10, 20, 30]);

    let faint = image::ImageBuffer::from_fn(2, 1, |x, _| Luma([x as u16]));
    DynamicImage::ImageLuma16(faint).save(path("faint.png")).unwrap();
    assert_eq!(read_mask(&path("faint.png")).unwrap().into_raw(), [0, 255]);
    let red = image::RgbImage::from_fn(2, 1, |x, _| image::Rgb([x as u8, 0, 0]));
    red.save(path("red.png")).unwrap();
    assert_eq!(read_mask(&path("red.png")).unwrap().into_raw(), [0, 255]);
}

#[test]
fn every_level_becomes_the_rgb_that_the_image_crate_makes_of_it() {
    let folder = Folder::new();
    let level = |x: u32, step: u32| (x * step % 256) as u8;
    let images = [
        DynamicImage::from(GrayImage::from_fn(256, 2, |x, y| Luma([level(x, 1 + 2 * y)]))),
        DynamicImage::from(GrayAlphaImage::from_fn(256, 2, |x, y| {
            LumaA([level(x, 3), level(x, 7 + 2 * y)])
        })),
        DynamicImage::from(RgbaImage::from_fn(256, 2, |x, y| {
            Rgba([level(x, 1), level(x, 3), level(x, 5), level(x, 7 + 2 * y)])
        })),
    ];
    for (i, image) in images.into_iter().enumerate() {
        let path = folder.path().join(format!("{i}.png"));
        image.save(&path).unwrap();
        assert_eq!(image::open(&path).unwrap().color(), image.color());
        assert_eq!(read_image(&path).unwrap(), image.into_rgb8(), "{i}");
    }
}

#[test]
fn tables_that_make_no_sense_name_the_line() {
    let folder = Folder::new();
    let rows = [
        ("", "line 1", "empty"),
        ("object,split,label,image\n", "line 1", "`mask`"),
        ("object,split,label,image,mask\n", "line 2", "no images"),
        ("object,split,label,image,mask\na,train,odd,a.png,\n", "line 2", "`odd`"),
        ("object,split,label,image,mask\n\na,half,normal,a.png,\n", "line 3", "`half`"),
        ("object,split,label,image,mask\na,train,anomaly,a.png,b.png\n", "line 2", "train split"),
        ("object,split,label,image,mask\na,train,normal,../a.png,\n", "line 2", "../a.png"),
        ("object,split,label,image,mask\na,train,normal,,\n", "line 2", "not a path"),
        ("object,split,label,image,mask\na,test,anomaly,a.png,\n", "a.png", "line 2"),
        ("object,split,label,image,mask\na,test,normal,a.png,\n", "`a`", "no training images"),
    ];
    for (table, one, two) in rows {
        folder.text("split_csv/1cls.csv", table);
        says(&failure("visa", folder.path()), &["1cls.csv", one, two]);
    }
}
