//! Vectors of `f32` of one instruction set, for kernels that the compiler does not vectorise alone.
//!
//! A type here may only be used inside a function that [`crate::isa::dispatch!`] compiled for its
//! instruction set, after that was detected: its methods are instructions of that set.

const LOG2_E: f32 = std::f32::consts::LOG2_E;
// ln 2 in two parts, as in `math`.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;

/// A vector of `LANES` floats.
pub(crate) trait Vector: Copy {
    const LANES: usize;

    fn splat(x: f32) -> Self;

    /// # Safety
    /// `LANES` floats can be read at `p`.
    unsafe fn load(p: *const f32) -> Self;

    /// The first `n` lanes, zeros in the others.
    ///
    /// # Safety
    /// `n <= LANES` floats can be read at `p`.
    unsafe fn load_part(p: *const f32, n: usize) -> Self;

    /// # Safety
    /// `LANES` floats can be written at `p`.
    unsafe fn store(self, p: *mut f32);

    /// The first `n` lanes.
    ///
    /// # Safety
    /// `n <= LANES` floats can be written at `p`.
    unsafe fn store_part(self, p: *mut f32, n: usize);

    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    /// `self * b + c`
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// The larger; `b` where one of them is not a number.
    fn max(self, b: Self) -> Self;
    /// The smaller; `b` where one of them is not a number.
    fn min(self, b: Self) -> Self;
    /// To the nearest integer.
    fn round(self) -> Self;
    /// `self * 2^n` for integral `n` between -127 and 128.
    fn scale(self, n: Self) -> Self;
    /// `1 / self`, within 2 units in the last place.
    fn recip(self) -> Self;
    /// Bit `i` for lane `i` that is not zero; what is no number is not zero.
    fn nonzero(self) -> u32;
    /// `marks`, whose lanes are bits, with `bits` where a lane of `self` is not zero.
    fn mark_nonzero(self, bits: u32, marks: Self) -> Self;
    /// 0 where `other` is 0; what is no number is not zero.
    fn where_nonzero(self, other: Self) -> Self;

    /// `e^self`; see [`crate::math::exp`].
    #[inline(always)]
    fn exp(self) -> Self {
        let s = Self::splat;
        // The bounds go first: `min` and `max` give their second operand for what is no number.
        let x = s(88.722_8).min(s(-87.336_5).max(self));
        let n = x.mul(s(LOG2_E)).round();
        let r = n.mul_add(s(-LN2_LO), n.mul_add(s(-LN2_HI), x));
        let mut p = s(1.987_569_1e-4);
        p = p.mul_add(r, s(1.398_2e-3));
        p = p.mul_add(r, s(8.333_452e-3));
        p = p.mul_add(r, s(4.166_579_6e-2));
        p = p.mul_add(r, s(1.666_666_5e-1));
        p = p.mul_add(r, s(0.5));
        p.mul_add(r.mul(r), r).add(s(1.0)).scale(n)
    }

    /// `1 / (1 + e^-self)`
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let zero = Self::splat(0.0);
        zero.sub(self).exp().add(Self::splat(1.0)).recip()
    }
}

/// Asks for the cache line of `p`, which need not be readable: to the first level if `near`, for
/// what is read or written soon, else to the second.
#[inline(always)]
pub(crate) fn prefetch(p: *const f32, near: bool) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect but on the cache, and SSE is part of the baseline.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        match near {
            true => _mm_prefetch::<_MM_HINT_T0>(p.cast()),
            false => _mm_prefetch::<_MM_HINT_T1>(p.cast()),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (p, near);
}

