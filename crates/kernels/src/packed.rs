//! The right matrix of a product in panels of some vectors of columns, as products read it.

use crate::isa::{Level, has_tiles, level};
use crate::matrix::Matrix;

/// Columns of a panel: where they begin, how many vectors they fill, where their numbers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    pub(crate) column: usize,
    pub(crate) vectors: usize,
    pub(crate) at: usize,
}

/// Lanes of a vector, and vectors of the widest panel.
fn panel_size(in_tiles: bool) -> (usize, usize) {
    match level() {
        _ if in_tiles => (16, 1),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => (16, 3),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => (8, 2),
        Level::Baseline if cfg!(target_arch = "aarch64") => (4, 3),
        Level::Baseline => (4, 2),
    }
}

/// A cache line, so that vectors of a panel never lie across two.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line([f32; 16]);

impl Line {
    pub(crate) const FLOATS: usize = 16;
    pub(crate) const ZERO: Line = Line([0.0; Line::FLOATS]);
}

/// The right matrix of a product (K, N) in panels: row after row of each, padded with zeros; or
/// tiles of its digits (see [`crate::tile_digits`]) if those are faster.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    lines: Vec<Line>,
    k: usize,
    n: usize,
    may_tile: bool,
    in_tiles: bool,
    panels: Vec<Panel>,
}

impl Packed {
    /// Packs `b` as it is.
    pub(crate) fn new(b: Matrix) -> Self {
        Self::with(b, false)
    }

    /// Packs `b` in tiles where those are faster.
    pub(crate) fn for_tiles(b: Matrix) -> Self {
        Self::with(b, true)
    }

    fn with(b: Matrix, may_tile: bool) -> Self {
        let (lines, panels) = (Vec::new(), Vec::new());
        let mut packed = Self { lines, k: 0, n: 0, may_tile, in_tiles: false, panels };
        packed.refill(b);
        packed
    }

    /// Whether `b` is faster in tiles.
    pub(crate) fn would_tile(b: &Matrix) -> bool {
        tiles_pay(b.rows, b.cols)
    }

    /// Packs `b` into the same memory.
    pub(crate) fn refill(&mut self, b: Matrix) {
        let (lanes, _) = panel_size(false);
        if (self.k, self.n) != (b.rows, b.cols) {
            (self.k, self.n) = (b.rows, b.cols);
            self.in_tiles = self.may_tile && tiles_pay(b.rows, b.cols);
            self.panels = panels(b.cols, b.rows, self.in_tiles);
            let last = self.panels.last();
            let floats = last.map_or(0, |p| p.at + panel_floats(p.vectors, b.rows, self.in_tiles));
            self.lines.resize(floats.div_ceil(Line::FLOATS), Line::ZERO);
        }
        let floats = as_floats_mut(&mut self.lines);
        #[cfg(target_arch = "x86_64")]
        if self.in_tiles {
            use crate::tile_digits::{PANELS, split_right};
            let apart = panel_floats(1, b.rows, true);
            for panels in self.panels.chunks(PANELS) {
                let Some(first) = panels.first() else { continue };
                let to = floats[first.at..].as_mut_ptr();
                // SAFETY: AVX-512 comes with tiles, and the panels have room for their digits.
                unsafe { split_right(to, apart, &b, first.column, panels.len()) };
            }
            return;
        }
        for panel in &self.panels {
            let width = panel.vectors * lanes;
            let cols = width.min(b.cols - panel.column);
            let part = b.columns(panel.column..panel.column + cols);
            let to = &mut floats[panel.at..][..width * b.rows];
            match width {
                _ if b.col_stride != 1 || cols < width => part.copy_to(to, width),
                // Copies of a known length are moves, not calls.
                4 => copy::<4>(to, &b, panel.column),
                8 => copy::<8>(to, &b, panel.column),
                12 => copy::<12>(to, &b, panel.column),
                16 => copy::<16>(to, &b, panel.column),
                32 => copy::<32>(to, &b, panel.column),
                48 => copy::<48>(to, &b, panel.column),
                _ => part.copy_to(to, width),
            }
        }
    }

