//! What the filter bank sees.

mod common;

use candle_core::{Device, Tensor};
use hgad_backbones::{Backbone, Scattering};

const SIDE: usize = 96;

fn bank() -> Scattering {
    Scattering::new("scattering", &[8]).unwrap()
}

/// An image (1, SIDE, SIDE, 3) of `f(y, x)`.
fn image(f: impl Fn(usize, usize) -> [f32; 3]) -> Tensor {
    let values: Vec<f32> = (0..SIDE * SIDE).flat_map(|i| f(i / SIDE, i % SIDE)).collect();
    Tensor::from_vec(values, (1, SIDE, SIDE, 3), &Device::Cpu).unwrap()
}

/// A textured surface with noise of about a grey level.
fn surface(y: usize, x: usize) -> f32 {
    let hash = (y * 7919 + x * 104_729).wrapping_mul(2_654_435_761) >> 7;
    let noise = (hash % 1000) as f32 / 1000.0 - 0.5;
    0.4 * ((x as f32 * 0.7).sin() + (y as f32 * 0.45).cos()) + 0.06 * noise
}

/// Distance of the features of two images at each position.
fn distances(bank: &dyn Backbone, a: &Tensor, b: &Tensor) -> Vec<f32> {
    let (a, b) = (bank.extract(a).unwrap().remove(0), bank.extract(b).unwrap().remove(0));
    let d = (a - b).unwrap().sqr().unwrap().sum(3).unwrap().sqrt().unwrap();
    common::flat(&d)
}

/// The change `defect` makes inside rows and columns `around` (in positions) and elsewhere.
fn near_and_far(
    defect: impl Fn(usize, usize) -> [f32; 3],
    around: impl Fn(usize, usize) -> bool,
) -> (f32, f32) {
    let good = image(|y, x| [surface(y, x); 3]);
    let bad = image(|y, x| {
        let (s, d) = (surface(y, x), defect(y, x));
        [s + d[0], s + d[1], s + d[2]]
    });
    let all = distances(&bank(), &good, &bad);
    let positions = SIDE / 8;
    let mean = |inside: bool| {
        let of: Vec<f32> = (0..all.len())
            .filter(|i| around(i / positions, i % positions) == inside)
            .map(|i| all[i])
            .collect();
        of.iter().sum::<f32>() / of.len() as f32
    };
    (mean(true), mean(false))
}

#[test]
fn shapes_at_each_stride() {
    let bank = Scattering::new("scattering", &[16, 4, 8]).unwrap();
    for (h, w) in [(96, 96), (20, 20), (61, 75), (128, 33)] {
        let x = common::numbers("input", &[2, h, w, 3], 1.0, 0.0);
        let maps = bank.extract(&x).unwrap();
        for ((map, level), (height, width)) in
            maps.iter().zip(bank.levels()).zip(bank.map_size(h, w))
        {
            assert_eq!((height, width), (h / level.stride, w / level.stride));
            assert_eq!(map.dims(), [2, height, width, 69]);
            assert!(common::flat(map).iter().all(|v| v.is_finite()));
        }
        assert_eq!(bank.levels().iter().map(|l| l.stride).collect::<Vec<_>>(), [4, 8, 16]);
    }
    let alone = bank_map(&[8]);
    let among = Scattering::new("scattering", &[4, 8]).unwrap().extract(&scene()).unwrap();
    assert_eq!(common::relative(&among[1], &alone), 0.0);
}

fn scene() -> Tensor {
    image(|y, x| [surface(y, x), surface(x, y), surface(y, x / 2)])
}

fn bank_map(taps: &[usize]) -> Tensor {
    Scattering::new("scattering", taps).unwrap().extract(&scene()).unwrap().remove(0)
}

#[test]
fn deterministic_for_any_number_of_threads() {
    let first = bank_map(&[8]);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(common::flat(&pool.install(|| bank_map(&[8]))), common::flat(&first));
    }
}

#[test]
fn a_constant_image_is_finite_and_even() {
    let map = bank().extract(&image(|_, _| [0.3, -1.0, 2.0])).unwrap().remove(0);
    let values = common::flat(&map);
    assert!(values.iter().all(|v| v.is_finite()));
    for position in values.chunks_exact(69) {
        let d = position.iter().zip(&values).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(d < 1e-2, "a constant has edges: {d}");
    }
}

#[test]
fn a_faint_scratch_is_seen_where_it_is() {
    // A line one pixel wide, a tenth of the texture's contrast, down column 50.
    let scratch = |_: usize, x: usize| [if x == 50 { 0.15 } else { 0.0 }; 3];
    let (near, far) = near_and_far(scratch, |_, x| x == 6);
    assert!(near > 0.3, "{near}");
    let (_, far_away) = near_and_far(scratch, |_, x| (4..9).contains(&x));
    assert!(near > 5.0 * far && far_away < 1e-3, "near {near}, elsewhere {far}, far {far_away}");
}

