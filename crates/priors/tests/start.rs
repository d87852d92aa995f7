//! Priors that start from data: where Gaussians are placed, and what a full covariance is.

use candle_core::{DType, Device, Tensor, Var};
use hgad_parameters::{Parameters, seeded};
use hgad_priors::{Learned, Prior, PriorConfig, Spread, Start, build};
use std::collections::HashMap;

const DIM: usize = 3;

/// Latents of two classes: stretched, correlated, the second far away and twice as frequent.
fn sample() -> (Vec<f32>, Vec<u32>) {
    let mut draws = seeded(11, "start");
    let (mut z, mut labels) = (Vec::new(), Vec::new());
    for i in 0..3000 {
        let label = u32::from(i % 3 != 0);
        let (a, b, c) = (draws.normal(), draws.normal(), draws.normal());
        let (shift, turn) = if label == 1 { (4.0, -1.0) } else { (0.0, 1.0) };
        let v = [2.0 * a + shift, turn * 1.5 * a + 0.5 * b - shift, 0.2 * c + shift];
        z.extend(v.map(|v| v as f32));
        labels.push(label);
    }
    (z, labels)
}

fn started(kind: &str, spread: Spread) -> (Parameters, Box<dyn Prior>) {
    let parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let learned = Learned { spread, ..Learned::default() };
    let config = PriorConfig {
        kind: kind.into(),
        classes: 2,
        dim: DIM,
        centers: 4,
        learned,
        ..Default::default()
    };
    let prior = build(&parameters, &config).unwrap();
    let (z, labels) = sample();
    assert!(prior.start(&z, &labels, Start::Clusters, &mut seeded(1, "start")).unwrap());
    (parameters, prior)
}