    /// Row `k` of the matrix times `factors[k]`; not of a matrix in tiles.
    pub(crate) fn scaled(&self, factors: &[f32]) -> Self {
        assert_eq!(factors.len(), self.k);
        assert!(!self.in_tiles);
        let mut scaled = self.clone();
        let (lanes, _) = panel_size(self.in_tiles);
        let floats = as_floats_mut(&mut scaled.lines);
        for panel in &self.panels {
            let rows = floats[panel.at..].chunks_exact_mut(panel.vectors * lanes);
            rows.zip(factors).for_each(|(row, f)| row.iter_mut().for_each(|x| *x *= f));
        }
        scaled
    }

    /// Whether panels are of tiles.
    pub(crate) fn in_tiles(&self) -> bool {
        self.in_tiles
    }

    /// The panels' numbers, each panel's from its `at` on.
    pub(crate) fn floats(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    /// The panels of `group`.
    pub(crate) fn panels(&self, group: &Group) -> &[Panel] {
        &self.panels[group.panels.clone()]
    }

    /// Inner dimension K.
    pub(crate) fn inner(&self) -> usize {
        self.k
    }

    /// Number N of columns.
    pub(crate) fn columns(&self) -> usize {
        self.n
    }

    /// Panels in groups of at least `columns` columns where there are so many: the panels'
    /// numbers, and the columns they hold.
    pub(crate) fn groups(&self, columns: usize) -> Vec<Group> {
        let (lanes, _) = panel_size(self.in_tiles);
        let mut groups: Vec<Group> = Vec::new();
        for (i, panel) in self.panels.iter().enumerate() {
            let end = (panel.column + panel.vectors * lanes).min(self.n);
            match groups.last_mut() {
                Some(g) if g.columns.len() < columns => {
                    g.panels.end = i + 1;
                    g.columns.end = end;
                }
                _ => groups.push(Group { panels: i..i + 1, columns: panel.column..end }),
            }
        }
        groups
    }

    pub(crate) fn all(&self) -> Group {
        Group { panels: 0..self.panels.len(), columns: 0..self.n }
    }
}

/// Columns `column..column + W` of `b`, whose rows are contiguous.
fn copy<const W: usize>(to: &mut [f32], b: &Matrix, column: usize) {
    for (k, row) in to.as_chunks_mut::<W>().0.iter_mut().enumerate() {
        let from = b.data[k * b.row_stride + column..].first_chunk();
        *row = *from.expect("a row ends within its matrix");
    }
}

/// Some panels of a [`Packed`] matrix that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    panels: std::ops::Range<usize>,
    pub(crate) columns: std::ops::Range<usize>,
}

pub(crate) fn as_floats(lines: &[Line]) -> &[f32] {
    // SAFETY: a line is so many floats without padding.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * Line::FLOATS) }
}

pub(crate) fn as_floats_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * Line::FLOATS) }
}

/// Whether there are tiles, and a product with a matrix (K, N) is faster by them; smaller ones fill
/// too little of theirs.
fn tiles_pay(k: usize, n: usize) -> bool {
    // Those of a tile: `tiles::DEPTH`, a module that other processors do not have.
    const TERMS: usize = 64;
    // Sums of more terms might not fit 32 bits.
    const MOST: usize = 32768;
    has_tiles()
        && n >= 16
        && (TERMS / 2..=MOST).contains(&k)
        && 4 * k >= 3 * k.next_multiple_of(TERMS)
}

/// Floats of a panel.
fn panel_floats(vectors: usize, k: usize, in_tiles: bool) -> usize {
    #[cfg(target_arch = "x86_64")]
    if in_tiles {
        use crate::tiles::{DIGITS, FLOATS, SIDE};
        return crate::tile_digits::steps(k) * DIGITS * FLOATS + SIDE;
    }
    let (lanes, _) = panel_size(in_tiles);
    vectors * lanes * k
}

/// `n` columns in as few panels as there can be, of nearly the same width.
fn panels(n: usize, k: usize, in_tiles: bool) -> Vec<Panel> {
    let (lanes, most) = panel_size(in_tiles);
    let vectors = n.div_ceil(lanes);
    let count = vectors.div_ceil(most);
    let mut panels = Vec::with_capacity(count);
    let (mut column, mut at) = (0, 0);
    for i in 0..count {
        let of = vectors / count + usize::from(i < vectors % count);
        panels.push(Panel { column, vectors: of, at });
        column += of * lanes;
        at += panel_floats(of, k, in_tiles);
    }
    panels
}
