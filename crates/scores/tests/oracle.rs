//! Maps, filter, upsampling and scores against the oracle's numbers.

use candle_core::{Device, Tensor};
use hgad_kernels::resize_bilinear_plane;
use hgad_scores::{LevelScores, MapConfig, gaussian_filter, image_score, rule};
use std::collections::HashMap;

fn fixture() -> HashMap<String, Tensor> {
    candle_core::safetensors::load("tests/fixtures/scores.safetensors", &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

fn levels(t: &HashMap<String, Tensor>) -> Vec<LevelScores> {
    [16, 8, 4]
        .into_iter()
        .enumerate()
        .map(|(l, side)| LevelScores {
            height: side,
            width: side,
            likelihood: values(&t[&format!("likelihood{l}")]),
            neg_entropy: Some(values(&t[&format!("neg_entropy{l}")])),
            ..Default::default()
        })
        .collect()
}

#[test]
fn maps_and_image_scores() {
    let t = fixture();
    let config = MapConfig { size: 64, sigma: 4.0, ..MapConfig::default() };
    for (name, key) in
        [("likelihood", "map_likelihood"), ("entropy", "map_entropy"), ("product", "map")]
    {
        let maps = rule(name).unwrap().maps(5, &levels(&t), &config).unwrap();
        assert!(worst(&maps, &values(&t[key])) < 1e-5, "{name}");
        if name == "product" {
            let scores: Vec<f32> = maps.chunks(64 * 64).map(|m| image_score(m, 0.0)).collect();
            assert!(worst(&scores, &values(&t["image_score"])) < 1e-5);
        }
    }
}

#[test]
fn a_sum_is_of_the_maps_of_its_terms() {
    let t = fixture();
    let config = MapConfig { size: 64, sigma: 4.0, ..MapConfig::default() };
    let maps = rule("sum").unwrap().maps(5, &levels(&t), &config).unwrap();
    let expected = (&t["map_likelihood"] + &t["map_entropy"]).unwrap();
    assert!(worst(&maps, &values(&expected)) < 1e-5);
}

#[test]
fn a_temperature_divides_its_term_alone() {
    let t = fixture();
    let plain = MapConfig { size: 64, sigma: 4.0, ..MapConfig::default() };
    let tempered = MapConfig { temperatures: [4.0, 0.5], ..plain.clone() };
    let divided = levels(&t).into_iter().map(|l| LevelScores {
        likelihood: l.likelihood.iter().map(|v| v / 4.0).collect(),
        neg_entropy: l.neg_entropy.map(|e| e.iter().map(|v| v / 0.5).collect()),
        ..l
    });
    let divided: Vec<LevelScores> = divided.collect();
    for name in ["likelihood", "entropy", "product", "sum"] {
        let rule = rule(name).unwrap();
        let maps = rule.maps(5, &levels(&t), &tempered).unwrap();
        assert!(worst(&maps, &rule.maps(5, &divided, &plain).unwrap()) < 1e-5, "{name}");
        assert!(worst(&maps, &rule.maps(5, &levels(&t), &plain).unwrap()) > 1e-3, "{name}");
    }
}

#[test]
fn filter_and_upsampling() {
    let t = fixture();
    let filtered = gaussian_filter(&values(&t["gauss_in"]), 33, 40, 4.0);
    assert!(worst(&filtered, &values(&t["gauss_sigma4"])) < 1e-6);
    let low = values(&t["likelihood0"]);
    let up: Vec<f32> =
        low.chunks(256).flat_map(|p| resize_bilinear_plane(p, 16, 16, 64, 64)).collect();
    assert!(worst(&up, &values(&t["upsampled_likelihood0"])) < 1e-5);
}

#[test]
fn a_filter_wider_than_its_plane_reflects_again() {
    let flat = gaussian_filter(&[2.0; 6], 2, 3, 4.0);
    assert!(flat.iter().all(|v| (v - 2.0).abs() < 1e-6));
}

#[test]
fn what_cannot_be_scored_is_named() {
    let t = fixture();
    let config = MapConfig::default();
    let message = rule("sum-of-all-fears").err().unwrap().to_string();
    assert!(message.contains("product"), "{message}");
    let mut bad = levels(&t);
    bad[1].likelihood[3] = f32::NAN;
    let message = rule("product").unwrap().maps(5, &bad, &config).unwrap_err().to_string();
    assert!(message.contains("level 1"), "{message}");
    let message = rule("product").unwrap().maps(4, &levels(&t), &config).unwrap_err().to_string();
    assert!(message.contains("expected 1024"), "{message}");
    let mut bare = levels(&t);
    bare.iter_mut().for_each(|l| l.neg_entropy = None);
    let message = rule("product").unwrap().maps(5, &bare, &config).unwrap_err().to_string();
    assert!(message.contains("likelihood"), "{message}");
    assert!(rule("likelihood").unwrap().maps(5, &bare, &config).is_ok());
}
