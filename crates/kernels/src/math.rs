//! Elementary functions in a form the compiler vectorises.
//!
//! Errors over the whole range, measured by the tests below against `f64`: `exp` 2 units in the
//! last place (results below the smallest normal number become it), `tanh` 3.

use crate::isa::Isa;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
// ln 2 in two parts, so that x - n ln 2 is exact to more than 24 bits (Cody and Waite, 1980).
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;
// Adding and taking away 1.5 * 2^23 rounds to the nearest integer without an instruction for it.
const ROUND: f32 = 12_582_912.0;

/// `e^x`; arguments beyond the range of `f32` are brought to its ends.
#[inline(always)]
pub(crate) fn exp<I: Isa>(x: f32) -> f32 {
    let x = x.clamp(-87.336_5, 88.722_8);
    let rounded = I::madd(x, LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = I::madd(n, -LN2_LO, I::madd(n, -LN2_HI, x));
    // Minimax polynomial of degree 5 for (e^r - 1 - r) / r^2 on [-ln2/2, ln2/2] (Cephes' expf).
    let mut p = 1.987_569_1e-4;
    p = I::madd(p, r, 1.398_2e-3);
    p = I::madd(p, r, 8.333_452e-3);
    p = I::madd(p, r, 4.166_579_6e-2);
    p = I::madd(p, r, 1.666_666_5e-1);
    p = I::madd(p, r, 0.5);
    let y = I::madd(p, r * r, r) + 1.0;
    // The integer is in the low bits of the mantissa; a conversion would look for what has none.
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    // 2^n in two factors, for n = 128 is not a finite power.
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<I: Isa>(x: f32) -> f32 {
    let a = x.abs();
    // Near 0 a polynomial, since 1 - 2 / (e^2a + 1) would lose the leading bits.
    let s = x * x;
    let mut p = -5.704_988_7e-3;
    p = I::madd(p, s, 2.063_909e-2);
    p = I::madd(p, s, -5.373_971_6e-2);
    p = I::madd(p, s, 1.333_144_2e-1);
    p = I::madd(p, s, -3.333_328e-1);
    let near = I::madd(p * s, x, x);
    let far = (1.0 - 2.0 / (exp::<I>(2.0 * a) + 1.0)).copysign(x);
    if a < 0.625 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Baseline;
    use crate::simd::PortableVector;

    /// Fused multiply-adds whatever the processor.
    struct Fused;
    impl Isa for Fused {
        const FMA: bool = true;
        const WIDE: bool = true;
        type V = PortableVector;
    }

    fn worst(
        range: std::ops::Range<f32>,
        ours: impl Fn(f32) -> f32,
        truth: impl Fn(f64) -> f64,
    ) -> f64 {
        let steps = 400_000;
        (0..steps)
            .map(|i| range.start + (range.end - range.start) * i as f32 / steps as f32)
            .map(|x| {
                let t = truth(x as f64);
                if t.abs() < 1.2e-38 {
                    return 0.0;
                }
                let unit = (t as f32).abs().to_bits();
                let unit = (f32::from_bits(unit + 1) as f64) - (f32::from_bits(unit) as f64);
                (ours(x) as f64 - t).abs() / unit
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn errors_are_as_documented() {
        assert!(worst(-87.0..88.7, exp::<Fused>, f64::exp) <= 2.0);
        assert!(worst(-87.0..88.7, exp::<Baseline>, f64::exp) <= 2.0);
        assert!(worst(-12.0..12.0, tanh::<Fused>, f64::tanh) <= 3.0);
        assert!(worst(-12.0..12.0, tanh::<Baseline>, f64::tanh) <= 3.0);
        assert!(worst(-1e-3..1e-3, tanh::<Fused>, f64::tanh) <= 3.0);
    }

    #[test]
    fn extremes_stay_finite_and_signed() {
        assert!(exp::<Fused>(1e30).is_finite() && exp::<Fused>(-1e30) > 0.0);
        assert_eq!(tanh::<Fused>(50.0), 1.0);
        assert_eq!(tanh::<Fused>(-50.0), -1.0);
        assert!(tanh::<Fused>(f32::NAN).is_nan() && exp::<Fused>(f32::NAN).is_nan());
    }
}