/// `p`, of which the compiler does not know what it was made from: pointers that it could make one
/// from another it does not keep in registers, but adds up again each time.
#[inline(always)]
pub(crate) fn opaque(mut p: *const f32) -> *const f32 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) p, options(pure, readonly, nostack, preserves_flags));
    }
    p
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Avx512Vector(__m512);

    // SAFETY of every block: the type is only used where AVX-512 was detected (see the module).
    impl Avx512Vector {
        /// Of whole numbers.
        #[inline(always)]
        pub(crate) unsafe fn load_whole(p: *const i32) -> Self {
            Self(unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(p.cast())) })
        }
        /// Lanes whose bits are set, 0 in others.
        #[inline(always)]
        pub(crate) unsafe fn load_masked(p: *const f32, lanes: u16) -> Self {
            Self(unsafe { _mm512_maskz_loadu_ps(lanes, p) })
        }
        /// Lanes whose bits are set.
        #[inline(always)]
        pub(crate) unsafe fn store_masked(self, p: *mut f32, lanes: u16) {
            unsafe { _mm512_mask_storeu_ps(p, lanes, self.0) }
        }
    }

    // SAFETY of every block: as above.
    impl Vector for Avx512Vector {
        const LANES: usize = 16;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(x) })
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            Self(unsafe { _mm512_loadu_ps(p) })
        }
        #[inline(always)]
        unsafe fn load_part(p: *const f32, n: usize) -> Self {
            let mask = ((1u32 << n) - 1) as u16;
            Self(unsafe { _mm512_maskz_loadu_ps(mask, p) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm512_storeu_ps(p, self.0) }
        }
        #[inline(always)]
        unsafe fn store_part(self, p: *mut f32, n: usize) {
            let mask = ((1u32 << n) - 1) as u16;
            unsafe { _mm512_mask_storeu_ps(p, mask, self.0) }
        }
        #[inline(always)]
        fn add(self, b: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn sub(self, b: Self) -> Self {
            Self(unsafe { _mm512_sub_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn mul(self, b: Self) -> Self {
            Self(unsafe { _mm512_mul_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
        }
        #[inline(always)]
        fn max(self, b: Self) -> Self {
            Self(unsafe { _mm512_max_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn min(self, b: Self) -> Self {
            Self(unsafe { _mm512_min_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn round(self) -> Self {
            Self(unsafe { _mm512_roundscale_ps::<0x08>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
        }
        #[inline(always)]
        fn recip(self) -> Self {
            // An estimate of 14 bits and one step of Newton's cost less than a division.
            unsafe {
                let y = _mm512_rcp14_ps(self.0);
                let e = _mm512_fnmadd_ps(self.0, y, _mm512_set1_ps(1.0));
                Self(_mm512_fmadd_ps(y, e, y))
            }
        }
        #[inline(always)]
        fn nonzero(self) -> u32 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.0, _mm512_setzero_ps()).into() }
        }
        #[inline(always)]
        fn mark_nonzero(self, bits: u32, marks: Self) -> Self {
            unsafe {
                let lanes = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.0, _mm512_setzero_ps());
                let (marks, bits) = (_mm512_castps_si512(marks.0), _mm512_set1_epi32(bits as i32));
                Self(_mm512_castsi512_ps(_mm512_mask_or_epi32(marks, lanes, marks, bits)))
            }
        }
        #[inline(always)]
        fn where_nonzero(self, other: Self) -> Self {
            unsafe {
                let lanes = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(other.0, _mm512_setzero_ps());
                Self(_mm512_maskz_mov_ps(lanes, self.0))
            }
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct Avx2Vector(__m256);

    impl Avx2Vector {
        #[inline(always)]
        fn mask(n: usize) -> __m256i {
            const ON: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
            debug_assert!(n <= 8);
            unsafe { _mm256_loadu_si256(ON.as_ptr().add(8 - n).cast()) }
        }
    }

    // SAFETY of every block: the type is only used where AVX2 and FMA were detected.
    impl Vector for Avx2Vector {
        const LANES: usize = 8;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            Self(unsafe { _mm256_set1_ps(x) })
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            Self(unsafe { _mm256_loadu_ps(p) })
        }
        #[inline(always)]
        unsafe fn load_part(p: *const f32, n: usize) -> Self {
            Self(unsafe { _mm256_maskload_ps(p, Self::mask(n)) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm256_storeu_ps(p, self.0) }
        }
        #[inline(always)]
        unsafe fn store_part(self, p: *mut f32, n: usize) {
            unsafe { _mm256_maskstore_ps(p, Self::mask(n), self.0) }
        }
        #[inline(always)]
        fn add(self, b: Self) -> Self {
            Self(unsafe { _mm256_add_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn sub(self, b: Self) -> Self {
            Self(unsafe { _mm256_sub_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn mul(self, b: Self) -> Self {
            Self(unsafe { _mm256_mul_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
        }
        #[inline(always)]
        fn max(self, b: Self) -> Self {
            Self(unsafe { _mm256_max_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn min(self, b: Self) -> Self {
            Self(unsafe { _mm256_min_ps(self.0, b.0) })
        }
        #[inline(always)]
        fn round(self) -> Self {
            Self(unsafe { _mm256_round_ps::<0x08>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            unsafe {
                // 2^n in two factors, for n = 128 is not a finite power.
                let n = _mm256_cvtps_epi32(n.0);
                let half = _mm256_srai_epi32::<1>(n);
                let power = |n| {
                    let biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
                };
                let rest = power(_mm256_sub_epi32(n, half));
                Self(_mm256_mul_ps(_mm256_mul_ps(self.0, power(half)), rest))
            }
        }
        #[inline(always)]
        fn recip(self) -> Self {
            Self(unsafe { _mm256_div_ps(_mm256_set1_ps(1.0), self.0) })
        }
        #[inline(always)]
        fn nonzero(self) -> u32 {
            unsafe {
                let lanes = _mm256_cmp_ps::<_CMP_NEQ_UQ>(self.0, _mm256_setzero_ps());
                _mm256_movemask_ps(lanes) as u32
            }
        }
        #[inline(always)]
        fn mark_nonzero(self, bits: u32, marks: Self) -> Self {
            unsafe {
                let lanes = _mm256_cmp_ps::<_CMP_NEQ_UQ>(self.0, _mm256_setzero_ps());
                let bits = _mm256_castsi256_ps(_mm256_set1_epi32(bits as i32));
                Self(_mm256_or_ps(marks.0, _mm256_and_ps(lanes, bits)))
            }
        }
        #[inline(always)]
        fn where_nonzero(self, other: Self) -> Self {
            unsafe {
                let lanes = _mm256_cmp_ps::<_CMP_NEQ_UQ>(other.0, _mm256_setzero_ps());
                Self(_mm256_and_ps(lanes, self.0))
            }
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2Vector, Avx512Vector};

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::Vector;
    use std::arch::aarch64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct NeonVector(float32x4_t);

    // SAFETY of every block: NEON is part of the target's baseline.
    impl Vector for NeonVector {
        const LANES: usize = 4;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            Self(unsafe { vdupq_n_f32(x) })
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            Self(unsafe { vld1q_f32(p) })
        }
        #[inline(always)]
        unsafe fn load_part(p: *const f32, n: usize) -> Self {
            let mut lanes = [0.0f32; 4];
            unsafe {
                std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
                Self(vld1q_f32(lanes.as_ptr()))
            }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { vst1q_f32(p, self.0) }
        }
        #[inline(always)]
        unsafe fn store_part(self, p: *mut f32, n: usize) {
            let mut lanes = [0.0f32; 4];
            unsafe {
                vst1q_f32(lanes.as_mut_ptr(), self.0);
                std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
            }
        }
        #[inline(always)]
        fn add(self, b: Self) -> Self {
            Self(unsafe { vaddq_f32(self.0, b.0) })
        }
        #[inline(always)]
        fn sub(self, b: Self) -> Self {
            Self(unsafe { vsubq_f32(self.0, b.0) })
        }
        #[inline(always)]
        fn mul(self, b: Self) -> Self {
            Self(unsafe { vmulq_f32(self.0, b.0) })
        }
        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            Self(unsafe { vfmaq_f32(c.0, self.0, b.0) })
        }
        #[inline(always)]
        fn max(self, b: Self) -> Self {
            Self(unsafe { vbslq_f32(vcgtq_f32(self.0, b.0), self.0, b.0) })
        }
        #[inline(always)]
        fn min(self, b: Self) -> Self {
            Self(unsafe { vbslq_f32(vcltq_f32(self.0, b.0), self.0, b.0) })
        }
        #[inline(always)]
        fn round(self) -> Self {
            Self(unsafe { vrndnq_f32(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            unsafe {
                let n = vcvtnq_s32_f32(n.0);
                let half = vshrq_n_s32::<1>(n);
                let bias = vdupq_n_s32(127);
                let first = vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(half, bias)));
                let rest = vaddq_s32(vsubq_s32(n, half), bias);
                let rest = vreinterpretq_f32_s32(vshlq_n_s32::<23>(rest));
                Self(vmulq_f32(vmulq_f32(self.0, first), rest))
            }
        }
        #[inline(always)]
        fn recip(self) -> Self {
            Self(unsafe { vdivq_f32(vdupq_n_f32(1.0), self.0) })
        }
        #[inline(always)]
        fn nonzero(self) -> u32 {
            unsafe {
                let zero = vceqzq_f32(self.0);
                let bits = vbicq_u32(vld1q_u32([1, 2, 4, 8].as_ptr()), zero);
                vaddvq_u32(bits)
            }
        }
        #[inline(always)]
        fn mark_nonzero(self, bits: u32, marks: Self) -> Self {
            unsafe {
                let bits = vbicq_u32(vdupq_n_u32(bits), vceqzq_f32(self.0));
                Self(vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(marks.0), bits)))
            }
        }
        #[inline(always)]
        fn where_nonzero(self, other: Self) -> Self {
            unsafe {
                let bits = vbicq_u32(vreinterpretq_u32_f32(self.0), vceqzq_f32(other.0));
                Self(vreinterpretq_f32_u32(bits))
            }
        }
    }
}
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::NeonVector;

/// Four floats in plain Rust.
#[derive(Clone, Copy)]
#[cfg_attr(target_arch = "aarch64", allow(dead_code))]
pub(crate) struct PortableVector([f32; 4]);

impl PortableVector {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Vector for PortableVector {
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        Self(unsafe { p.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self {
        let mut lanes = [0.0; 4];
        unsafe { std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n) };
        Self(lanes)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe { p.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize) {
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), p, n) }
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.zip(b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.zip(b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.zip(b, |a, b| a * b)
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        self.zip(b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        self.zip(b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn round(self) -> Self {
        // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
        Self(self.0.map(|x| (x + 12_582_912.0) - 12_582_912.0))
    }
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
        self.zip(n, |x, n| {
            let n = n as i32;
            x * power(n >> 1) * power(n - (n >> 1))
        })
    }
    #[inline(always)]
    fn recip(self) -> Self {
        Self(self.0.map(|x| 1.0 / x))
    }
    #[inline(always)]
    fn nonzero(self) -> u32 {
        self.0.iter().enumerate().map(|(i, x)| u32::from(*x != 0.0) << i).sum()
    }
    #[inline(always)]
    fn mark_nonzero(self, bits: u32, marks: Self) -> Self {
        marks.zip(self, |m, x| if x != 0.0 { f32::from_bits(m.to_bits() | bits) } else { m })
    }
    #[inline(always)]
    fn where_nonzero(self, other: Self) -> Self {
        self.zip(other, |x, o| if o != 0.0 { x } else { 0.0 })
    }
}
