//! What must hold of every bijection: the inverse undoes it, the log-determinant is the
//! Jacobian's, gradients are those of finite differences.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{input, nudge, numeric_log_det, worst};
use hgad_flows::{
    Bijection, CouplingChain, CouplingConfig, FeatureMaps, FlowError, coupling_chain,
    position_encoding,
};
use hgad_parameters::{Parameters, seeded};
use proptest::prelude::*;

fn flow(seed: u64, dim: usize, condition: usize, dtype: DType) -> (CouplingChain, Parameters) {
    let p = Parameters::new(seed, dtype, &Device::Cpu);
    let config = CouplingConfig { condition, ..Default::default() };
    let chain = coupling_chain(&p, dim, 2, &config).unwrap();
    // Away from g = 1, o = 0, where mistakes in the affine map would not show.
    nudge(&p, seed, 0.3);
    (chain, p)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn inverse_undoes_forward(seed in 0u64..1000, dim in 2usize..24, conditional: bool, f64s: bool) {
        let dtype = if f64s { DType::F64 } else { DType::F32 };
        let (chain, _) = flow(seed, dim, if conditional { 8 } else { 0 }, dtype);
        let c = conditional.then(|| position_encoding(8, 2, 3, dtype, &Device::Cpu).unwrap());
        let x = input(seed, 12, dim, dtype);
        let (z, forward) = chain.forward(&x, c.as_ref()).unwrap();
        let (back, inverse) = chain.inverse(&z, c.as_ref()).unwrap();
        let bound = if f64s { 1e-9 } else { 2e-3 };
        prop_assert!(worst(&back, &x) < bound, "{}", worst(&back, &x));
        prop_assert!(worst(&forward, &inverse.neg().unwrap()) < bound);
    }

    #[test]
    fn log_det_is_the_jacobians(seed in 0u64..1000, dim in 2usize..9, conditional: bool) {
        let (chain, _) = flow(seed, dim, if conditional { 4 } else { 0 }, DType::F64);
        let c = conditional.then(|| position_encoding(4, 1, 1, DType::F64, &Device::Cpu).unwrap());
        let x = input(seed, 1, dim, DType::F64);
        let (_, log_det) = chain.forward(&x, c.as_ref()).unwrap();
        let expected = numeric_log_det(&chain, &x, c.as_ref());
        let got = log_det.to_vec1::<f64>().unwrap()[0];
        prop_assert!((expected - got).abs() < 1e-6, "{expected} {got}");
    }
}

/// The fused path's gradients against autograd over candle's own operations in f64.
#[test]
fn fused_gradients_agree_with_plain_autograd() {
    for (dim, condition, rows, cells) in [(15, 0, 12, 1), (40, 8, 390, 6), (64, 16, 160, 4)] {
        let gradients = |dtype: DType| {
            let (chain, p) = flow(3, dim, condition, dtype);
            let x = Var::from_tensor(&input(5, rows, dim, dtype)).unwrap();
            let c = (condition > 0)
                .then(|| position_encoding(condition, 2, cells / 2, dtype, &Device::Cpu).unwrap());
            let (z, log_det) = chain.forward(x.as_tensor(), c.as_ref()).unwrap();
            let loss = (z.sqr().unwrap().mean_all().unwrap()
                - (log_det.mean_all().unwrap() * 0.3).unwrap())
            .unwrap();
            let grads = loss.backward().unwrap();
            let mut out = vec![("x".to_string(), grads.get(&x).unwrap().clone())];
            for (name, var) in p.trainable_vars() {
                out.push((name, grads.get(&var).unwrap().clone()));
            }
            out
        };
        for ((name, a), (_, b)) in gradients(DType::F32).iter().zip(gradients(DType::F64)) {
            let a = a.to_dtype(DType::F64).unwrap();
            let scale = b.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let ratio = worst.to_scalar::<f64>().unwrap() / scale.to_scalar::<f64>().unwrap();
            assert!(ratio < 1e-4, "{name} at D = {dim}: {ratio}");
        }
    }
}

