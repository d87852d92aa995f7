//! What rounded products do to a stack of couplings. A program of its own, for the choice is one of
//! the whole process.

use hgad_kernels::{
    BlockWeights, FrozenStack, PositionCode, StackSize, StackWorkspace, has_tiles, set_rounding,
};

const SIZE: StackSize = StackSize { dim: 90, hidden: 130, condition: 0, clamp: 1.9 };
const IMAGES: usize = 3;
const POSITIONS: usize = 50;

/// `n` numbers between -scale and scale.
fn noise(n: usize, seed: u32, scale: f32) -> Vec<f32> {
    let mut x = seed | 1;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((x >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
    };
    (0..n).map(|_| next()).collect()
}

/// The largest difference, by the largest number.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let most = |x: &mut dyn Iterator<Item = f32>| x.fold(0f32, |m, x| m.max(x.abs()));
    most(&mut a.iter().zip(b).map(|(a, b)| a - b)) / most(&mut b.iter().copied())
}

/// Latents and log-determinants of training, all gradients, latents of inference.
fn results(rounding: bool) -> [Vec<f32>; 4] {
    set_rounding(rounding);
    let (d, h, first, h2) = (90, 130, 45, 90);
    let w1: Vec<_> = (0..4).map(|k| noise(h * first, 10 + k, 0.2)).collect();
    let w2: Vec<_> = (0..4).map(|k| noise(h2 * h, 20 + k, 0.1)).collect();
    let (b1, b2) = (noise(h, 30, 0.1), noise(h2, 31, 0.1));
    let rotation = noise(d * d, 32, 0.18);
    let blocks = w1.iter().zip(&w2).map(|(w1, w2)| BlockWeights {
        w1,
        b1: &b1,
        w2,
        b2: &b2,
        affine: [vec![1.0; d], vec![0.0; d]].concat(),
        rotation: &rotation,
    });
    let blocks: Vec<BlockWeights> = blocks.collect();
    let maps: Vec<_> = (0..IMAGES).map(|i| noise(POSITIONS * d, 40 + i as u32, 1.0)).collect();
    let maps: Vec<&[f32]> = maps.iter().map(|m| m.as_slice()).collect();
    let code: Option<PositionCode> = None;

    let mut training = StackWorkspace::new(SIZE, &blocks, code.clone());
    training.begin(&blocks);
    let (z, log_det) = training.forward(&maps, (0, POSITIONS));
    let (dz, dlog_det) = (noise(z.len(), 50, 1.0), noise(log_det.len(), 51, 1.0));
    training.backward(IMAGES, (0, POSITIONS), &dz, &dlog_det);
    let gradients = training.gradients();
    let all = (0..4).flat_map(|k| gradients.block(k).concat()).collect();

    let (inferred, _) = FrozenStack::new(SIZE, &blocks, code).forward(&maps, (0, POSITIONS));
    [z, log_det, all, inferred]
}

#[test]
fn products_are_rounded_where_asked() {
    let (exact, rounded) = (results(false), results(true));
    for (i, (a, b)) in rounded.iter().zip(&exact).enumerate() {
        let apart = apart(a, b);
        assert!(apart < 1e-4, "{i}: {apart:e}");
        assert_eq!(apart > 0.0, has_tiles(), "{i}");
    }
    assert_eq!(results(false), exact);
}
