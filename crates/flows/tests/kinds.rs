//! What must hold of every kind of flow with every permutation, in f32 and f64, at odd dimensions,
//! with a condition and without.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{input, nudge, numeric_log_det, values, worst};
use hgad_flows::{
    ActNorm, ActNormStart, Bijection, Chain, FeatureMaps, FlowConfig, PERMUTATIONS, Permutation,
    build, kinds, position_encoding, register,
};
use hgad_parameters::{Parameters, seeded};
use proptest::prelude::*;

const OWN: [&str; 6] = ["coupling", "nice", "realnvp", "glow", "spline", "fastflow"];

struct Case {
    flow: Box<dyn Bijection>,
    parameters: Parameters,
    code: Option<Tensor>,
}

/// A flow away from its start, over maps of `map`.
fn case(
    kind: &str,
    permutation: Option<&str>,
    dim: usize,
    conditional: bool,
    map: (usize, usize),
    dtype: DType,
) -> Case {
    let p = Parameters::new(dim as u64, dtype, &Device::Cpu);
    let config = FlowConfig {
        kind: kind.into(),
        dim,
        blocks: 3,
        condition: if conditional { 4 } else { 0 },
        map,
        permutation: permutation.map(|n| Permutation::named(n).unwrap()),
        reflections: 3,
        bins: 4,
        tail_bound: 1.5,
        ..Default::default()
    };
    let flow = build(&p, &config).unwrap();
    nudge(&p, 9, 0.15);
    let code =
        conditional.then(|| position_encoding(4, map.0, map.1, dtype, &Device::Cpu).unwrap());
    Case { flow, parameters: p, code }
}

fn permutation(index: usize) -> Option<&'static str> {
    PERMUTATIONS.get(index).copied()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn inverse_undoes_forward(
        kind in 0usize..6, mixing in 0usize..5, dim in 2usize..16, conditional: bool, f64s: bool,
        seed in 0u64..1000,
    ) {
        let dtype = if f64s { DType::F64 } else { DType::F32 };
        let c = case(OWN[kind], permutation(mixing), dim, conditional, (2, 3), dtype);
        let x = input(seed, 12, dim, dtype);
        let (z, forward) = c.flow.forward(&x, c.code.as_ref()).unwrap();
        prop_assert_eq!((z.dims(), forward.dims()), (&[12, dim][..], &[12][..]));
        let (back, inverse) = c.flow.inverse(&z, c.code.as_ref()).unwrap();
        let bound = if f64s { 1e-8 } else { 5e-3 };
        prop_assert!(worst(&back, &x) < bound, "{} {}", OWN[kind], worst(&back, &x));
        let sum = worst(&forward, &inverse.neg().unwrap());
        prop_assert!(sum < bound, "{} {sum}", OWN[kind]);
        prop_assert!(worst(&z, &x) > 0.01);
    }

    #[test]
    fn log_det_is_the_jacobians(
        kind in 0usize..6, mixing in 0usize..5, dim in 2usize..8, conditional: bool,
        seed in 0u64..1000,
    ) {
        // A flow over whole maps is a bijection of the map; the others are of each vector.
        let map = if OWN[kind] == "fastflow" { (2, 3) } else { (1, 1) };
        let c = case(OWN[kind], permutation(mixing), dim, conditional, map, DType::F64);
        prop_assert_eq!(c.flow.whole_maps(), map != (1, 1));
        let x = input(seed, map.0 * map.1, dim, DType::F64);
        let (_, log_det) = c.flow.forward(&x, c.code.as_ref()).unwrap();
        let got: f64 = values(&log_det).iter().sum();
        let expected = numeric_log_det(&*c.flow, &x, c.code.as_ref());
        prop_assert!((expected - got).abs() < 1e-6, "{}: {expected} {got}", OWN[kind]);
        // Of one input it may be 0 by chance, of several it is not.
        let others = (1..4).map(|i| {
            let x = input(seed + 1000 * i, map.0 * map.1, dim, DType::F64);
            let (_, log_det) = c.flow.forward(&x, c.code.as_ref()).unwrap();
            values(&log_det).iter().sum::<f64>().abs()
        });
        let largest = others.fold(got.abs(), f64::max);
        prop_assert!(largest > 1e-4, "{}: {largest}", OWN[kind]);
    }
}

