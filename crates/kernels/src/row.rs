//! Reductions of one row, in lanes: the compiler may not reorder a sum of floats by itself.

use crate::isa::Isa;

const LANES: usize = 8;

/// Lanes that start from `start` take `step`s over the pairs and are joined, as is the rest.
#[inline(always)]
fn reduce(
    a: &[f32],
    b: &[f32],
    start: f32,
    step: impl Fn(f32, f32, f32) -> f32,
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut lanes = [start; LANES];
    let (a, b) = (&a[..a.len()], &b[..a.len()]);
    let (chunks, others) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = chunks.remainder().iter().zip(others.remainder());
    let rest = rest.fold(start, |sum, (a, b)| step(sum, *a, *b));
    for (a, b) in chunks.zip(others) {
        for l in 0..LANES {
            lanes[l] = step(lanes[l], a[l], b[l]);
        }
    }
    lanes.into_iter().fold(rest, join)
}

/// `sum_i a_i b_i`.
#[inline(always)]
pub(crate) fn dot<I: Isa>(a: &[f32], b: &[f32]) -> f32 {
    reduce(a, b, 0.0, |sum, a, b| I::madd(a, b, sum), |a, b| a + b)
}

/// `sum_i t_i (total - x_i)`.
#[inline(always)]
pub(crate) fn surprise<I: Isa>(t: &[f32], x: &[f32], total: f32) -> f32 {
    reduce(t, x, 0.0, |sum, t, x| I::madd(t, total - x, sum), |a, b| a + b)
}

/// `sum_i a_i`.
#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    reduce(a, a, 0.0, |sum, a, _| sum + a, |a, b| a + b)
}

/// The greatest; a NaN is passed over.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    reduce(a, a, f32::NEG_INFINITY, |m, a, _| greater(m, a), greater)
}
