//! Matrix products on one thread with what follows them fused; callers split the work.
//!
//! A block of rows times a panel of columns is kept in registers over the whole inner dimension.
//! The left matrix is read where it is, one number at a time; the right one as panels of some
//! vectors of columns, which is how weights that serve often are kept ([`Packed`]).

use crate::activation::Activation;
use crate::isa::{Isa, Level, dispatch, level};
use crate::simd::{Vector, prefetch};

/// A matrix over a slice: element `(i, j)` is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, rows `stride` elements apart.
    pub(crate) fn rows(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len());
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// Number of rows.
    pub(crate) fn height(&self) -> usize {
        self.rows
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// Columns of a panel: where they begin, how many vectors they fill, where their numbers are.
#[derive(Clone, Copy, Debug)]
struct Panel {
    column: usize,
    vectors: usize,
    at: usize,
}

/// Lanes of a vector, and vectors of the widest panel.
fn panel_size() -> (usize, usize) {
    match level() {
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
struct Line([f32; 16]);

/// The right matrix of a product (K, N) in panels: row after row of each, padded with zeros.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    lines: Vec<Line>,
    k: usize,
    n: usize,
    panels: Vec<Panel>,
}

impl Packed {
    /// Packs `b`.
    pub(crate) fn new(b: Matrix) -> Self {
        let mut packed = Self { lines: Vec::new(), k: 0, n: 0, panels: Vec::new() };
        packed.refill(b);
        packed
    }

    /// Packs `b` into the same memory.
    pub(crate) fn refill(&mut self, b: Matrix) {
        let (lanes, _) = panel_size();
        if (self.k, self.n) != (b.rows, b.cols) {
            (self.k, self.n) = (b.rows, b.cols);
            self.panels = panels(b.cols, b.rows);
            let floats = b.rows * b.cols.div_ceil(lanes) * lanes;
            self.lines = vec![Line([0.0; 16]); floats.div_ceil(16)];
        }
        let floats = as_floats_mut(&mut self.lines);
        for panel in &self.panels {
            let width = panel.vectors * lanes;
            let cols = width.min(b.cols - panel.column);
            let rows = floats[panel.at..].chunks_exact_mut(width).take(b.rows);
            for (k, row) in rows.enumerate() {
                let from = k * b.row_stride + panel.column * b.col_stride;
                if b.col_stride == 1 {
                    row[..cols].copy_from_slice(&b.data[from..from + cols]);
                } else {
                    let column = b.data[from..].iter().step_by(b.col_stride);
                    row[..cols].iter_mut().zip(column).for_each(|(r, b)| *r = *b);
                }
            }
        }
    }

    /// Row `k` of the matrix times `factors[k]`.
    pub(crate) fn scaled(&self, factors: &[f32]) -> Self {
        assert_eq!(factors.len(), self.k);
        let mut scaled = self.clone();
        let (lanes, _) = panel_size();
        let floats = as_floats_mut(&mut scaled.lines);
        for panel in &self.panels {
            let rows = floats[panel.at..].chunks_exact_mut(panel.vectors * lanes);
            rows.zip(factors).for_each(|(row, f)| row.iter_mut().for_each(|x| *x *= f));
        }
        scaled
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
        let (lanes, _) = panel_size();
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

/// Some panels of a [`Packed`] matrix that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    panels: std::ops::Range<usize>,
    pub(crate) columns: std::ops::Range<usize>,
}

fn as_floats_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: a line is 16 floats without padding.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 16) }
}

/// `n` columns in as few panels as there can be, of nearly the same width.
fn panels(n: usize, k: usize) -> Vec<Panel> {
    let (lanes, most) = panel_size();
    let vectors = n.div_ceil(lanes);
    let count = vectors.div_ceil(most);
    let mut panels = Vec::with_capacity(count);
    let (mut column, mut at) = (0, 0);
    for i in 0..count {
        let of = vectors / count + usize::from(i < vectors % count);
        panels.push(Panel { column, vectors: of, at });
        column += of * lanes;
        at += of * lanes * k;
    }
    panels
}