/// A scalar with a gradient of its own for every element, forward or back.
fn loss(c: &Case, x: &Tensor, back: bool) -> Tensor {
    let (z, log_det) = match back {
        false => c.flow.forward(x, c.code.as_ref()).unwrap(),
        true => c.flow.inverse(x, c.code.as_ref()).unwrap(),
    };
    let weights = |t: &Tensor, name: &str| {
        let mut draws = seeded(1, name);
        let w: Vec<f64> = (0..t.elem_count()).map(|_| draws.normal()).collect();
        Tensor::from_vec(w, t.shape(), &Device::Cpu).unwrap().to_dtype(t.dtype()).unwrap()
    };
    let z = (&z * weights(&z, "z")).unwrap().sum_all().unwrap();
    (z + (&log_det * weights(&log_det, "l")).unwrap().sum_all().unwrap()).unwrap()
}

/// Gradients for the input and for every parameter, by name.
fn gradients(c: &Case, x: &Tensor, back: bool) -> Vec<(String, Var, Vec<f64>)> {
    let x = Var::from_tensor(x).unwrap();
    let grads = loss(c, x.as_tensor(), back).backward().unwrap();
    let mut vars = vec![("x".to_string(), x)];
    vars.extend(c.parameters.trainable_vars());
    let of = |(name, var): (String, Var)| {
        let g = values(grads.get(&var).unwrap_or_else(|| panic!("{name} has no gradient")));
        (name, var, g)
    };
    vars.into_iter().map(of).collect()
}

fn all_cases(dim: usize, dtype: DType) -> Vec<(String, Case)> {
    let mut all = Vec::new();
    for kind in OWN {
        for permutation in PERMUTATIONS {
            for conditional in [false, true] {
                let c = case(kind, Some(permutation), dim, conditional, (2, 3), dtype);
                all.push((format!("{kind}, {permutation}, condition {conditional}"), c));
            }
        }
    }
    all
}

/// Autograd in f64, forward and back, against differences along a random direction of everything.
#[test]
fn gradients_are_those_of_finite_differences() {
    for (name, c) in all_cases(5, DType::F64) {
        let x = input(3, 12, 5, DType::F64);
        for back in [false, true] {
            let all = gradients(&c, &x, back);
            let mut draws = seeded(7, &name);
            let direction: Vec<Vec<f64>> =
                all.iter().map(|(_, _, g)| g.iter().map(|_| draws.normal()).collect()).collect();
            let expected: f64 = all
                .iter()
                .zip(&direction)
                .map(|((_, _, g), d)| g.iter().zip(d).map(|(a, b)| a * b).sum::<f64>())
                .sum();
            let h = 1e-6;
            let at = |sign: f64| {
                let moved = |var: &Var, d: &[f64]| {
                    let d = Tensor::from_slice(d, var.shape(), &Device::Cpu).unwrap();
                    (var.as_tensor().copy().unwrap() + (d * (sign * h)).unwrap()).unwrap()
                };
                let before: Vec<Tensor> =
                    all.iter().map(|(_, v, _)| v.as_tensor().copy().unwrap()).collect();
                for ((_, var, _), d) in all.iter().zip(&direction) {
                    var.set(&moved(var, d)).unwrap();
                }
                let value = values(&loss(&c, all[0].1.as_tensor(), back))[0];
                all.iter().zip(&before).for_each(|((_, var, _), t)| var.set(t).unwrap());
                value
            };
            let got = (at(1.0) - at(-1.0)) / (2.0 * h);
            let scale = expected.abs().max(1.0);
            assert!((got - expected).abs() < 1e-5 * scale, "{name}, back {back}: {got} {expected}");
        }
    }
}

/// What trains on the CPU, in f32, against f64.
#[test]
fn gradients_in_f32_are_those_in_f64() {
    for ((name, single), (_, double)) in
        all_cases(7, DType::F32).iter().zip(all_cases(7, DType::F64))
    {
        let x = input(3, 12, 7, DType::F32);
        let got = gradients(single, &x, false);
        let expected = gradients(&double, &x.to_dtype(DType::F64).unwrap(), false);
        for ((part, _, a), (_, _, b)) in got.iter().zip(&expected) {
            let scale = b.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            let worst = a.iter().zip(b).fold(0f64, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst / scale < 1e-3, "{name}, {part}: {worst} of {scale}");
        }
    }
}

#[test]
fn fixed_permutations_keep_the_fused_path_and_learned_ones_the_frozen_form() {
    for permutation in PERMUTATIONS {
        fused_and_frozen(permutation, 9, 0.0);
    }
}

