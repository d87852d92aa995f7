//! Matrix tiles of an x86-64 processor (Intel AMX): 16 rows of 64 bytes, whose products of
//! bfloat16 numbers are summed in `f32`.
//!
//! Instructions are written as assembly, for Rust has no stable functions for them. Formats: Intel,
//! "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 1, chapter 18.

use std::arch::asm;

/// Rows of a tile, and columns of one of sums.
pub(crate) const SIDE: usize = 16;
/// Terms of a sum that a tile of the left matrix holds.
pub(crate) const DEPTH: usize = 32;
/// A tile's memory, in floats.
pub(crate) const FLOATS: usize = 256;
/// Parts of a number, each a tile's; see [`crate::tile_parts`].
pub(crate) const PARTS: usize = 3;

/// Whether this processor has tiles for bfloat16 and the system lets this process use them.
pub(crate) fn available() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        let has = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (BF16 | TILE) == BF16 | TILE;
        has && permitted()
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Asks Linux for the tiles' registers, which a process does not have before.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const REQUEST_PERMISSION: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers, and gives this process more registers to save.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 }
}

/// What the processor is told of the eight tiles.
#[repr(C, align(64))]
struct Shape {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

/// The tiles of this thread in use; they are free again when it is dropped.
pub(crate) struct Tiles(());

impl Tiles {
    /// # Safety
    /// [`available`] has said yes.
    #[inline]
    pub(crate) unsafe fn take() -> Self {
        static SHAPE: Shape = Shape {
            palette: 1,
            start: 0,
            reserved: [0; 14],
            bytes_of_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
            rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        // SAFETY: the shape is one that palette 1 allows.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &SHAPE, options(nostack, readonly)) };
        Self(())
    }

    /// The sums over `steps` of `R` tiles of the left matrix times `C` of the right one, to 2 x 2
    /// tiles at `sums`, row-major, 32 floats a row. With one tile of rows the sums are what is in the
    /// upper half and in the lower one together, with one of columns left and right.
    ///
    /// A step has [`DEPTH`] terms of a sum; in memory it is part after part, of each tile after tile.
    /// Of the nine products of parts those three that are below the last place of `f32` are left out.
    ///
    /// # Safety
    /// `steps * PARTS * R` tiles can be read at `a`, `steps * PARTS * C` at `b`, four written at
    /// `sums`; `steps` is not 0.
    #[inline]
    pub(crate) unsafe fn sums<const R: usize, const C: usize>(
        &self,
        a: *const f32,
        b: *const f32,
        steps: usize,
        sums: *mut f32,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match (R, C) {
                (2, 2) => two_by_two(a, b, steps, sums),
                (1, 2) => one_by_two(a, b, steps, sums),
                (2, 1) => two_by_one(a, b, steps, sums),
                _ => one_by_one(a, b, steps, sums),
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles are in use, so there are such.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// A loop over steps: `$bytes_a` and `$bytes_b` a step, the instructions of one, tiles 0 to 3 the
/// sums.
macro_rules! kernel {
    ($name:ident, $bytes_a:literal, $bytes_b:literal, $($line:literal),* $(,)?) => {
        #[inline]
        unsafe fn $name(a: *const f32, b: *const f32, steps: usize, sums: *mut f32) {
            // SAFETY: the caller's of `Tiles::sums`.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    $($line,)*
                    concat!("add {a}, ", $bytes_a),
                    concat!("add {b}, ", $bytes_b),
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {row}], tmm0",
                    "tilestored [{sums} + {row} + 64], tmm1",
                    "tilestored [{sums} + {row} + 2048], tmm2",
                    "tilestored [{sums} + {row} + 2112], tmm3",
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    steps = inout(reg) steps => _,
                    sums = in(reg) sums,
                    line = in(reg) 64usize,
                    row = in(reg) 128usize,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

// Small products of parts come first. Tiles 4 and 5 are of the left matrix, 6 and 7 of the right
// one; each is read again right after its last use. The same sum comes again after four products,
// which is how long it takes.
kernel!(
    two_by_two,
    "6144",
    "6144",
    // First part of the left, third of the right.
    "tileloadd tmm4, [{a} + {line}]",
    "tileloadd tmm6, [{b} + {line} + 4096]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tileloadd tmm7, [{b} + {line} + 5120]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tileloadd tmm6, [{b} + {line} + 2048]",
    "tdpbf16ps tmm3, tmm5, tmm7",
    // First, second.
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tileloadd tmm7, [{b} + {line} + 3072]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm4, [{a} + {line} + 2048]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm5, [{a} + {line} + 3072]",
    // Second, second.
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tileloadd tmm6, [{b} + {line}]",
    "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm7, [{b} + {line} + 1024]",
    // Second, first.
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm4, [{a} + {line} + 4096]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm5, [{a} + {line} + 5120]",
    // Third, first.
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm4, [{a} + {line}]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm5, [{a} + {line} + 1024]",
    // First, first.
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tdpbf16ps tmm3, tmm5, tmm7",
);

// Half of the products to tiles 0 and 1, half to 2 and 3.
kernel!(
    one_by_two,
    "3072",
    "6144",
    "tileloadd tmm4, [{a} + {line}]",
    "tileloadd tmm6, [{b} + {line} + 4096]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tileloadd tmm7, [{b} + {line} + 5120]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm6, [{b} + {line} + 2048]",
    "tdpbf16ps tmm2, tmm4, tmm6",
    "tileloadd tmm7, [{b} + {line} + 3072]",
    "tdpbf16ps tmm3, tmm4, tmm7",
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm0, tmm5, tmm6",
    "tdpbf16ps tmm1, tmm5, tmm7",
    "tileloadd tmm6, [{b} + {line}]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tileloadd tmm7, [{b} + {line} + 1024]",
    "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm5, [{a} + {line} + 2048]",
    "tdpbf16ps tmm0, tmm5, tmm6",
    "tdpbf16ps tmm1, tmm5, tmm7",
    "tdpbf16ps tmm2, tmm4, tmm6",
    "tdpbf16ps tmm3, tmm4, tmm7",
);

// Half of the products to tiles 0 and 2, half to 1 and 3.
kernel!(
    two_by_one,
    "6144",
    "3072",
    "tileloadd tmm6, [{b} + {line}]",
    "tileloadd tmm4, [{a} + {line} + 4096]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tileloadd tmm5, [{a} + {line} + 5120]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    "tileloadd tmm4, [{a} + {line} + 2048]",
    "tdpbf16ps tmm1, tmm4, tmm6",
    "tileloadd tmm5, [{a} + {line} + 3072]",
    "tdpbf16ps tmm3, tmm5, tmm6",
    "tileloadd tmm7, [{b} + {line} + 1024]",
    "tdpbf16ps tmm0, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm7",
    "tileloadd tmm4, [{a} + {line}]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm3, tmm5, tmm7",
    "tileloadd tmm7, [{b} + {line} + 2048]",
    "tdpbf16ps tmm0, tmm4, tmm7",
    "tdpbf16ps tmm2, tmm5, tmm7",
    "tdpbf16ps tmm1, tmm4, tmm6",
    "tdpbf16ps tmm3, tmm5, tmm6",
);

// Every product to another tile than the one before.
kernel!(
    one_by_one,
    "3072",
    "3072",
    "tileloadd tmm4, [{a} + {line}]",
    "tileloadd tmm6, [{b} + {line} + 2048]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tileloadd tmm7, [{b} + {line} + 1024]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm2, tmm5, tmm7",
    "tileloadd tmm6, [{b} + {line}]",
    "tdpbf16ps tmm3, tmm5, tmm6",
    "tileloadd tmm5, [{a} + {line} + 2048]",
    "tdpbf16ps tmm0, tmm5, tmm6",
    "tdpbf16ps tmm1, tmm4, tmm6",
);