/// What is added to a product before its activation.
#[derive(Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    /// One number a column.
    pub(crate) bias: Option<&'a [f32]>,
    /// A row for every so many rows of the product.
    pub(crate) rows: Option<AddedRows<'a>>,
    /// What was in the output.
    pub(crate) accumulate: bool,
    pub(crate) activation: Activation,
}

/// Row `i / repeat` of `data` is added to row `i` of a product.
#[derive(Clone, Copy)]
pub(crate) struct AddedRows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) repeat: usize,
}

impl Epilogue<'_> {
    pub(crate) const NONE: Epilogue<'static> =
        Epilogue { bias: None, rows: None, accumulate: false, activation: Activation::Identity };

    pub(crate) const ACCUMULATE: Epilogue<'static> =
        Epilogue { accumulate: true, ..Epilogue::NONE };
}

/// `dst = act(a b + ...)`; `dst` is row-major, its rows `stride` elements apart.
pub(crate) fn product(dst: &mut [f32], stride: usize, a: Matrix, b: &Packed, then: &Epilogue) {
    check_output(dst.len(), stride, a.rows, b.n);
    // SAFETY: the output holds all rows, as just checked, and has been written before.
    unsafe { product_raw(dst.as_mut_ptr(), stride, a, b, &b.all(), then) }
}

/// `dst = a b`, or `dst += a b`, where `b` is used once: rows of `b` that are contiguous are read
/// where they are.
pub(crate) fn product_once(dst: &mut [f32], stride: usize, a: Matrix, b: Matrix, then: &Epilogue) {
    check_output(dst.len(), stride, a.rows, b.cols);
    assert_eq!(a.cols, b.rows, "inner dimensions of a product");
    if b.col_stride != 1 {
        return product(dst, stride, a, &Packed::new(b), then);
    }
    let (lanes, most) = panel_size();
    // The last panel may reach beyond a row, so it is copied; the others are read in place.
    let whole = b.cols / (lanes * most) * (lanes * most);
    if whole > 0 {
        assert!(b.rows == 0 || (b.rows - 1) * b.row_stride + whole <= b.data.len());
        check_epilogue(&a, b.cols, then);
        let direct = Panels::Rows { b: b.data.as_ptr(), stride: b.row_stride, columns: whole };
        // SAFETY: the extents of all operands were checked.
        unsafe { run(dst.as_mut_ptr(), stride, &a, direct, b.cols, then) }
    }
    if whole < b.cols {
        let rest = Matrix { data: b.data.get(whole..).unwrap_or(&[]), cols: b.cols - whole, ..b };
        let shifted = Epilogue {
            bias: then.bias.map(|x| &x[whole..]),
            rows: then.rows.map(|r| AddedRows { data: &r.data[whole..], ..r }),
            ..*then
        };
        product(&mut dst[whole..], stride, a, &Packed::new(rest), &shifted);
    }
}

fn check_output(len: usize, stride: usize, m: usize, n: usize) {
    assert!(m == 0 || n == 0 || (n <= stride && (m - 1) * stride + n <= len));
}

fn check_epilogue(a: &Matrix, n: usize, then: &Epilogue) {
    assert!(then.bias.is_none_or(|b| b.len() >= n));
    if let Some(r) = &then.rows
        && a.rows > 0
    {
        assert!(r.repeat > 0);
        assert!((a.rows - 1) / r.repeat * r.stride + n <= r.data.len());
    }
}

/// As [`product`] for the columns of `group`, into memory that need not have been written; column
/// 0 of `dst`, of the bias and of added rows is the group's first.
///
/// # Safety
/// Rows of as many floats as the group has columns can be written at `dst + i * stride` for every
/// row `i` of `a`; where `then` accumulates they have been written.
pub(crate) unsafe fn product_raw(
    dst: *mut f32,
    stride: usize,
    a: Matrix,
    b: &Packed,
    group: &Group,
    then: &Epilogue,
) {
    assert_eq!(a.cols, b.k, "inner dimensions of a product");
    let panels = &b.panels[group.panels.clone()];
    let Some(first) = panels.first() else { return };
    check_epilogue(&a, group.columns.len(), then);
    let packed = Panels::Packed { b: b.lines.as_ptr().cast(), panels, first: first.column };
    // SAFETY: the caller's, and what was checked.
    unsafe { run(dst, stride, &a, packed, group.columns.len(), then) }
}

