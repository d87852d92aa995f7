//! Likelihood and entropy of positions against the oracle's numbers.

use candle_core::{DType, Device, Tensor};
use hgad_parameters::Parameters;
use hgad_priors::{PriorConfig, build};
use hgad_scores::{ScoreError, Wanted, class_evidence, score_terms};
use std::collections::HashMap;

#[test]
fn score_terms_of_the_hierarchical_prior() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../losses/tests/fixtures");
    let load = |name: &str| -> HashMap<String, Tensor> {
        candle_core::safetensors::load(format!("{dir}/{name}.safetensors"), &Device::Cpu).unwrap()
    };
    let (flow, t) = (load("flow_for_losses"), load("losses"));
    let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
    let config = PriorConfig {
        kind: "hierarchical".into(),
        classes: 5,
        dim: 48,
        centers: 4,
        ..Default::default()
    };
    let prior = build(&parameters, &config).unwrap();
    parameters.load("prior.", &t).unwrap();
    let z = flow["z"].reshape((1, 24, 48)).unwrap();
    let log_det = flow["logdet"].reshape((1, 24)).unwrap();
    let terms = score_terms(
        prior.as_ref(),
        &z,
        &log_det,
        &[3],
        Wanted { entropy: true, ..Wanted::default() },
    )
    .unwrap();
    for (got, key) in
        [(terms.likelihood, "score.likelihood"), (terms.neg_entropy.unwrap(), "score.neg_entropy")]
    {
        let got: Vec<f32> = got.flatten_all().unwrap().to_vec1().unwrap();
        let expected: Vec<f32> = t[key].to_vec1().unwrap();
        let worst = got.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst < 1e-5, "{key}: {worst}");
    }
    assert!(
        score_terms(prior.as_ref(), &z, &log_det, &[3], Wanted::default())
            .unwrap()
            .neg_entropy
            .is_none()
    );
}

#[test]
fn evidence_is_the_sum_of_each_classs_density() {
    let make = |kind: &str| {
        let parameters = Parameters::new(3, DType::F64, &Device::Cpu);
        let config =
            PriorConfig { kind: kind.into(), classes: 3, dim: 6, centers: 4, ..Default::default() };
        build(&parameters, &config).unwrap()
    };
    let z: Vec<f64> = (0..2 * 5 * 6).map(|i| (i as f64 * 0.7).sin()).collect();
    let z = Tensor::from_vec(z, (2, 5, 6), &Device::Cpu).unwrap();
    for kind in ["mixture", "hierarchical"] {
        let prior = make(kind);
        let got = class_evidence(prior.as_ref(), &z).unwrap().to_vec2::<f64>().unwrap();
        for (image, row) in got.iter().enumerate() {
            assert_eq!(row.len(), 3);
            for (class, got) in row.iter().enumerate() {
                let labels = [class as u32; 2];
                let density = prior.log_density_of_class(&z, &labels).unwrap();
                let expected: f64 = density.to_vec2::<f64>().unwrap()[image].iter().sum();
                assert!((got - expected).abs() < 1e-10);
            }
        }
    }
    let single = make("single");
    assert!(matches!(class_evidence(single.as_ref(), &z), Err(ScoreError::NoClasses)));
}