#[test]
fn low_contrast_stains_of_luma_and_of_colour_are_seen() {
    let blob = |y: usize, x: usize| {
        let (dy, dx) = (y as f32 - 48.0, x as f32 - 48.0);
        (-(dy * dy + dx * dx) / 200.0).exp()
    };
    let middle = |y: usize, x: usize| (4..8).contains(&y) && (4..8).contains(&x);
    let (near, far) = near_and_far(|y, x| [0.2 * blob(y, x); 3], middle);
    assert!(near > 0.1 && near > 5.0 * far, "luma: near {near}, far {far}");
    // Of equal luma, and each seen by one opponent channel alone.
    for (name, [r, g, b]) in
        [("red and green", [0.2, -0.11056, 0.04472]), ("blue", [0.025, 0.025, -0.1943])]
    {
        let tint = |y, x| [r * blob(y, x), g * blob(y, x), b * blob(y, x)];
        let (near, far) = near_and_far(tint, middle);
        assert!(near > 0.1 && near > 5.0 * far, "{name}: near {near}, far {far}");
    }
}

#[test]
fn direction_and_frequency_of_a_texture_are_seen() {
    let stripes = |angle: f32, frequency: f32| {
        let (s, c) = angle.sin_cos();
        image(move |y, x| [(frequency * (x as f32 * c + y as f32 * s)).sin() * 0.3; 3])
    };
    let mean = |a: &Tensor, b: &Tensor| {
        let d = distances(&bank(), a, b);
        d.iter().sum::<f32>() / d.len() as f32
    };
    let base = stripes(0.2, 1.0);
    let shifted = image(|y, x| {
        let (s, c) = 0.2f32.sin_cos();
        [(x as f32 * c + y as f32 * s + 1.3).sin() * 0.3; 3]
    });
    let same = mean(&base, &shifted);
    let (turned, finer) = (mean(&base, &stripes(0.8, 1.0)), mean(&base, &stripes(0.2, 1.6)));
    assert!(turned > 3.0 * same, "turned {turned}, shifted {same}");
    assert!(finer > 3.0 * same, "finer {finer}, shifted {same}");
}

#[test]
fn order_two_sees_what_order_one_does_not() {
    // A fine carrier whose amplitude varies slowly, across or along it: the same order-1 averages.
    let modulated = |along: bool| {
        image(move |y, x| {
            let slow = if along { y } else { x } as f32;
            [(x as f32 * 2.1).sin() * (1.0 + (slow * 0.9).cos()) * 0.4; 3]
        })
    };
    let (a, b) =
        (bank().extract(&modulated(true)).unwrap(), bank().extract(&modulated(false)).unwrap());
    let d = (a[0].mean((1, 2)).unwrap() - b[0].mean((1, 2)).unwrap()).unwrap().abs().unwrap();
    let second = common::flat(&d.narrow(1, 51, 18).unwrap());
    assert!(second.iter().cloned().fold(0.0, f32::max) > 0.5, "{second:?}");
}

#[test]
fn order_two_turns_with_the_image() {
    let pixel = |y: usize, x: usize| {
        let (y, x) = (y as f32, x as f32);
        [(x * 2.0 + y * 0.5).sin() * (1.0 + (y * 0.8 - x * 0.3).cos()) * 0.4; 3]
    };
    let upright = bank().extract(&image(pixel)).unwrap().remove(0);
    let turned = bank().extract(&image(|y, x| pixel(x, SIDE - 1 - y))).unwrap().remove(0);
    let d = (upright.mean((1, 2)).unwrap() - turned.mean((1, 2)).unwrap()).unwrap();
    let worst = |from: usize, count: usize| {
        let d = common::flat(&d.narrow(1, from, count).unwrap());
        d.iter().fold(0f32, |m, v| m.max(v.abs()))
    };
    assert!(worst(51, 18) < 0.01, "relative directions: {}", worst(51, 18));
    assert!(worst(3, 18) > 0.5, "absolute directions: {}", worst(3, 18));
}

#[test]
fn refusals() {
    let error = Scattering::new("scattering", &[32]).err().unwrap().to_string();
    assert!(error.contains("[4, 8, 16]"), "{error}");
    assert!(Scattering::new("scattering", &[]).is_err());
    let tiny = common::numbers("input", &[1, 19, 40, 3], 1.0, 0.0);
    let error = bank().extract(&tiny).unwrap_err().to_string();
    assert!(error.contains("20 pixels") && error.contains("19x40"), "{error}");
    let key = |taps: &[usize]| Scattering::new("scattering", taps).unwrap().fingerprint();
    assert_eq!(key(&[8]), key(&[8]));
    assert_ne!(key(&[8]), key(&[4, 8]));
}