/// The right matrix as the kernel reads it.
#[derive(Clone, Copy)]
enum Panels<'a> {
    Packed {
        b: *const f32,
        panels: &'a [Panel],
        first: usize,
    },
    /// The first `columns` columns of contiguous rows, whole panels of them.
    Rows {
        b: *const f32,
        stride: usize,
        columns: usize,
    },
}

/// # Safety
/// All extents have been checked.
unsafe fn run(dst: *mut f32, stride: usize, a: &Matrix, b: Panels, n: usize, then: &Epilogue) {
    if a.rows == 0 || n == 0 {
        return;
    }
    blocks(dst, stride, a, &b, n, then);
}

dispatch!(fn blocks(dst: *mut f32, stride: usize, a: &Matrix, b: &Panels, n: usize, then: &Epilogue) = blocks_body);
#[inline(always)]
fn blocks_body<I: Isa>(
    dst: *mut f32,
    stride: usize,
    a: &Matrix,
    b: &Panels,
    n: usize,
    then: &Epilogue,
) {
    match *b {
        Panels::Packed { b, panels, first } => {
            for panel in panels {
                let column = panel.column - first;
                let block = Block {
                    b: b.wrapping_add(panel.at),
                    b_stride: panel.vectors * I::V::LANES,
                    ahead: 0,
                    column,
                    columns: (panel.vectors * I::V::LANES).min(n - column),
                };
                column_panel::<I>(dst, stride, a, &block, panel.vectors, then);
            }
        }
        Panels::Rows { b, stride: b_stride, columns } => {
            let (lanes, most) = (I::V::LANES, if I::WIDE { 3 } else { 2 });
            for column in (0..columns).step_by(lanes * most) {
                let b = b.wrapping_add(column);
                // Rows far apart are not foreseen by the processor, so they are fetched ahead.
                let last = column + lanes * most >= columns;
                let ahead = if last { 0 } else { lanes * most };
                let block = Block { b, b_stride, ahead, column, columns: lanes * most };
                column_panel::<I>(dst, stride, a, &block, most, then);
            }
        }
    }
}

/// One panel of the right matrix.
struct Block {
    b: *const f32,
    b_stride: usize,
    /// The panel after it is that many floats further; 0 if none is to be fetched ahead.
    ahead: usize,
    /// Where it begins in the output.
    column: usize,
    /// How many of its columns there are.
    columns: usize,
}

#[inline(always)]
fn column_panel<I: Isa>(
    dst: *mut f32,
    stride: usize,
    a: &Matrix,
    block: &Block,
    vectors: usize,
    then: &Epilogue,
) {
    // Rows and vectors that fill the registers: sums, the panel's row, one number of the left.
    if I::WIDE {
        match vectors {
            3 => rows::<I::V, 8, 3>(dst, stride, a, block, then),
            2 => rows::<I::V, 12, 2>(dst, stride, a, block, then),
            _ => rows::<I::V, 16, 1>(dst, stride, a, block, then),
        }
    } else {
        match vectors {
            2 => rows::<I::V, 6, 2>(dst, stride, a, block, then),
            _ => rows::<I::V, 8, 1>(dst, stride, a, block, then),
        }
    }
}