#[test]
fn layers_whose_rectifiers_hold_back_few_most_or_half() {
    for shift in [3.0, -1.5, 0.0] {
        fused_and_frozen("soft", 130, shift);
    }
}

/// The frozen form and the trainer of a coupling give what candle's operations give, and its
/// gradients; `shift` is added to what goes into the rectifiers.
fn fused_and_frozen(permutation: &str, dim: usize, shift: f64) {
    let (images, (h, w)) = (8, (2, 3));
    let maps: Vec<Vec<f32>> = (0..images)
        .map(|i| values(&input(i, h * w, dim, DType::F32)).iter().map(|v| *v as f32).collect())
        .collect();
    let slices: Vec<&[f32]> = maps.iter().map(Vec::as_slice).collect();
    let x = Tensor::from_vec(maps.concat(), (images as usize * h * w, dim), &Device::Cpu).unwrap();
    for conditional in [false, true] {
        let c = case("coupling", Some(permutation), dim, conditional, (h, w), DType::F32);
        for (name, var) in c.parameters.trainable_vars() {
            if name.ends_with("0.bias") {
                var.set(&(var.as_tensor() + shift).unwrap()).unwrap();
            }
        }
        let (z, log_det) = c.flow.forward(&x, c.code.as_ref()).unwrap();
        let close = |got: &[f32], expected: &Tensor, what: &str| {
            assert_eq!(got.len(), expected.elem_count());
            for (a, b) in got.iter().zip(values(expected)) {
                let error = (*a as f64 - b).abs();
                assert!(error < 1e-4 * (1.0 + b.abs()), "{permutation}, {what}: {a} {b}");
            }
        };
        let frozen = c.flow.freeze(c.code.as_ref()).unwrap().expect("a form for inference");
        let (got_z, got_l) = frozen.forward(&slices, 0, h * w).unwrap();
        close(&got_z, &z, "frozen z");
        close(&got_l, &log_det, "frozen log-determinant");

        let trainer = c.flow.trainer(c.code.as_ref()).unwrap();
        assert_eq!(trainer.is_some(), ["soft", "hard"].contains(&permutation));
        let Some(mut trainer) = trainer else { continue };
        trainer.begin().unwrap();
        let host = FeatureMaps::Host(slices.clone());
        let (got_z, got_l) = trainer.forward(&host, 0, h * w).unwrap();
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        close(&numbers(&got_z), &z, "z");
        close(&numbers(&got_l), &log_det, "log-determinant");
        // The gradients of sum z + sum log-determinant.
        trainer.backward(&got_z.ones_like().unwrap(), &got_l.ones_like().unwrap()).unwrap();
        let loss = (z.sum_all().unwrap() + log_det.sum_all().unwrap()).unwrap();
        let grads = loss.backward().unwrap();
        trainer
            .gradients(&mut |var, got| {
                let expected = grads.get(var).unwrap();
                let scale = values(expected).iter().fold(1.0, |m: f64, v| m.max(v.abs()));
                for (a, b) in got.to_vec()?.iter().zip(values(expected)) {
                    assert!((*a as f64 - b).abs() < 1e-4 * scale, "{permutation}: {a} {b}");
                }
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn a_flow_over_maps_sees_neighbours_of_the_same_image_alone() {
    let c = case("fastflow", None, 4, false, (5, 4), DType::F64);
    let x = input(1, 2 * 20, 4, DType::F64);
    let (z, _) = c.flow.forward(&x, None).unwrap();
    let mut moved = values(&x);
    // Row 4, column 3 of the first image, at its border.
    moved[19 * 4] += 0.5;
    let moved = Tensor::from_vec(moved, x.shape(), &Device::Cpu).unwrap();
    let (other, _) = c.flow.forward(&moved, None).unwrap();
    let change = (z - other).unwrap().abs().unwrap().sum(1).unwrap();
    let change = values(&change);
    // Blocks of 3x3, 1x1, 3x3, each of two convolutions: four steps of one position.
    for (n, change) in change.iter().enumerate() {
        let (image, y, x) = (n / 20, n % 20 / 4, n % 4);
        let near = image == 0 && y >= 3 && x >= 2;
        assert!(!near || *change > 1e-9, "{y}, {x} of image {image} does not see it");
        assert!(image == 0 || *change == 0.0, "{y}, {x} of the other image sees it");
    }
    let message = c.flow.forward(&input(1, 30, 4, DType::F64), None).unwrap_err().to_string();
    assert!(message.contains("5 x 4") && message.contains("30"), "{message}");
}

/// Of each entry over a batch.
fn mean_and_square(z: &Tensor) -> (Vec<f64>, Vec<f64>) {
    (values(&z.mean(0).unwrap()), values(&z.sqr().unwrap().mean(0).unwrap()))
}

#[test]
fn normalizations_start_from_a_first_batch() {
    let p = Parameters::new(0, DType::F64, &Device::Cpu);
    let build = |start, scope: &str| -> Box<dyn Bijection> {
        Box::new(ActNorm::new(&p.scope(scope), 3, start).unwrap())
    };
    let spread = Tensor::new(&[[3.0, 0.2, 0.0]], &Device::Cpu).unwrap();
    let x = input(1, 500, 3, DType::F64).broadcast_mul(&spread).unwrap();
    let x = (x + 2.0).unwrap();
    let as_it_is = build(ActNormStart::Identity, "identity");
    assert!(!as_it_is.starts_from_data());
    as_it_is.initialize(&x, None).unwrap();
    assert_eq!(worst(&as_it_is.forward(&x, None).unwrap().0, &x), 0.0);
    // The second one sees what the first one gives.
    let chain =
        Chain::new(vec![build(ActNormStart::Data, "a"), build(ActNormStart::Data, "b")]).unwrap();
    assert!(chain.starts_from_data());
    chain.initialize(&x, None).unwrap();
    let (z, _) = chain.forward(&x, None).unwrap();
    let (mean, square) = mean_and_square(&z);
    assert!(mean.iter().all(|m| m.abs() < 1e-9), "{mean:?}");
    assert!(square[..2].iter().all(|s| (s - 1.0).abs() < 1e-9), "{square:?}");
    // An entry that does not move is not divided by 0.
    assert!(square[2] < 1e-9, "{square:?}");
    for (_, var) in p.trainable_vars() {
        assert!(values(&var).iter().all(|v| v.abs() < 300.0));
    }
    let second: Vec<Vec<f64>> = ["b.log_scale", "b.shift"]
        .map(|n| values(&p.trainable_vars().iter().find(|(name, _)| name == n).unwrap().1))
        .to_vec();
    assert!(second.iter().all(|v| v[..2].iter().all(|v| v.abs() < 1e-9)), "{second:?}");
}

#[test]
fn global_affine_maps_start_from_a_first_batch() {
    let spread = Tensor::new(&[[3.0, 0.2, 7.0, 1.0, 40.0, 0.5]], &Device::Cpu).unwrap();
    let x = input(1, 480, 6, DType::F64).broadcast_mul(&spread).unwrap();
    let x = (x + 2.0).unwrap();
    for kind in ["coupling", "fastflow"] {
        let of = |affine, dtype| {
            let permutation = Some(Permutation::Hard);
            let dim = 6;
            let c = FlowConfig {
                kind: kind.into(),
                dim,
                blocks: 3,
                condition: 0,
                ..Default::default()
            };
            let c = FlowConfig { map: (6, 8), permutation, affine, ..c };
            build(&Parameters::new(0, dtype, &Device::Cpu), &c).unwrap()
        };
        let as_it_is = of(ActNormStart::Identity, DType::F64);
        assert!(!as_it_is.starts_from_data());
        let before = as_it_is.forward(&x, None).unwrap().0;
        as_it_is.initialize(&x, None).unwrap();
        assert_eq!(worst(&as_it_is.forward(&x, None).unwrap().0, &before), 0.0);
        let flow = of(ActNormStart::Data, DType::F64);
        assert!(flow.starts_from_data());
        flow.initialize(&x, None).unwrap();
        let (z, log_det) = flow.forward(&x, None).unwrap();
        let (mean, square) = mean_and_square(&z);
        assert!(mean.iter().all(|m| m.abs() < 1e-9), "{kind}: {mean:?}");
        assert!(square.iter().all(|s| (s - 1.0).abs() < 1e-9), "{kind}: {square:?}");
        // However far a batch is spread in 32 bits, no gain is 0.
        let wide = (&x * 1e9).unwrap().to_dtype(DType::F32).unwrap();
        let narrow = of(ActNormStart::Data, DType::F32);
        narrow.initialize(&wide, None).unwrap();
        let (far, of_far) = narrow.forward(&wide, None).unwrap();
        let finite =
            |t: &Tensor| values(&t.to_dtype(DType::F64).unwrap()).iter().all(|v| v.is_finite());
        assert!(finite(&far) && finite(&of_far), "{kind}");
        let (back, inverse) = flow.inverse(&z, None).unwrap();
        assert!(worst(&back, &x) < 1e-9, "{kind}");
        assert!(worst(&inverse.neg().unwrap(), &log_det) < 1e-9, "{kind}");
    }
}

#[test]
fn kinds_are_found_by_name_and_wrong_settings_are_named() {
    assert_eq!(kinds()[..6], OWN);
    let p = || Parameters::new(0, DType::F32, &Device::Cpu);
    let good = FlowConfig { dim: 6, blocks: 1, condition: 0, ..Default::default() };
    let of = |kind: &str| FlowConfig { kind: kind.into(), ..good.clone() };
    let refused = |c: &FlowConfig| build(&p(), c).err().unwrap().to_string();
    let message = refused(&of("flew"));
    assert!(message.contains("flew") && message.contains("spline"), "{message}");
    let options: hgad_registry::Options =
        [("speed".to_string(), "3".to_string())].into_iter().collect();
    for kind in OWN {
        build(&p(), &of(kind)).unwrap();
        let c = FlowConfig { options: options.clone(), ..of(kind) };
        assert!(refused(&c).contains("speed"), "{kind}");
        for (c, word) in [
            (FlowConfig { blocks: 0, ..of(kind) }, "blocks"),
            (FlowConfig { dim: 1, ..of(kind) }, "dim"),
            (FlowConfig { hidden_factor: 0, ..of(kind) }, "hidden_factor"),
            (
                FlowConfig {
                    permutation: Some(Permutation::Householder),
                    reflections: 0,
                    ..of(kind)
                },
                "reflections",
            ),
        ] {
            assert!(refused(&c).contains(word), "{kind}: {}", refused(&c));
        }
    }
    for (kind, c, word) in [
        ("spline", FlowConfig { bins: 1, ..good.clone() }, "bins"),
        ("spline", FlowConfig { tail_bound: -1.0, ..good.clone() }, "tail_bound"),
        ("realnvp", FlowConfig { clamp: 0.0, ..good.clone() }, "clamp"),
        ("fastflow", FlowConfig { map: (0, 4), ..good.clone() }, "map"),
    ] {
        let c = FlowConfig { kind: kind.into(), ..c };
        assert!(refused(&c).contains(word), "{kind}: {}", refused(&c));
    }
    assert!(Permutation::named("medium").unwrap_err().to_string().contains("householder"));

    register("rotation", |p, c| Ok(Permutation::Soft.build(p, c.dim, 0)?)).unwrap();
    assert_eq!(build(&p(), &of("rotation")).unwrap().dim(), 6);
    let taken = register("glow", |_, _| unreachable!()).unwrap_err().to_string();
    assert!(taken.contains("glow"), "{taken}");
}

#[test]
fn what_settings_leave_open_is_the_usual_permutation() {
    let parameters = |kind: &str, permutation| -> Vec<(String, Vec<f64>)> {
        let c = case(kind, permutation, 6, false, (1, 2), DType::F64);
        let mut all: Vec<_> =
            c.parameters.state().into_iter().map(|(name, t)| (name, values(&t))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    for kind in OWN {
        let open = parameters(kind, None);
        let usual = Permutation::usual(kind).unwrap();
        for name in PERMUTATIONS {
            assert_eq!(Permutation::named(name).unwrap().name(), name);
            let same = parameters(kind, Some(name)) == open;
            assert_eq!(same, name == usual.name(), "{kind} with {name}");
        }
    }
    assert_eq!(Permutation::usual("of another crate"), None);
}

#[test]
fn what_takes_no_condition_says_so() {
    for kind in OWN {
        let c = case(kind, None, 4, false, (1, 2), DType::F32);
        let code = position_encoding(4, 1, 2, DType::F32, &Device::Cpu).unwrap();
        let x = input(0, 2, 4, DType::F32);
        let message = c.flow.forward(&x, Some(&code)).unwrap_err().to_string();
        assert!(message.contains("none") && message.contains("[2, 4]"), "{kind}: {message}");
        let c = case(kind, None, 4, true, (1, 2), DType::F32);
        let message = c.flow.forward(&x, None).unwrap_err().to_string();
        assert!(message.contains('4') && message.contains("none"), "{kind}: {message}");
        let message = c.flow.forward(&input(0, 2, 5, DType::F32), Some(&code)).unwrap_err();
        assert!(message.to_string().contains("(N, 4)"), "{kind}: {message}");
    }
}