/// The hand-written gradients of a whole chain, taken chunk by chunk, against autograd in f64.
#[test]
fn trainer_agrees_with_plain_autograd() {
    for (dim, condition, images, (h, w), chunk) in
        [(15, 0, 3, (5, 7), 9), (40, 8, 5, (6, 6), 36), (64, 16, 8, (9, 4), 11)]
    {
        let positions = h * w;
        let maps: Vec<Vec<f32>> = (0..images)
            .map(|i| {
                let t = input(i as u64, positions, dim, DType::F32);
                t.flatten_all().unwrap().to_vec1().unwrap()
            })
            .collect();
        let weight = |n: usize, name: &str| -> Vec<f32> {
            let mut draws = seeded(4, name);
            (0..n).map(|_| draws.normal() as f32).collect()
        };
        // A loss with a gradient of its own for every entry.
        let cz = weight(images * positions * dim, "z");
        let cl = weight(images * positions, "l");

        let (chain, p) = flow(3, dim, condition, DType::F64);
        let code = |dtype| position_encoding(condition, h, w, dtype, &Device::Cpu).unwrap();
        let x = Tensor::from_vec(maps.concat(), (images * positions, dim), &Device::Cpu).unwrap();
        let code64 = (condition > 0).then(|| code(DType::F64));
        let (z, log_det) =
            chain.forward(&x.to_dtype(DType::F64).unwrap(), code64.as_ref()).unwrap();
        let as64 = |v: &[f32], like: &Tensor| {
            Tensor::from_slice(v, like.shape(), &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
        };
        let loss = ((&z * as64(&cz, &z)).unwrap().sum_all().unwrap()
            + (&log_det * as64(&cl, &log_det)).unwrap().sum_all().unwrap())
        .unwrap();
        let expected = loss.backward().unwrap();
        let expected: Vec<Vec<f64>> = p
            .trainable_vars()
            .iter()
            .map(|(_, v)| expected.get(v).unwrap().flatten_all().unwrap().to_vec1().unwrap())
            .collect();

        // Made for another flow, whose parameters and rotations it then gets, as a resumed run does.
        let (chain, p) = flow(5, dim, condition, DType::F32);
        let code32 = (condition > 0).then(|| code(DType::F32));
        let mut trainer = chain.trainer(code32.as_ref()).unwrap().unwrap();
        let state = flow(3, dim, condition, DType::F32).1.state().into_iter().collect();
        p.load("", &state).unwrap();
        let slices: Vec<&[f32]> = maps.iter().map(Vec::as_slice).collect();
        let together =
            Tensor::from_vec(maps.concat(), (images, positions, dim), &Device::Cpu).unwrap();
        for wrong in [(images, positions, dim + 1), (images, positions - 1, dim)] {
            let wrong = Tensor::zeros(wrong, DType::F32, &Device::Cpu).unwrap();
            let refused = trainer.forward(&FeatureMaps::Device(wrong), 0, positions);
            assert!(matches!(refused, Err(FlowError::Input { .. })));
        }
        // Twice, since buffers are kept from step to step.
        for given in [FeatureMaps::Host(slices), FeatureMaps::Device(together)] {
            trainer.begin().unwrap();
            let mut first = 0;
            while first < positions {
                let count = chunk.min(positions - first);
                let (got_z, got_l) = trainer.forward(&given, first, count).unwrap();
                let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let (got_z, got_l) = (numbers(&got_z), numbers(&got_l));
                let part = |all: &[f32], width: usize| -> Vec<f32> {
                    (0..images)
                        .flat_map(|b| {
                            all[(b * positions + first) * width..][..count * width].to_vec()
                        })
                        .collect()
                };
                let z = z.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                let z: Vec<f32> = z.into_iter().map(|v| v as f32).collect();
                for (a, b) in got_z.iter().zip(part(&z, dim)) {
                    assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "z: {a} {b}");
                }
                let l = log_det.to_vec1::<f64>().unwrap();
                let l: Vec<f32> = l.into_iter().map(|v| v as f32).collect();
                for (a, b) in got_l.iter().zip(part(&l, 1)) {
                    assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "log-determinant: {a} {b}");
                }
                let like =
                    |v: Vec<f32>| Tensor::from_vec(v, images * count * dim, &Device::Cpu).unwrap();
                let dl = Tensor::from_vec(part(&cl, 1), images * count, &Device::Cpu).unwrap();
                trainer.backward(&like(part(&cz, dim)), &dl).unwrap();
                first += count;
            }
            let mut seen = 0;
            trainer
                .gradients(&mut |var, got| {
                    let all = p.trainable_vars();
                    let at = all.iter().position(|(_, v)| v.id() == var.id()).unwrap();
                    let scale = expected[at].iter().fold(0f64, |m, v| m.max(v.abs()));
                    let worst = expected[at]
                        .iter()
                        .zip(&got.to_vec()?)
                        .fold(0f64, |m, (e, g)| m.max((e - *g as f64).abs()));
                    assert!(worst / scale < 1e-4, "{} at D = {dim}: {}", all[at].0, worst / scale);
                    seen += 1;
                    Ok(())
                })
                .unwrap();
            assert_eq!(seen, expected.len());
        }
    }
}

#[test]
fn wrong_shapes_are_named() {
    let (chain, _) = flow(0, 6, 8, DType::F32);
    let x = input(0, 4, 7, DType::F32);
    let message = chain.forward(&x, None).unwrap_err().to_string();
    assert!(message.contains("(N, 6)") && message.contains("[4, 7]"), "{message}");
    let x = input(0, 4, 6, DType::F32);
    let message = chain.forward(&x, None).unwrap_err().to_string();
    assert!(message.contains("(P, 8)") && message.contains("none"), "{message}");
    let c = position_encoding(8, 1, 3, DType::F32, &Device::Cpu).unwrap();
    let message = chain.forward(&x, Some(&c)).unwrap_err().to_string();
    assert!(message.contains("[3, 8]") && message.contains("4 vectors"), "{message}");
}
