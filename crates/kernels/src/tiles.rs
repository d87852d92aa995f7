//! Matrix tiles of an x86-64 processor (Intel AMX): 16 rows of 64 bytes, whose products of
//! whole numbers of eight bits are summed in 32.
//!
//! Instructions are written as assembly, for Rust has no stable functions for them. Formats: Intel,
//! "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 1, chapter 18.

use std::arch::asm;

/// Rows of a tile, and columns of one of sums.
pub(crate) const SIDE: usize = 16;
/// Terms of a sum that a tile of the left matrix holds.
pub(crate) const DEPTH: usize = 64;
/// Digits of a number, and sums of products of digits: one for each place that shows.
pub(crate) const DIGITS: usize = 3;
/// A tile's memory, in floats.
pub(crate) const FLOATS: usize = 256;

/// Whether this processor has tiles for whole numbers and the system lets this process use them.
pub(crate) fn available() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const INT8: u32 = 1 << 25;
        const TILE: u32 = 1 << 24;
        let has = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (INT8 | TILE) == INT8 | TILE;
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
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", options(nostack, nomem));
        }
    }

    /// Adds [`DEPTH`] terms to the sums: a tile of the left matrix times one of the right one, each in
    /// [`DIGITS`] digits (see [`crate::tile_digits`]), in memory the largest first.
    ///
    /// # Safety
    /// `DIGITS` tiles can be read at `a` and at `b`; [`Beside::some`] may be called.
    #[inline(always)]
    pub(crate) unsafe fn add(&self, a: *const f32, b: *const f32, beside: &mut impl Beside) {
        // SAFETY: the caller's.
        unsafe { step(a, b, beside) }
    }

    /// The sums to memory: place after place, the largest first, each of 16 x 16 numbers, row-major.
    ///
    /// # Safety
    /// `DIGITS` tiles can be written at `to`.
    #[inline(always)]
    pub(crate) unsafe fn store(&self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            asm!(
                "tilestored [{to} + {row}], tmm0",
                "tilestored [{to} + {row} + 1024], tmm1",
                "tilestored [{to} + {row} + 2048], tmm2",
                to = in(reg) to,
                row = in(reg) 64usize,
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
        concat!("tdpbssd tmm", $sum, ", tmm", $left, ", tmm", $right, "\n")
    };
}

/// Fetches the `$index`th eight lines of the right matrix's next step, for tiles come from the second
/// cache.
macro_rules! fetch {
    ($index:literal) => {
        concat!(
            fetch!($index, "0"),
            fetch!($index, "64"),
            fetch!($index, "128"),
            fetch!($index, "192"),
            fetch!($index, "256"),
            fetch!($index, "320"),
            fetch!($index, "384"),
            fetch!($index, "448"),
        )
    };
    ($index:literal, $line:literal) => {
        concat!("prefetcht0 [{b} + 3072 + 512 * ", $index, " + ", $line, "]\n")
    };
}

/// What the rest of a core does beside its tiles. Where others use the core too, tiles wait for each
/// other a third longer if there are no other instructions between them.
pub(crate) trait Beside {
    /// Some of it; a step has time for it six times.
    ///
    /// # Safety
    /// As it is for the implementation.
    unsafe fn some(&mut self);
}

/// The instructions of a step, and between them what is done beside.
macro_rules! kernel {
    ($name:ident, $([$($line:expr),* $(,)?],)*) => {
        #[inline(always)]
        unsafe fn $name(a: *const f32, b: *const f32, beside: &mut impl Beside) {
            // SAFETY: the caller's of `Tiles::add`.
            unsafe {
                $(
                    asm!(
                        $($line,)*
                        "/* {a} {b} {line} */",
                        a = in(reg) a,
                        b = in(reg) b,
                        line = in(reg) 64usize,
                        options(nostack, readonly),
                    );
                    beside.some();
                )*
            }
        }
    };
}

// Of two digits each: the product of the first ones is summed in the first place, that of a first
// and a second in the second, of a first and a third or of two second ones in the third. What would
// come in a fourth place is left out. Tiles 0 to 2 are the places, 3 and 4 of the left matrix, 5 to 7
// of the right one.
//
// One tile of sums alone leaves five for what is multiplied, so that they are read long before they
// are used: with two, of a right tile times two left ones, and two for what is multiplied, a product
// takes a fifth longer where others use the core, and is hardly faster where they do not.
kernel!(
    step,
    [read!("3", "a", "0"), read!("5", "b", "0"), add!("0", "3", "5"), fetch!("0")],
    [read!("6", "b", "1"), read!("4", "a", "1"), add!("1", "3", "6"), fetch!("1")],
    [read!("7", "b", "2"), add!("1", "4", "5"), fetch!("2")],
    [add!("2", "4", "6"), fetch!("3")],
    [read!("4", "a", "2"), add!("2", "3", "7"), fetch!("4")],
    [add!("2", "4", "5"), fetch!("5")],
);
