//! Starts against the oracle's, and what must hold of every prior.

use candle_core::{DType, Device, Tensor};
use hgad_parameters::Parameters;
use hgad_priors::{Prior, PriorConfig, build, starting_centers};

fn prior(kind: &str) -> Box<dyn Prior> {
    let p = Parameters::new(1, DType::F64, &Device::Cpu);
    let config = PriorConfig { kind: kind.into(), classes: 3, dim: 6, centers: 4, learned: true };
    build(&p, &config).unwrap()
}

#[test]
fn main_centers_start_as_the_oracles() {
    let file = "tests/fixtures/prior_start.safetensors";
    let t = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    for (name, c, d) in [("mu_15x200", 15, 200), ("mu_3x20", 3, 20), ("mu_40x112", 40, 112)] {
        let expected: Vec<f32> = t[name].flatten_all().unwrap().to_vec1().unwrap();
        let got = starting_centers(c, d);
        assert!(expected.iter().zip(&got).all(|(e, g)| (*e as f64 - g).abs() < 1e-6), "{name}");
    }
}

#[test]
fn hierarchical_density_is_the_sum_over_centers() {
    let p = Parameters::new(1, DType::F64, &Device::Cpu);
    let config =
        PriorConfig { kind: "hierarchical".into(), classes: 3, dim: 6, centers: 4, learned: true };
    let prior = build(&p, &config).unwrap();
    let state: std::collections::HashMap<_, _> = p.state().into_iter().collect();
    let mu = state["mu"].to_vec2::<f64>().unwrap();
    let delta = state["delta"].to_vec3::<f64>().unwrap();
    let z: Vec<f64> = (0..2 * 5 * 6).map(|i| (i as f64 * 0.7).sin()).collect();
    let t = Tensor::from_slice(&z, (2, 5, 6), &Device::Cpu).unwrap();
    let got = prior.log_density_of_class(&t, &[2, 0]).unwrap().to_vec2::<f64>().unwrap();
    for (b, class) in [2usize, 0].into_iter().enumerate() {
        for p in 0..5 {
            let z = &z[(b * 5 + p) * 6..][..6];
            let density: f64 = (0..4)
                .map(|i| {
                    let square: f64 = (0..6)
                        .map(|d| {
                            let c = mu[class][d] + if i > 0 { delta[class][i - 1][d] } else { 0.0 };
                            (z[d] - c).powi(2)
                        })
                        .sum();
                    0.25 * (-0.5 * square).exp()
                })
                .sum();
            assert!((got[b][p] - density.ln()).abs() < 1e-10);
        }
    }
}

#[test]
fn wrong_input_is_named() {
    let z = Tensor::zeros((2, 5, 7), DType::F64, &Device::Cpu).unwrap();
    for kind in hgad_priors::kinds() {
        let message = prior(kind).log_density_of_class(&z, &[0, 1]).unwrap_err().to_string();
        assert!(message.contains("(B, P, 6)") && message.contains("[2, 5, 7]"), "{message}");
    }
    let z = Tensor::zeros((2, 5, 6), DType::F64, &Device::Cpu).unwrap();
    let message = prior("mixture").log_density_of_class(&z, &[0, 3]).unwrap_err().to_string();
    assert!(message.contains("class index 3"), "{message}");
    let p = Parameters::new(1, DType::F64, &Device::Cpu);
    let config =
        PriorConfig { kind: "vampire".into(), classes: 3, dim: 6, centers: 4, learned: true };
    let Err(e) = build(&p, &config) else { panic!("built a prior that does not exist") };
    assert!(e.to_string().contains("hierarchical"), "{e}");
}
