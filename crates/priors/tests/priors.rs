//! Starts against the oracle's, and what must hold of every prior.

use candle_core::{DType, Device, Tensor};
use hgad_parameters::Parameters;
use hgad_priors::{
    HierarchicalMixture, Learned, Prior, PriorConfig, Spread, build, starting_centers,
};

fn prior(kind: &str) -> Box<dyn Prior> {
    let p = Parameters::new(1, DType::F64, &Device::Cpu);
    let config =
        PriorConfig { kind: kind.into(), classes: 3, dim: 6, centers: 4, ..Default::default() };
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
fn more_classes_than_dimensions_start_apart() {
    for (c, d) in [(5, 2), (9, 3), (4, 1)] {
        let mu = starting_centers(c, d);
        let square = |i: usize, j: usize| {
            (0..d).map(|k| (mu[i * d + k] - mu[j * d + k]).powi(2)).sum::<f64>()
        };
        let norm = |i: usize| mu[i * d..(i + 1) * d].iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!((0..c).all(|i| (norm(i) - 5.0).abs() < 1e-9));
        // On a line there are two places alone.
        let apart =
            (0..c).flat_map(|i| (0..i).map(move |j| (i, j))).filter(|(i, j)| square(*i, *j) > 4.0);
        assert!(apart.count() >= if d == 1 { 3 } else { c * (c - 1) / 2 }, "{c} in {d}: {mu:?}");
    }
}

#[test]
fn hierarchical_density_is_the_sum_over_centers() {
    let p = Parameters::new(1, DType::F64, &Device::Cpu);
    let config = PriorConfig {
        kind: "hierarchical".into(),
        classes: 3,
        dim: 6,
        centers: 4,
        ..Default::default()
    };
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

/// Deterministic numbers of no pattern.
fn wave(n: usize, step: f64) -> Vec<f64> {
    (0..n).map(|i| (i as f64 * step + 0.3).sin()).collect()
}

/// Moves every parameter of `p` away from its start.
fn stir(p: &Parameters) {
    for (i, (_, var)) in p.trainable_vars().into_iter().enumerate() {
        let by = wave(var.elem_count(), 0.37 + i as f64);
        let by = Tensor::from_vec(by, var.shape(), &Device::Cpu).unwrap();
        var.set(&(var.as_tensor() + (by * 0.5).unwrap()).unwrap()).unwrap();
    }
}

/// `-½ |(z - c) / σ|² - sum ln σ`, number by number.
fn gaussian(z: &[f64], c: &[f64], log_std: &[f64]) -> f64 {
    let terms = z.iter().zip(c).zip(log_std);
    terms.map(|((z, c), s)| -0.5 * ((z - c) / s.exp()).powi(2) - s).sum()
}

fn log_sum_exp(values: &[f64]) -> f64 {
    values.iter().map(|v| v.exp()).sum::<f64>().ln()
}

#[test]
fn diagonal_covariances_are_the_formula() {
    let (b, positions, d, classes, m) = (2usize, 5usize, 6usize, 3usize, 4usize);
    let flat = wave(b * positions * d, 0.7);
    let z = Tensor::from_slice(&flat, (b, positions, d), &Device::Cpu).unwrap();
    let labels = [2u32, 0];
    for kind in ["single", "mixture", "hierarchical"] {
        let p = Parameters::new(1, DType::F64, &Device::Cpu);
        let learned = Learned { spread: Spread::Diagonal, ..Learned::default() };
        let config = PriorConfig {
            kind: kind.into(),
            classes,
            dim: d,
            centers: m,
            learned,
            ..Default::default()
        };
        let prior = build(&p, &config).unwrap();
        stir(&p);
        let state: std::collections::HashMap<_, _> = p.state().into_iter().collect();
        let row = |name: &str, i: usize| {
            let t = state[name].reshape((state[name].elem_count() / d, d)).unwrap();
            t.to_vec2::<f64>().unwrap()[i].clone()
        };
        let log_weights = |name: &str, i: usize| {
            let t = &state[name];
            let k = *t.dims().last().unwrap();
            let w =
                t.reshape((t.elem_count() / k, k)).unwrap().to_vec2::<f64>().unwrap()[i].clone();
            w.iter().map(|v| v - log_sum_exp(&w)).collect::<Vec<_>>()
        };
        let all = prior.log_density(&z, None).unwrap().to_vec2::<f64>().unwrap();
        let own = prior.log_density_of_class(&z, &labels).unwrap().to_vec2::<f64>().unwrap();
        for i in 0..b * positions {
            let (image, position) = (i / positions, i % positions);
            let y = labels[image] as usize;
            let z = &flat[i * d..][..d];
            let (expected_all, expected_own) = if kind == "single" {
                let v = gaussian(z, &vec![0.0; d], &row("log_std", 0));
                (v, v)
            } else {
                let logits: Vec<f64> =
                    (0..classes).map(|k| gaussian(z, &row("mu", k), &row("log_std", k))).collect();
                let w = log_weights("phi_inter", 0);
                let joint: Vec<f64> = logits.iter().zip(&w).map(|(l, w)| l + w).collect();
                let inner = if kind == "mixture" {
                    logits[y]
                } else {
                    let w = log_weights("phi_intra", y);
                    let centers = (0..m).map(|i| {
                        let mut c = row("mu", y);
                        if i > 0 {
                            c.iter_mut()
                                .zip(row("delta", y * (m - 1) + i - 1))
                                .for_each(|(c, d)| *c += d);
                        }
                        gaussian(z, &c, &row("log_std_intra", y * m + i)) + w[i]
                    });
                    log_sum_exp(&centers.collect::<Vec<_>>())
                };
                (log_sum_exp(&joint), inner)
            };
            assert!((all[image][position] - expected_all).abs() < 1e-10, "{kind}");
            assert!((own[image][position] - expected_own).abs() < 1e-10, "{kind}");
        }
        // Every parameter is reached, the deviations too.
        let total = (prior.log_density(&z, None).unwrap().sum_all().unwrap()
            + prior.log_density_of_class(&z, &labels).unwrap().sum_all().unwrap())
        .unwrap();
        let grads = total.backward().unwrap();
        for (name, var) in p.trainable_vars() {
            let g = grads.get(&var).unwrap_or_else(|| panic!("{kind}: {name} has no gradient"));
            assert!(
                g.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap() > 0.0,
                "{name}"
            );
        }
    }
}

#[test]
fn a_diagonal_covariance_starts_as_the_identity() {
    let z = Tensor::from_vec(wave(60, 0.7), (2, 5, 6), &Device::Cpu).unwrap();
    for kind in ["single", "mixture", "hierarchical"] {
        let of = |spread| {
            let p = Parameters::new(1, DType::F64, &Device::Cpu);
            let learned = Learned { spread, ..Learned::default() };
            let config = PriorConfig {
                kind: kind.into(),
                classes: 3,
                dim: 6,
                centers: 4,
                learned,
                ..Default::default()
            };
            let prior = build(&p, &config).unwrap();
            prior.log_density_of_class(&z, &[1, 2]).unwrap()
        };
        let gap = (of(Spread::Identity) - of(Spread::Diagonal)).unwrap().abs().unwrap();
        assert!(gap.max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-10, "{kind}");
    }
}

#[test]
fn what_is_not_learned_is_kept_and_not_trained() {
    let trained = |learned| {
        let p = Parameters::new(1, DType::F64, &Device::Cpu);
        let config = PriorConfig { classes: 3, dim: 6, centers: 4, learned, ..Default::default() };
        build(&p, &config).unwrap();
        assert_eq!(p.state().len(), if learned.spread == Spread::Diagonal { 6 } else { 4 });
        let mut names: Vec<String> = p.trainable_vars().into_iter().map(|(n, _)| n).collect();
        names.sort();
        names
    };
    let all = Learned::default();
    assert_eq!(trained(all), ["delta", "mu", "phi_inter", "phi_intra"]);
    assert_eq!(trained(Learned { weights: false, ..all }), ["delta", "mu"]);
    assert_eq!(trained(Learned { centers: false, ..all }), ["delta", "phi_inter", "phi_intra"]);
    let spread = Spread::Diagonal;
    assert_eq!(
        trained(Learned { weights: false, centers: false, spread }),
        ["delta", "log_std", "log_std_intra"]
    );
}

#[test]
fn another_crate_brings_a_prior_with_options_of_its_own() {
    hgad_priors::register("wide", |p, c| {
        c.options.only("wide", &["centers"])?;
        let centers = c.options.get("wide", "centers", 2, "a whole number")?;
        Ok(Box::new(HierarchicalMixture::new(p, c.classes, c.dim, centers, c.learned)?))
    })
    .unwrap();
    let make = |kind: &str, options: &[(&str, &str)]| {
        let p = Parameters::new(1, DType::F64, &Device::Cpu);
        let options = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let config =
            PriorConfig { kind: kind.into(), classes: 3, dim: 6, options, ..Default::default() };
        build(&p, &config).map(|_| p.count())
    };
    assert!(make("wide", &[("centers", "5")]).unwrap() > make("wide", &[]).unwrap());
    for (kind, option) in [("wide", "centres"), ("hierarchical", "centers")] {
        let message = make(kind, &[(option, "5")]).unwrap_err().to_string();
        assert!(message.contains(option) && message.contains(kind), "{message}");
    }
    let taken = hgad_priors::register("single", |_, _| unreachable!()).unwrap_err().to_string();
    assert!(taken.contains("single"), "{taken}");
}

#[test]
fn wrong_input_is_named() {
    let z = Tensor::zeros((2, 5, 7), DType::F64, &Device::Cpu).unwrap();
    for kind in ["single", "mixture", "hierarchical"] {
        let message = prior(kind).log_density_of_class(&z, &[0, 1]).unwrap_err().to_string();
        assert!(message.contains("(B, P, 6)") && message.contains("[2, 5, 7]"), "{message}");
    }
    let z = Tensor::zeros((2, 5, 6), DType::F64, &Device::Cpu).unwrap();
    let message = prior("mixture").log_density_of_class(&z, &[0, 3]).unwrap_err().to_string();
    assert!(message.contains("class index 3"), "{message}");
    let p = Parameters::new(1, DType::F64, &Device::Cpu);
    let config = PriorConfig {
        kind: "vampire".into(),
        classes: 3,
        dim: 6,
        centers: 4,
        ..Default::default()
    };
    let Err(e) = build(&p, &config) else { panic!("built a prior that does not exist") };
    assert!(e.to_string().contains("hierarchical"), "{e}");
}

#[test]
fn main_centers_are_those_of_the_classes_or_one_for_all() {
    let start = starting_centers(3, 6);
    for (kind, rows) in [("hierarchical", 3), ("mixture", 3), ("single", 1)] {
        let centers = prior(kind).main_centers().unwrap().unwrap();
        assert_eq!(centers.dims(), [rows, 6], "{kind}");
        let got: Vec<f64> =
            centers.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let expected = if rows == 1 { vec![0.0; 6] } else { start.clone() };
        assert!(got.iter().zip(&expected).all(|(g, e)| (g - e).abs() < 1e-12), "{kind}: {got:?}");
    }
}