#[inline(always)]
fn rows<V: Vector, const R: usize, const N: usize>(
    dst: *mut f32,
    stride: usize,
    a: &Matrix,
    block: &Block,
    then: &Epilogue,
) {
    // Every block of rows fetches its share of the next panel.
    let pace = a.rows.div_ceil(R);
    for first in (0..a.rows).step_by(R) {
        let count = R.min(a.rows - first);
        let fetch = Fetch { first: first / R, pace };
        // SAFETY: the extents were checked; rows beyond the last repeat it and are not stored.
        unsafe {
            let sums = if a.row_stride == 1 && count == R {
                let a_at = a.data.as_ptr().add(first);
                accumulate::<V, R, N>(|r, k| a_at.add(k * a.col_stride + r), a.cols, block, &fetch)
            } else {
                let starts: [*const f32; R] = std::array::from_fn(|r| {
                    a.data.as_ptr().add((first + r.min(count - 1)) * a.row_stride)
                });
                if a.col_stride == 1 {
                    accumulate::<V, R, N>(|r, k| starts[r].add(k), a.cols, block, &fetch)
                } else {
                    let step = a.col_stride;
                    accumulate::<V, R, N>(|r, k| starts[r].add(k * step), a.cols, block, &fetch)
                }
            };
            finish::<V, R, N>(&sums, dst, stride, (first, count), block, then);
        }
    }
}

/// Rows `first`, `first + pace`, ... of the next panel are to be fetched.
struct Fetch {
    first: usize,
    pace: usize,
}

#[inline(always)]
unsafe fn accumulate<V: Vector, const R: usize, const N: usize>(
    a: impl Fn(usize, usize) -> *const f32,
    inner: usize,
    block: &Block,
    fetch: &Fetch,
) -> [[V; N]; R] {
    let mut sums = [[V::splat(0.0); N]; R];
    let mut b = block.b;
    let mut k = 0;
    // One row is fetched before every `pace` rows of products.
    let pace = if block.ahead > 0 { fetch.pace } else { inner };
    while k < inner {
        if block.ahead > 0 && k + fetch.first < inner {
            let row = b.wrapping_add(fetch.first * block.b_stride + block.ahead);
            for line in 0..N * V::LANES / 16 + 1 {
                prefetch(row.wrapping_add(line * 16));
            }
        }
        let end = inner.min(k + pace);
        while k < end {
            // SAFETY: the caller's.
            unsafe {
                let row: [V; N] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = V::splat(*a(r, k));
                    for (sum, row) in sums.iter_mut().zip(row) {
                        *sum = x.mul_add(row, *sum);
                    }
                }
            }
            b = b.wrapping_add(block.b_stride);
            k += 1;
        }
    }
    sums
}

#[inline(always)]
unsafe fn finish<V: Vector, const R: usize, const N: usize>(
    sums: &[[V; N]; R],
    dst: *mut f32,
    stride: usize,
    (first, count): (usize, usize),
    block: &Block,
    then: &Epilogue,
) {
    for v in 0..N {
        let within = v * V::LANES;
        let lanes = V::LANES.min(block.columns.saturating_sub(within));
        let column = block.column + within;
        let whole = lanes == V::LANES;
        // SAFETY: `lanes` of every operand from `column` are within its checked extent.
        unsafe {
            let load = |p: *const f32| if whole { V::load(p) } else { V::load_part(p, lanes) };
            let bias = match then.bias {
                Some(bias) => load(bias.as_ptr().add(column)),
                None => V::splat(0.0),
            };
            for (r, sums) in sums.iter().enumerate().take(count) {
                let at = dst.add((first + r) * stride + column);
                let mut y = sums[v].add(bias);
                if let Some(rows) = &then.rows {
                    let row = (first + r) / rows.repeat;
                    y = y.add(load(rows.data.as_ptr().add(row * rows.stride + column)));
                }
                if then.accumulate {
                    y = y.add(load(at));
                }
                let y = then.activation.of(y);
                if whole { y.store(at) } else { y.store_part(at, lanes) }
            }
        }
    }
}

