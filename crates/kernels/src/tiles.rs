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
pub(crate) const PARTS: usize = 2;

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

    /// Sums of 0.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        // SAFETY: tiles are in use.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem),
            );
        }
    }

    /// Adds [`DEPTH`] terms to the sums: `R` tiles of the left matrix times `C` of the right one. In
    /// memory there is part after part, of each tile after tile. Of the four products of parts that
    /// of the second ones is left out.
    ///
    /// # Safety
    /// `PARTS * R` tiles can be read at `a`, `PARTS * C` at `b`.
    #[inline(always)]
    pub(crate) unsafe fn add<const R: usize, const C: usize>(&self, a: *const f32, b: *const f32) {
        // SAFETY: the caller's.
        unsafe {
            match (R, C) {
                (2, 2) => two_by_two(a, b),
                (1, 2) => one_by_two(a, b),
                (2, 1) => two_by_one(a, b),
                _ => one_by_one(a, b),
            }
        }
    }

    /// The sums, 2 x 2 tiles, row-major, 32 floats a row. With one tile of rows the sums are what is
    /// in the upper half and in the lower one together, with one of columns left and right.
    ///
    /// # Safety
    /// Four tiles can be written at `to`.
    #[inline(always)]
    pub(crate) unsafe fn store(&self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            asm!(
                "tilestored [{to} + {row}], tmm0",
                "tilestored [{to} + {row} + 64], tmm1",
                "tilestored [{to} + {row} + 2048], tmm2",
                "tilestored [{to} + {row} + 2112], tmm3",
                to = in(reg) to,
                row = in(reg) 128usize,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles are in use, so there are such.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Fetches six lines of the next step of both matrices, `$bytes_a` and `$bytes_b` further, from `$at`
/// bytes of it on: tiles come from the second cache, and so late that the tiles' unit would wait for
/// them. Where another thread has a share of the core, that unit gains even from lines that it has.
macro_rules! ahead {
    ($bytes_a:literal, $bytes_b:literal, $at:literal) => {
        concat!(
            ahead!("a", $bytes_a, $at, "0"),
            ahead!("b", $bytes_b, $at, "0"),
            ahead!("a", $bytes_a, $at, "64"),
            ahead!("b", $bytes_b, $at, "64"),
            ahead!("a", $bytes_a, $at, "128"),
            ahead!("b", $bytes_b, $at, "128"),
            ahead!("a", $bytes_a, $at, "192"),
            ahead!("b", $bytes_b, $at, "192"),
            ahead!("a", $bytes_a, $at, "256"),
            ahead!("b", $bytes_b, $at, "256"),
            ahead!("a", $bytes_a, $at, "320"),
            ahead!("b", $bytes_b, $at, "320"),
        )
    };
    ($of:literal, $bytes:literal, $at:literal, $line:literal) => {
        concat!("prefetcht0 [{", $of, "} + ", $bytes, " + ", $at, " + ", $line, "]\n")
    };
}

/// The instructions of a step, tiles 0 to 3 the sums.
macro_rules! kernel {
    ($name:ident, $($line:expr),* $(,)?) => {
        #[inline(always)]
        unsafe fn $name(a: *const f32, b: *const f32) {
            // SAFETY: the caller's of `Tiles::add`.
            unsafe {
                asm!(
                    $($line,)*
                    a = in(reg) a,
                    b = in(reg) b,
                    line = in(reg) 64usize,
                    options(nostack, readonly),
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
    // First part of the left, second of the right.
    "tileloadd tmm4, [{a} + {line}]",
    "tileloadd tmm6, [{b} + {line} + 2048]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    ahead!("4096", "4096", "0"),
    "tileloadd tmm7, [{b} + {line} + 3072]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    ahead!("4096", "4096", "384"),
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    ahead!("4096", "4096", "768"),
    "tileloadd tmm6, [{b} + {line}]",
    "tdpbf16ps tmm3, tmm5, tmm7",
    ahead!("4096", "4096", "1152"),
    "tileloadd tmm7, [{b} + {line} + 1024]",
    // First, first.
    "tdpbf16ps tmm0, tmm4, tmm6",
    ahead!("4096", "4096", "1536"),
    "tdpbf16ps tmm1, tmm4, tmm7",
    ahead!("4096", "4096", "1920"),
    "tileloadd tmm4, [{a} + {line} + 2048]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    ahead!("4096", "4096", "2304"),
    "tdpbf16ps tmm3, tmm5, tmm7",
    ahead!("4096", "4096", "2688"),
    "tileloadd tmm5, [{a} + {line} + 3072]",
    // Second, first.
    "tdpbf16ps tmm0, tmm4, tmm6",
    ahead!("4096", "4096", "3072"),
    "tdpbf16ps tmm1, tmm4, tmm7",
    ahead!("4096", "4096", "3456"),
    "tdpbf16ps tmm2, tmm5, tmm6",
    ahead!("4096", "4096", "3840"),
    "tdpbf16ps tmm3, tmm5, tmm7",
);

// Products of first parts to tiles 2 and 3, others to 0 and 1.
kernel!(
    one_by_two,
    "tileloadd tmm4, [{a} + {line}]",
    "tileloadd tmm6, [{b} + {line} + 2048]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    ahead!("2048", "4096", "0"),
    "tileloadd tmm7, [{b} + {line} + 3072]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    ahead!("2048", "4096", "384"),
    "tileloadd tmm6, [{b} + {line}]",
    "tdpbf16ps tmm2, tmm4, tmm6",
    ahead!("2048", "4096", "768"),
    "tileloadd tmm7, [{b} + {line} + 1024]",
    "tdpbf16ps tmm3, tmm4, tmm7",
    ahead!("2048", "4096", "1152"),
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm0, tmm5, tmm6",
    ahead!("2048", "4096", "1536"),
    "tdpbf16ps tmm1, tmm5, tmm7",
);

// Products of first parts to tiles 1 and 3, others to 0 and 2.
kernel!(
    two_by_one,
    "tileloadd tmm4, [{a} + {line}]",
    "tileloadd tmm6, [{b} + {line} + 1024]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    ahead!("4096", "2048", "0"),
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm2, tmm5, tmm6",
    ahead!("4096", "2048", "384"),
    "tileloadd tmm7, [{b} + {line}]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    ahead!("4096", "2048", "768"),
    "tdpbf16ps tmm3, tmm5, tmm7",
    ahead!("4096", "2048", "1152"),
    "tileloadd tmm4, [{a} + {line} + 2048]",
    "tdpbf16ps tmm0, tmm4, tmm7",
    ahead!("4096", "2048", "1536"),
    "tileloadd tmm5, [{a} + {line} + 3072]",
    "tdpbf16ps tmm2, tmm5, tmm7",
);

// Every product to another tile than the one before.
kernel!(
    one_by_one,
    "tileloadd tmm4, [{a} + {line}]",
    "tileloadd tmm6, [{b} + {line} + 1024]",
    "tdpbf16ps tmm0, tmm4, tmm6",
    "tileloadd tmm7, [{b} + {line}]",
    "tdpbf16ps tmm1, tmm4, tmm7",
    "tileloadd tmm5, [{a} + {line} + 1024]",
    "tdpbf16ps tmm2, tmm5, tmm7",
);
