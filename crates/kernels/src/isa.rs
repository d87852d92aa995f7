//! Choice of the instruction set at run time.
//!
//! Kernels are written once as portable loops over slices; [`dispatch!`] compiles each body
//! for AVX-512, for AVX2 with FMA and for the target's baseline (SSE2 on x86-64, NEON on
//! aarch64), and picks one when called.

use crate::simd::Vector;

/// What a kernel body may assume of the processor.
pub(crate) trait Isa {
    /// A fused multiply-add is one instruction.
    const FMA: bool;
    /// 32 vector registers rather than 16.
    const WIDE: bool;
    /// The vector of kernels that are written with vectors.
    type V: Vector;

    /// `a * b + c`, fused where that is fast.
    #[inline(always)]
    fn madd(a: f32, b: f32, c: f32) -> f32 {
        if Self::FMA { a.mul_add(b, c) } else { a * b + c }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx512;
#[cfg(target_arch = "x86_64")]
impl Isa for Avx512 {
    const FMA: bool = true;
    const WIDE: bool = true;
    type V = crate::simd::Avx512Vector;
}

#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx2;
#[cfg(target_arch = "x86_64")]
impl Isa for Avx2 {
    const FMA: bool = true;
    const WIDE: bool = false;
    type V = crate::simd::Avx2Vector;
}

pub(crate) struct Baseline;
impl Isa for Baseline {
    const FMA: bool = cfg!(target_arch = "aarch64");
    const WIDE: bool = cfg!(target_arch = "aarch64");
    #[cfg(target_arch = "aarch64")]
    type V = crate::simd::NeonVector;
    #[cfg(not(target_arch = "aarch64"))]
    type V = crate::simd::PortableVector;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Baseline,
}

/// The best level of this processor; `HGAD_ISA=avx512|avx2|baseline` lowers it, for tests.
pub(crate) fn level() -> Level {
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(|| {
        let asked = std::env::var("HGAD_ISA").unwrap_or_default();
        match (detected(), asked.as_str()) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512 | Level::Avx2, "baseline") => Level::Baseline,
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, asked) if !["", "avx512"].contains(&asked) => Level::Avx2,
            (best, _) => best,
        }
    })
}

/// Whether all that AVX-512 processors may have beyond it is in use, which `HGAD_ISA=avx512` denies.
#[cfg(target_arch = "x86_64")]
fn is_highest() -> bool {
    level() == Level::Avx512 && std::env::var("HGAD_ISA").unwrap_or_default().is_empty()
}

/// Whether this processor has matrix tiles, and HGAD_ISA leaves them in use.
pub fn has_tiles() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        static TILES: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *TILES.get_or_init(|| is_highest() && crate::tiles::available())
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The best level of this processor.
fn detected() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if avx512 {
            return Level::Avx512;
        }
        if avx2 {
            return Level::Avx2;
        }
    }
    Level::Baseline
}

/// The instruction set the kernels run on: `avx512`, `avx2`, `neon` or `baseline`.
pub fn isa_name() -> &'static str {
    name(level())
}

/// The best instruction set of this processor, whatever HGAD_ISA says; named as by [`isa_name`].
pub fn detected_isa_name() -> &'static str {
    name(detected())
}

fn name(level: Level) -> &'static str {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => "avx512",
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => "avx2",
        Level::Baseline if cfg!(target_arch = "aarch64") => "neon",
        Level::Baseline => "baseline",
    }
}

/// Defines `fn name(args)` that runs `body::<I>(args)` compiled for the best instruction set.
macro_rules! dispatch {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$doc])*
        #[inline]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { $body::<$crate::isa::Avx512>($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { $body::<$crate::isa::Avx2>($($arg),*) }
                match $crate::isa::level() {
                    // SAFETY: `level` has checked these features on this processor.
                    $crate::isa::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::isa::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::isa::Level::Baseline => {}
                }
            }
            $body::<$crate::isa::Baseline>($($arg),*)
        }
    };
}
pub(crate) use dispatch;
