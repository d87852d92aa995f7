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

    /// Adds [`DEPTH`] terms to the sums: `R` tiles of the left matrix times `C` of the right one, each
    /// in `P` parts (see [`crate::tile_parts`]). In memory there is part after part, of each tile
    /// after tile. Products of parts that no sum would show are left out: of two parts that of the
    /// second ones, of three those of a third with another's second or third.
    ///
    /// The left matrix's step after this one is at `next`, that of the right one follows.
    ///
    /// # Safety
    /// `P * R` tiles can be read at `a`, `P * C` at `b`.
    #[inline(always)]
    pub(crate) unsafe fn add<const P: usize, const R: usize, const C: usize>(
        &self,
        a: *const f32,
        b: *const f32,
        next: *const f32,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match (P, R, C) {
                (2, 2, 2) => two_by_two_in_two(a, b, next),
                (2, 1, 2) => one_by_two_in_two(a, b),
                (2, 2, 1) => two_by_one_in_two(a, b),
                (2, ..) => one_by_one_in_two(a, b),
                (_, 2, 2) => two_by_two_in_three(a, b, next),
                (_, 1, 2) => one_by_two_in_three(a, b),
                (_, 2, 1) => two_by_one_in_three(a, b),
                _ => one_by_one_in_three(a, b),
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

/// Reads to tile `$tile` that which comes `$index`th in a step of matrix `$of`.
macro_rules! read {
    ($tile:literal, $of:literal, $index:literal) => {
        concat!("tileloadd tmm", $tile, ", [{", $of, "} + {line} + 1024 * ", $index, "]\n")
    };
}

/// Adds the product of two tiles to a third.
macro_rules! add {
    ($sum:literal, $left:literal, $right:literal) => {
        concat!("tdpbf16ps tmm", $sum, ", tmm", $left, ", tmm", $right, "\n")
    };
}

/// Fetches the `$index`th four lines of the next step, of the right matrix `$bytes` further, for tiles
/// come from the second cache.
macro_rules! fetch {
    ($bytes:literal, $index:literal) => {
        concat!(
            fetch!("next", "0", $index, "0"),
            fetch!("b", $bytes, $index, "0"),
            fetch!("next", "0", $index, "64"),
            fetch!("b", $bytes, $index, "64"),
            fetch!("next", "0", $index, "128"),
            fetch!("b", $bytes, $index, "128"),
            fetch!("next", "0", $index, "192"),
            fetch!("b", $bytes, $index, "192"),
        )
    };
    ($of:literal, $bytes:literal, $index:literal, $line:literal) => {
        concat!("prefetcht0 [{", $of, "} + ", $bytes, " + 256 * ", $index, " + ", $line, "]\n")
    };
}

/// The instructions of a step, tiles 0 to 3 the sums, 4 and 5 of the left matrix, 6 and 7 of the
/// right one.
macro_rules! kernel {
    ($name:ident($($pointer:ident),*), $($line:expr),* $(,)?) => {
        #[inline(always)]
        unsafe fn $name($($pointer: *const f32),*) {
            // SAFETY: the caller's of `Tiles::add`.
            unsafe {
                asm!(
                    $($line,)*
                    $($pointer = in(reg) $pointer,)*
                    line = in(reg) 64usize,
                    options(nostack, readonly),
                );
            }
        }
    };
}

// Small products of parts come first. A tile is read again right after its last use, long before
// its next; the same sum comes again after three or four products, which is how long it takes.
// While others use the core, products that follow each other without eight instructions between them
// take up to twice as long, and late reads a quarter longer.
kernel!(
    two_by_two_in_two(a, b, next),
    read!("4", "a", "0"),
    read!("6", "b", "2"),
    add!("0", "4", "6"),
    fetch!("4096", "0"),
    read!("5", "a", "1"),
    read!("7", "b", "3"),
    add!("2", "5", "6"),
    fetch!("4096", "1"),
    read!("6", "b", "0"),
    add!("1", "4", "7"),
    fetch!("4096", "2"),
    fetch!("4096", "3"),
    add!("3", "5", "7"),
    fetch!("4096", "4"),
    read!("7", "b", "1"),
    add!("0", "4", "6"),
    fetch!("4096", "5"),
    add!("1", "4", "7"),
    fetch!("4096", "6"),
    fetch!("4096", "7"),
    read!("4", "a", "2"),
    add!("2", "5", "6"),
    fetch!("4096", "8"),
    add!("3", "5", "7"),
    fetch!("4096", "9"),
    read!("5", "a", "3"),
    add!("0", "4", "6"),
    fetch!("4096", "10"),
    fetch!("4096", "11"),
    add!("1", "4", "7"),
    fetch!("4096", "12"),
    add!("2", "5", "6"),
    fetch!("4096", "13"),
    add!("3", "5", "7"),
    fetch!("4096", "14"),
    fetch!("4096", "15"),
);

kernel!(
    two_by_two_in_three(a, b, next),
    read!("4", "a", "4"),
    read!("6", "b", "0"),
    add!("0", "4", "6"),
    fetch!("6144", "0"),
    read!("7", "b", "1"),
    read!("5", "a", "5"),
    add!("1", "4", "7"),
    fetch!("6144", "1"),
    read!("4", "a", "2"),
    add!("2", "5", "6"),
    fetch!("6144", "2"),
    add!("3", "5", "7"),
    fetch!("6144", "3"),
    read!("5", "a", "3"),
    add!("0", "4", "6"),
    fetch!("6144", "4"),
    add!("2", "5", "6"),
    fetch!("6144", "5"),
    read!("6", "b", "2"),
    add!("1", "4", "7"),
    fetch!("6144", "6"),
    add!("3", "5", "7"),
    fetch!("6144", "7"),
    read!("7", "b", "3"),
    add!("0", "4", "6"),
    fetch!("6144", "8"),
    add!("1", "4", "7"),
    fetch!("6144", "9"),
    read!("4", "a", "0"),
    add!("2", "5", "6"),
    fetch!("6144", "10"),
    add!("3", "5", "7"),
    fetch!("6144", "11"),
    read!("5", "a", "1"),
    add!("0", "4", "6"),
    fetch!("6144", "12"),
    add!("2", "5", "6"),
    fetch!("6144", "13"),
    read!("6", "b", "4"),
    add!("1", "4", "7"),
    fetch!("6144", "14"),
    add!("3", "5", "7"),
    fetch!("6144", "15"),
    read!("7", "b", "5"),
    add!("0", "4", "6"),
    fetch!("6144", "16"),
    add!("2", "5", "6"),
    fetch!("6144", "17"),
    read!("6", "b", "0"),
    add!("1", "4", "7"),
    fetch!("6144", "18"),
    add!("3", "5", "7"),
    fetch!("6144", "19"),
    read!("7", "b", "1"),
    add!("0", "4", "6"),
    fetch!("6144", "20"),
    add!("1", "4", "7"),
    fetch!("6144", "21"),
    add!("2", "5", "6"),
    fetch!("6144", "22"),
    add!("3", "5", "7"),
    fetch!("6144", "23"),
);

// With fewer tiles there are more sums of each.
kernel!(
    one_by_two_in_two(a, b),
    read!("4", "a", "0"),
    read!("6", "b", "2"),
    add!("0", "4", "6"),
    read!("7", "b", "3"),
    read!("6", "b", "0"),
    add!("1", "4", "7"),
    read!("7", "b", "1"),
    add!("2", "4", "6"),
    read!("5", "a", "1"),
    add!("3", "4", "7"),
    add!("0", "5", "6"),
    add!("1", "5", "7"),
);

kernel!(
    two_by_one_in_two(a, b),
    read!("4", "a", "0"),
    read!("6", "b", "1"),
    add!("0", "4", "6"),
    read!("5", "a", "1"),
    read!("7", "b", "0"),
    add!("2", "5", "6"),
    add!("1", "4", "7"),
    read!("4", "a", "2"),
    add!("3", "5", "7"),
    read!("5", "a", "3"),
    add!("0", "4", "7"),
    add!("2", "5", "7"),
);

kernel!(
    one_by_one_in_two(a, b),
    read!("4", "a", "0"),
    read!("6", "b", "1"),
    add!("0", "4", "6"),
    read!("7", "b", "0"),
    read!("5", "a", "1"),
    add!("1", "4", "7"),
    add!("2", "5", "7"),
);

kernel!(
    one_by_two_in_three(a, b),
    read!("4", "a", "2"),
    read!("6", "b", "0"),
    add!("0", "4", "6"),
    read!("7", "b", "1"),
    read!("5", "a", "1"),
    add!("1", "4", "7"),
    read!("4", "a", "0"),
    add!("2", "5", "6"),
    read!("6", "b", "2"),
    add!("3", "5", "7"),
    read!("7", "b", "3"),
    add!("0", "5", "6"),
    add!("1", "5", "7"),
    add!("2", "4", "6"),
    read!("6", "b", "4"),
    add!("3", "4", "7"),
    read!("7", "b", "5"),
    add!("0", "4", "6"),
    read!("6", "b", "0"),
    add!("1", "4", "7"),
    read!("7", "b", "1"),
    add!("2", "4", "6"),
    add!("3", "4", "7"),
);

kernel!(
    two_by_one_in_three(a, b),
    read!("4", "a", "4"),
    read!("6", "b", "0"),
    add!("0", "4", "6"),
    read!("5", "a", "5"),
    read!("4", "a", "2"),
    add!("2", "5", "6"),
    read!("5", "a", "3"),
    add!("1", "4", "6"),
    read!("7", "b", "1"),
    add!("3", "5", "6"),
    read!("6", "b", "2"),
    add!("0", "4", "7"),
    read!("4", "a", "0"),
    add!("2", "5", "7"),
    read!("5", "a", "1"),
    add!("1", "4", "7"),
    add!("3", "5", "7"),
    read!("7", "b", "0"),
    add!("0", "4", "6"),
    add!("2", "5", "6"),
    add!("1", "4", "7"),
    add!("3", "5", "7"),
);

kernel!(
    one_by_one_in_three(a, b),
    read!("4", "a", "2"),
    read!("6", "b", "0"),
    add!("0", "4", "6"),
    read!("5", "a", "1"),
    read!("7", "b", "1"),
    read!("4", "a", "0"),
    add!("1", "5", "6"),
    read!("6", "b", "2"),
    add!("2", "5", "7"),
    add!("3", "4", "7"),
    read!("7", "b", "0"),
    add!("0", "4", "6"),
    add!("1", "4", "7"),
);
