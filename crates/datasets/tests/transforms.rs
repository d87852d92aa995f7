//! Against Pillow and torchvision, on four images.

use hgad_datasets::Transform;
use image::{GrayImage, RgbImage};
use safetensors::SafeTensors;

struct Case {
    image: RgbImage,
    mask: GrayImage,
    crop: RgbImage,
    mask_crop: Vec<bool>,
    /// (3, side, side)
    normalized: Vec<f32>,
    side: usize,
}

fn cases() -> Vec<(&'static str, Case)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transforms.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let pixels = |name: String| {
        let tensor = file.tensor(&name).unwrap();
        (tensor.shape().to_vec(), tensor.data().to_vec())
    };
    let rgb = |(shape, data): (Vec<usize>, Vec<u8>)| {
        RgbImage::from_raw(shape[1] as u32, shape[0] as u32, data).unwrap()
    };
    let grey = |(shape, data): (Vec<usize>, Vec<u8>)| {
        GrayImage::from_raw(shape[1] as u32, shape[0] as u32, data).unwrap()
    };
    let read = |name: &'static str| {
        let (shape, normalized) = pixels(format!("{name}.normalized"));
        let to_float = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
        let mask_crop = pixels(format!("{name}.mask_crop")).1;
        let case = Case {
            image: rgb(pixels(format!("{name}.image"))),
            mask: grey(pixels(format!("{name}.mask"))),
            crop: rgb(pixels(format!("{name}.crop"))),
            mask_crop: mask_crop.iter().map(|&v| v != 0).collect(),
            normalized: normalized.chunks_exact(4).map(to_float).collect(),
            side: shape[1],
        };
        (name, case)
    };
    ["down", "up", "odd", "big"].map(read).into()
}

#[test]
fn crops_equal_pillow() {
    for (name, case) in cases() {
        let crop = Transform::imagenet(case.side).crop(&case.image).unwrap();
        assert_eq!(crop.dimensions(), case.crop.dimensions(), "{name}");
        let pairs = || crop.as_raw().iter().zip(case.crop.as_raw());
        let differing = pairs().filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{name}: of {} values", pairs().count());
    }
}

#[test]
fn masks_equal_pillow_exactly() {
    for (name, case) in cases() {
        let mask = Transform::imagenet(1).mask(&case.mask, case.side).unwrap();
        assert_eq!(mask, case.mask_crop, "{name}");
    }
}

#[test]
fn normalized_pixels_equal_torchvision() {
    for (name, case) in cases() {
        let transform = Transform::imagenet(case.side);
        let area = case.side * case.side;
        let expected = |i: usize| case.normalized[(i % 3) * area + i / 3];
        // The same crop gives the same floats; one level of difference is 1 / 255 / 0.224.
        let exact = transform.normalize(&case.crop);
        let own = transform.image(&case.image).unwrap();
        assert_eq!(own.len(), case.normalized.len());
        for i in 0..own.len() {
            assert!((exact[i] - expected(i)).abs() < 1e-6, "{name} {i}");
            assert!((own[i] - expected(i)).abs() < 0.01752, "{name} {i}");
        }
    }
}

#[test]
fn fingerprints_tell_transforms_apart() {
    let a = Transform::imagenet(256);
    assert_eq!(a.fingerprint(), Transform::imagenet(256).fingerprint());
    assert_ne!(a.fingerprint(), Transform::imagenet(255).fingerprint());
    let b = Transform { std: [0.229, 0.224, 0.226], ..a };
    assert_ne!(a.fingerprint(), b.fingerprint());
}

#[test]
fn impossible_sizes_are_errors() {
    let image = RgbImage::new(4, 4);
    let error = Transform::imagenet(0).image(&image).unwrap_err().to_string();
    assert!(error.contains("4x4") && error.contains("0x0"), "{error}");
    assert!(Transform::imagenet(8).image(&RgbImage::new(0, 3)).is_err());
    assert!(Transform::imagenet(8).mask(&GrayImage::new(3, 0), 8).is_err());
}