/// A few latents of each class, (2, 4, D), the first image of class 0.
fn latents() -> Tensor {
    let (z, labels) = sample();
    let of = |label: u32| {
        let rows = z.chunks(DIM).zip(&labels).filter(move |(_, l)| **l == label);
        rows.take(4).flat_map(|(v, _)| v.to_vec()).collect::<Vec<f32>>()
    };
    let all = Tensor::from_vec([of(0), of(1)].concat(), (2, 4, DIM), &Device::Cpu).unwrap();
    all.to_dtype(DType::F64).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_started_mixture_is_the_gaussian_of_each_class() {
    let (z, labels) = sample();
    let (_, prior) = started("mixture", Spread::Whitened);
    let got = numbers(&prior.log_density_of_class(&latents(), &[0, 1]).unwrap());
    for (image, class) in [0u32, 1].into_iter().enumerate() {
        let own: Vec<&[f32]> =
            z.chunks(DIM).zip(&labels).filter(|(_, l)| **l == class).map(|(v, _)| v).collect();
        let n = own.len() as f64;
        let mean: Vec<f64> =
            (0..DIM).map(|i| own.iter().map(|v| f64::from(v[i])).sum::<f64>() / n).collect();
        let c = |i: usize, j: usize| {
            let of = |v: &&[f32]| (f64::from(v[i]) - mean[i]) * (f64::from(v[j]) - mean[j]);
            own.iter().map(of).sum::<f64>() / n
        };
        let m =
            [[c(0, 0), c(0, 1), c(0, 2)], [c(1, 0), c(1, 1), c(1, 2)], [c(2, 0), c(2, 1), c(2, 2)]];
        let minor = |a: usize, b: usize, d: usize, e: usize| m[a][d] * m[b][e] - m[a][e] * m[b][d];
        let det =
            m[0][0] * minor(1, 2, 1, 2) - m[0][1] * minor(1, 2, 0, 2) + m[0][2] * minor(1, 2, 0, 1);
        let cofactor = |i: usize, j: usize| {
            let rest =
                |k: usize| [0, 1, 2].into_iter().filter(move |r| *r != k).collect::<Vec<_>>();
            let (r, s) = (rest(i), rest(j));
            let sign = if (i + j).is_multiple_of(2) { 1.0 } else { -1.0 };
            sign * minor(r[0], r[1], s[0], s[1])
        };
        let points = numbers(&latents());
        for p in 0..4 {
            let x = &points[(image * 4 + p) * DIM..][..DIM];
            let d: Vec<f64> = (0..DIM).map(|i| x[i] - mean[i]).collect();
            let square: f64 =
                (0..9).map(|k| d[k / 3] * d[k % 3] * cofactor(k / 3, k % 3) / det).sum();
            let expected = -0.5 * (square + det.ln());
            // The ridge on the correlations costs a little.
            let gap = (got[image * 4 + p] - expected).abs();
            assert!(gap < 0.1 * (1.0 + square), "{} {expected}", got[image * 4 + p]);
        }
    }
}

#[test]
fn one_class_given_and_all_at_once_are_the_same_numbers() {
    let (_, prior) = started("mixture", Spread::Whitened);
    let logits = prior.class_logits(&latents()).unwrap().unwrap();
    for class in [0u32, 1] {
        let own = numbers(&prior.log_density_of_class(&latents(), &[class; 2]).unwrap());
        let of_all = numbers(&logits.narrow(2, class as usize, 1).unwrap());
        assert!(own.iter().zip(&of_all).all(|(a, b)| (a - b).abs() < 1e-6), "{own:?} {of_all:?}");
    }
    let weights = numbers(&prior.log_class_weights().unwrap().unwrap());
    assert!(
        (weights[1] - weights[0] - 2f64.ln()).abs() < 1e-6,
        "shares of the classes: {weights:?}"
    );
}

#[test]
fn clusters_fit_better_than_the_papers_start_and_full_covariances_better_than_diagonal_ones() {
    let mean = |prior: &dyn Prior| {
        let density = numbers(&prior.log_density_of_class(&latents(), &[0, 1]).unwrap());
        density.iter().sum::<f64>() / density.len() as f64
    };
    let parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let config = PriorConfig { classes: 2, dim: DIM, centers: 4, ..Default::default() };
    let paper = build(&parameters, &config).unwrap();
    let of = |spread| mean(started("hierarchical", spread).1.as_ref());
    let (unit, diagonal, full) = (of(Spread::Identity), of(Spread::Diagonal), of(Spread::Whitened));
    assert!(
        mean(paper.as_ref()) < unit && unit < diagonal && diagonal < full,
        "{unit} {diagonal} {full}"
    );
}

#[test]
fn gradients_reach_latents_and_parameters_of_full_covariances() {
    for kind in ["mixture", "hierarchical"] {
        let (parameters, prior) = started(kind, Spread::Whitened);
        let value = |z: &Tensor| {
            let given = prior.log_density_of_class(z, &[0, 1]).unwrap().sum_all().unwrap();
            (given + prior.log_density(z, None).unwrap().sum_all().unwrap()).unwrap()
        };
        let z = Var::from_tensor(&latents()).unwrap();
        let grads = value(z.as_tensor()).backward().unwrap();
        let got = numbers(grads.get(&z).unwrap());
        let at = numbers(z.as_tensor());
        for i in 0..at.len() {
            let moved = |step: f64| {
                let mut v = at.clone();
                v[i] += step;
                let z = Tensor::from_vec(v, (2, 4, DIM), &Device::Cpu).unwrap();
                value(&z).to_scalar::<f64>().unwrap()
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((got[i] - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{kind} {i}");
        }
        let trained: HashMap<String, Var> = parameters.trainable_vars().into_iter().collect();
        assert!(!trained.contains_key("whitening"));
        assert!(trained.values().all(|v| grads.get(v).is_some()), "{kind}");
    }
}

#[test]
fn what_cannot_start_is_refused_or_says_so() {
    let (_, prior) = started("hierarchical", Spread::Diagonal);
    let mut draws = seeded(0, "start");
    let error =
        prior.start(&[0.0; 6], &[0, 2], Start::Clusters, &mut draws).unwrap_err().to_string();
    assert!(error.contains("class index 2"), "{error}");
    assert!(prior.start(&[0.0; 5], &[0, 1], Start::Coreset, &mut draws).is_err());
    let parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    let config = PriorConfig { kind: "single".into(), dim: DIM, ..Default::default() };
    assert!(
        !build(&parameters, &config)
            .unwrap()
            .start(&[0.0; 3], &[0], Start::Clusters, &mut draws)
            .unwrap()
    );
    let learned = Learned { spread: Spread::Whitened, ..Learned::default() };
    let error = build(&parameters, &PriorConfig { learned, ..config }).err().unwrap().to_string();
    assert!(error.contains("covariance") && error.contains("diagonal"), "{error}");
}

#[test]
fn a_memory_beside_a_prior_measures_in_the_coordinates_of_the_class() {
    let (z, labels) = sample();
    for spread in [Spread::Identity, Spread::Whitened] {
        let (_, alone) = started("hierarchical", spread);
        let parameters = Parameters::new(1, DType::F64, &Device::Cpu);
        let config = PriorConfig {
            classes: 2,
            dim: DIM,
            centers: 4,
            memory: 50,
            learned: Learned { spread, ..Learned::default() },
            ..Default::default()
        };
        let prior = build(&parameters, &config).unwrap();
        let mut draws = seeded(1, "start");
        assert!(prior.start(&z, &labels, Start::Clusters, &mut draws).unwrap());
        for class in 0..2 {
            let of_class = z.chunks_exact(DIM).zip(&labels).filter(|(_, l)| **l == class);
            let own: Vec<f32> = of_class.flat_map(|(z, _)| z.iter().copied()).collect();
            prior.remember(class, &own, &mut seeded(2, "memory")).unwrap();
        }
        assert!(prior.remembers() && !alone.remembers() && prior.has_intra_classes());
        assert!(alone.nearness_of_class(&latents(), &[0, 1]).unwrap().is_none());

        // The density is that of the prior alone, to the last bit.
        let given = |p: &dyn Prior| numbers(&p.log_density_of_class(&latents(), &[0, 1]).unwrap());
        assert_eq!(given(prior.as_ref()), given(alone.as_ref()));
        let evidence = |p: &dyn Prior| numbers(&p.class_logits(&latents()).unwrap().unwrap());
        assert_eq!(evidence(prior.as_ref()), evidence(alone.as_ref()));

        // The nearest of what is kept, found one by one.
        let kept = numbers(&parameters.state().into_iter().find(|(n, _)| n == "memory").unwrap().1);
        let u = numbers(&prior.coordinates_of_class(&latents(), &[0, 1]).unwrap());
        let got = numbers(&prior.nearness_of_class(&latents(), &[0, 1]).unwrap().unwrap());
        for (i, u) in u.chunks(DIM).enumerate() {
            let own = &kept[i / 4 * 50 * DIM..][..50 * DIM];
            let square = |m: &[f64]| -> f64 { m.iter().zip(u).map(|(m, u)| (m - u).powi(2)).sum() };
            let nearest = own.chunks(DIM).map(square).fold(f64::INFINITY, f64::min);
            assert!((got[i] + 0.5 * nearest).abs() < 1e-4, "{i}: {} {nearest}", got[i]);
        }
        // In whitened coordinates every direction of a class's own sample counts alike.
        if spread == Spread::Whitened {
            let own = &kept[..50 * DIM];
            let widest =
                |k: usize| own.iter().skip(k).step_by(DIM).fold(0.0, |m, v| v.abs().max(m));
            let all = [0, 1, 2].map(widest);
            assert!(all.iter().all(|w| (2.0..5.0).contains(w)), "{all:?}");
        }
        // A class without latents has nothing to remember, and a refusal forgets nothing.
        let error = prior.remember(0, &[], &mut draws).unwrap_err().to_string();
        assert!(error.contains("every class"), "{error}");
        assert!(prior.remember(7, &z[..DIM], &mut draws).is_err());
        assert!(prior.remember(0, &z[1..DIM], &mut draws).is_err());
        assert_eq!(numbers(&prior.nearness_of_class(&latents(), &[0, 1]).unwrap().unwrap()), got);
        // Another memory of one class leaves the other's.
        prior.remember(0, &z[..DIM], &mut draws).unwrap();
        let after = numbers(&prior.nearness_of_class(&latents(), &[0, 1]).unwrap().unwrap());
        assert!(after[..4] != got[..4] && after[4..] == got[4..]);
    }
}