/// Rows a task takes: enough for a panel to serve often, few enough for them to stay in cache.
pub(crate) const TILE: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut x = seed | 1;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// The same in f64.
    fn truth(a: &Matrix, b: &Matrix) -> Vec<f64> {
        let mut out = Vec::new();
        for i in 0..a.rows {
            for j in 0..b.cols {
                let of = |k: usize| {
                    let x = a.data[i * a.row_stride + k * a.col_stride] as f64;
                    x * b.data[k * b.row_stride + j * b.col_stride] as f64
                };
                out.push((0..a.cols).map(of).sum());
            }
        }
        out
    }

    #[test]
    fn every_shape_and_layout() {
        for (i, (m, n, k)) in [
            (1, 1, 1),
            (1, 48, 7),
            (7, 47, 3),
            (8, 49, 16),
            (13, 17, 5),
            (97, 100, 33),
            (16, 200, 100),
            (5, 33, 0),
        ]
        .into_iter()
        .enumerate()
        {
            let (x, y) = (noise(m * k + 3, 1 + i as u32), noise(k * n, 99 + i as u32));
            let pairs = [
                (Matrix::rows(&x, m, k, k), Matrix::rows(&y, k, n, n)),
                (Matrix::rows(&x, k, m, m).transposed(), Matrix::rows(&y, k, n, n)),
                (Matrix::rows(&x, m, k, k), Matrix::rows(&y, n, k, k).transposed()),
            ];
            let (bias, added, before) = (noise(n, 5), noise(m.div_ceil(2) * n, 6), noise(m * n, 7));
            for (a, b) in pairs {
                let truth = truth(&a, &b);
                let then = Epilogue {
                    bias: Some(&bias),
                    rows: Some(AddedRows { data: &added, stride: n, repeat: 2 }),
                    accumulate: true,
                    activation: Activation::Relu,
                };
                let (mut once, mut packed) = (before.clone(), before.clone());
                product_once(&mut once, n, a, b, &then);
                product(&mut packed, n, a, &Packed::new(b), &then);
                for (at, t) in truth.iter().enumerate() {
                    let (row, column) = (at / n, at % n);
                    let sum = t + bias[column] as f64 + before[at] as f64;
                    let expected = (sum + added[row / 2 * n + column] as f64).max(0.0);
                    assert!((once[at] as f64 - expected).abs() < 2e-5, "{m}x{n}x{k} at {at}");
                    assert!((packed[at] as f64 - expected).abs() < 2e-5, "{m}x{n}x{k} at {at}");
                }
            }
        }
    }

    #[test]
    fn a_number_that_is_none_is_kept() {
        let a = [f32::NAN, 1.0];
        let b = [1.0, 2.0];
        for activation in [Activation::Relu, Activation::Relu6, Activation::Silu] {
            let then = Epilogue { activation, ..Epilogue::NONE };
            let mut out = [0.0; 4];
            let (a, b) = (Matrix::rows(&a, 2, 1, 1), Matrix::rows(&b, 1, 2, 2));
            product_once(&mut out, 2, a, b, &then);
            assert!(out[0].is_nan() && out[1].is_nan() && out[2].is_finite(), "{activation:?}");
        }
    }

    #[test]
    fn scaled_rows_and_groups() {
        let (k, n) = (9, 130);
        let (x, y) = (noise(3 * k, 1), noise(k * n, 2));
        let factors = noise(k, 3);
        let scaled: Vec<f32> = y.iter().enumerate().map(|(i, y)| y * factors[i / n]).collect();
        let a = Matrix::rows(&x, 3, k, k);
        let (mut whole, mut parts) = (vec![0.0; 3 * n], vec![0.0; 3 * n]);
        product_once(&mut whole, n, a, Matrix::rows(&scaled, k, n, n), &Epilogue::NONE);
        let packed = Packed::new(Matrix::rows(&y, k, n, n)).scaled(&factors);
        let groups = packed.groups(20);
        assert_eq!(groups.last().unwrap().columns.end, n);
        for group in &groups {
            let at = parts[group.columns.start..].as_mut_ptr();
            // SAFETY: every row of the group lies within `parts`.
            unsafe { product_raw(at, n, a, &packed, group, &Epilogue::NONE) };
        }
        assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
