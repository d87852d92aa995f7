//! Matrix products on one thread with what follows them fused; callers split the work.
//!
//! The left matrix is read where it is, one number at a time; the right one as panels of some
//! vectors of columns, which is how weights that serve often are kept ([`Packed`]).

use crate::activation::Activation;
use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::packed::{Group, Packed, Panel};
use crate::register_block::{Block, column_panel};
use crate::simd::Vector;

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
    /// The gradient of a rectifier: 0 where what it left is 0.
    pub(crate) rectified: Option<Rectified<'a>>,
}

/// What a rectifier left, of the output's shape, rows `stride` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Rectified<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
}

/// Row `i / repeat` of `data` is added to row `i` of a product.
#[derive(Clone, Copy)]
pub(crate) struct AddedRows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) repeat: usize,
}

impl Epilogue<'_> {
    pub(crate) const NONE: Epilogue<'static> = Epilogue {
        bias: None,
        rows: None,
        accumulate: false,
        activation: Activation::Identity,
        rectified: None,
    };

    pub(crate) const ACCUMULATE: Epilogue<'static> =
        Epilogue { accumulate: true, ..Epilogue::NONE };
}

/// `dst = act(a b + ...)`; `dst` is row-major, its rows `stride` elements apart.
pub(crate) fn product(dst: &mut [f32], stride: usize, a: Matrix, b: &Packed, then: &Epilogue) {
    check_output(dst.len(), stride, a.rows, b.columns());
    // SAFETY: the output holds all rows, as just checked, and has been written before.
    unsafe { product_raw(dst.as_mut_ptr(), stride, a, b, &b.all(), then) }
}

/// `dst = act(a b + ...)` where `b` is used once: some of its rows are packed at a time, so that they
/// are multiplied while they are in cache, however long the sums.
pub(crate) fn product_once(dst: &mut [f32], stride: usize, a: Matrix, b: Matrix, then: &Epilogue) {
    assert_eq!(a.cols, b.rows, "inner dimensions of a product");
    let mut begin = 0;
    let mut panels = Packed::new(b.part(0..b.rows.min(DEPTH)));
    loop {
        let end = b.rows.min(begin + DEPTH);
        let (first, last) = (begin == 0, end == b.rows);
        let then = Epilogue {
            bias: then.bias.filter(|_| first),
            rows: then.rows.filter(|_| first),
            accumulate: then.accumulate || !first,
            activation: if last { then.activation } else { Activation::Identity },
            rectified: then.rectified.filter(|_| last),
        };
        if !first {
            panels.refill(b.part(begin..end));
        }
        product(dst, stride, a.columns(begin..end), &panels, &then);
        if last {
            return;
        }
        begin = end;
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
    if let Some(r) = &then.rectified {
        check_output(r.data.len(), r.stride, a.rows, n);
    }
}

/// As [`product`] for the columns of `group`, into memory that need not have been written; column
/// 0 of `dst`, of the bias, of added rows and of what a rectifier left is the group's first.
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
    assert_eq!(a.cols, b.inner(), "inner dimensions of a product");
    let panels = b.panels(group);
    let Some(first) = panels.first() else { return };
    check_epilogue(&a, group.columns.len(), then);
    let right = Right { b: b.floats(), panels, first: first.column, columns: group.columns.len() };
    match b.in_tiles() {
        _ if a.rows == 0 => {}
        // SAFETY: panels are only in tiles where there are such.
        #[cfg(target_arch = "x86_64")]
        true => unsafe { crate::tile_product::tile_product(dst, stride, &a, &right, then) },
        _ => blocks(dst, stride, &a, &right, then),
    }
}

/// The right matrix as the kernel reads it: some panels that follow each other.
pub(crate) struct Right<'a> {
    pub(crate) b: *const f32,
    pub(crate) panels: &'a [Panel],
    /// Column of the first panel, and columns of all.
    pub(crate) first: usize,
    pub(crate) columns: usize,
}

dispatch!(fn blocks(dst: *mut f32, stride: usize, a: &Matrix, b: &Right, then: &Epilogue) = blocks_body);
#[inline(always)]
fn blocks_body<I: Isa>(dst: *mut f32, stride: usize, a: &Matrix, right: &Right, then: &Epilogue) {
    for (i, panel) in right.panels.iter().enumerate() {
        let column = panel.column - right.first;
        let block = Block {
            b: right.b.wrapping_add(panel.at),
            ahead: right.panels.get(i + 1).map_or(0, |next| next.at - panel.at),
            column,
            columns: (panel.vectors * I::V::LANES).min(right.columns - column),
        };
        column_panel::<I>(dst, stride, a, &block, panel.vectors, then);
    }
}

/// Rows of a right matrix that is used once which are multiplied before the next: a panel of them
/// stays in the first cache, and as much of the left matrix in the second.
const DEPTH: usize = 128;

/// Rows a task takes: enough for a panel to serve often, few enough for them to stay in cache.
pub(crate) const TILE: usize = 96;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::isa::has_tiles;

    /// `n` numbers between -1 and 1.
    pub(crate) fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut x = seed | 1;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// The product in f64.
    pub(crate) fn truth(a: &Matrix, b: &Matrix) -> Vec<f64> {
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
            (97, 100, 60),
            (33, 70, 96),
            (16, 200, 100),
            (5, 33, 0),
            (14, 51, 300),
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
            // Two columns more than the product has.
            let left: Vec<_> = noise(m * (n + 2), 8).iter().map(|x| x.max(0.0)).collect();
            let held_back = Some(Rectified { data: &left, stride: n + 2 });
            let all = [(true, None), (false, None), (true, held_back), (false, held_back)];
            for ((a, b), (accumulate, rectified)) in
                pairs.into_iter().flat_map(|p| all.map(|then| (p, then)))
            {
                let truth = truth(&a, &b);
                let then = Epilogue {
                    bias: Some(&bias),
                    rows: Some(AddedRows { data: &added, stride: n, repeat: 2 }),
                    accumulate,
                    activation: Activation::Relu,
                    rectified,
                };
                let [mut once, mut packed, mut tiled] = [(); 3].map(|()| before.clone());
                product_once(&mut once, n, a, b, &then);
                product(&mut packed, n, a, &Packed::new(b), &then);
                product(&mut tiled, n, a, &Packed::for_tiles(b), &then);
                for (at, t) in truth.iter().enumerate() {
                    let (row, column) = (at / n, at % n);
                    let stood = if accumulate { before[at] as f64 } else { 0.0 };
                    let sum = t + bias[column] as f64 + stood;
                    let expected = match rectified {
                        Some(r) if r.data[row * r.stride + column] == 0.0 => 0.0,
                        _ => (sum + added[row / 2 * n + column] as f64).max(0.0),
                    };
                    assert!((once[at] as f64 - expected).abs() < 2e-5, "{m}x{n}x{k} at {at}");
                    assert!((packed[at] as f64 - expected).abs() < 2e-5, "{m}x{n}x{k} at {at}");
                    assert!((tiled[at] as f64 - expected).abs() < 2e-5, "{m}x{n}x{k} at {at}");
                }
            }
        }
    }

    #[test]
    fn products_go_to_tiles_where_those_pay() {
        let numbers = noise(100 * 130, 4);
        let b = Matrix::rows(&numbers, 100, 130, 130);
        assert_eq!(Packed::for_tiles(b).in_tiles(), has_tiles());
        assert!(!Packed::for_tiles(b.columns(0..4)).in_tiles());
        assert!(!Packed::new(b).in_tiles());
    }

    /// The sums' error by tiles is about that of `f32`, that of short ones somewhat larger.
    #[test]
    fn tiles_are_nearly_as_exact_as_single_precision() {
        // Of twelve numbers the sum is nearly normal.
        let normal = |n: usize, seed: u32| -> Vec<f32> {
            noise(12 * n, seed).chunks_exact(12).map(|x| x.iter().sum::<f32>() / 2.0).collect()
        };
        let heavy = |n, seed| -> Vec<f32> {
            normal(n, seed).iter().zip(normal(n, seed + 1)).map(|(x, y)| x * y.exp()).collect()
        };
        let rectified = |n, seed| normal(n, seed).iter().map(|x| x.max(0.0)).collect();
        for k in [56, 112, 200, 712] {
            let (m, n) = (40, 64);
            for (kind, bound, x, y) in [
                ("uniform", 2e-7, noise(m * k, 1), noise(k * n, 3)),
                ("normal", 4e-7, normal(m * k, 1), normal(k * n, 3)),
                ("rectified", 4e-7, rectified(m * k, 1), normal(k * n, 3)),
                ("heavy tails", 4e-6, heavy(m * k, 1), heavy(k * n, 3)),
            ] {
                let (a, b) = (Matrix::rows(&x, m, k, k), Matrix::rows(&y, k, n, n));
                let truth = truth(&a, &b);
                let all = truth.iter().map(|t| t.abs()).sum::<f64>();
                let error = |panels: Packed| {
                    let mut made = vec![0.0; m * n];
                    product(&mut made, n, a, &panels, &Epilogue::NONE);
                    made.iter().zip(&truth).map(|(x, t)| (*x as f64 - t).abs()).sum::<f64>() / all
                };
                let (single, tiles) = (error(Packed::new(b)), error(Packed::for_tiles(b)));
                println!(
                    "{kind}, {k} terms: mean error {tiles:.1e} by tiles, {single:.1e} without"
                );
                assert!(
                    tiles < bound || tiles == single,
                    "{kind}, {k} terms: {tiles:e} {single:e}"
                );
            }
        }
    }

    #[test]
    fn long_sums_in_tiles_are_as_exact_as_single_precision() {
        let (m, k, n) = (40, 300, 64);
        let (x, y) = (noise(m * k, 1), noise(k * n, 2));
        let (a, b) = (Matrix::rows(&x, m, k, k), Matrix::rows(&y, k, n, n));
        let truth = truth(&a, &b);
        let error = |panels: Packed| {
            let mut made = vec![0.0; m * n];
            product(&mut made, n, a, &panels, &Epilogue::NONE);
            made.iter().zip(&truth).map(|(x, t)| (*x as f64 - t).abs()).sum::<f64>()
        };
        let (single, tiles) = (error(Packed::new(b)), error(Packed::for_tiles(b)));
        assert!(tiles <= single, "by tiles {tiles:e}, without {single:e}");
    }

    /// Rows and columns of tiles have scales of their own, so that small ones stay exact.
    #[test]
    fn small_rows_and_columns_are_as_exact_as_large_ones() {
        let (m, k, n) = (20, 100, 70);
        let size = |i: usize, n: usize| 10f32.powi(i as i32 * 24 / n as i32 - 12);
        let x: Vec<_> =
            noise(m * k, 1).iter().enumerate().map(|(i, x)| x * size(i / k, m)).collect();
        let y: Vec<_> =
            noise(k * n, 2).iter().enumerate().map(|(i, y)| y * size(i % n, n)).collect();
        let (a, b) = (Matrix::rows(&x, m, k, k), Matrix::rows(&y, k, n, n));
        let mut made = vec![0.0; m * n];
        product(&mut made, n, a, &Packed::for_tiles(b), &Epilogue::NONE);
        for (i, (x, t)) in made.iter().zip(truth(&a, &b)).enumerate() {
            let of = size(i / n, m) as f64 * size(i % n, n) as f64;
            assert!((*x as f64 - t).abs() < 1e-5 * of, "{i}: {x:e} {t:e}");
        }
        // Nothing is large enough to be seen.
        let tiny: Vec<_> = noise(k * n, 2).iter().map(|y| y * 1e-30).collect();
        let b = Matrix::rows(&tiny, k, n, n);
        product(&mut made, n, a.part(0..1), &Packed::for_tiles(b), &Epilogue::NONE);
        assert!(made[..n].iter().all(|x| x.abs() < 1e-38));
    }

    #[test]
    fn panels_that_are_filled_again_are_as_new() {
        for pack in [Packed::new, Packed::for_tiles] {
            filled_again(pack);
        }
    }

    fn filled_again(packed: fn(Matrix) -> Packed) {
        let numbers = noise(120 * 130, 4);
        let mut panels = packed(Matrix::rows(&numbers, 100, 130, 130));
        for (k, n) in [(100, 130), (37, 130), (37, 49), (120, 113), (5, 3), (40, 96)] {
            let a = Matrix::rows(&numbers, 7, k, k);
            for b in [
                Matrix::rows(&numbers[1..], k, n, n),
                Matrix::rows(&numbers[2..], n, k, k).transposed(),
            ] {
                let (mut new, mut again) = (vec![0.0; 7 * n], vec![0.0; 7 * n]);
                panels.refill(b);
                product(&mut again, n, a, &panels, &Epilogue::NONE);
                product(&mut new, n, a, &packed(b), &Epilogue::NONE);
                assert_eq!(again, new, "{k}x{n}");
                let truth = truth(&a, &b);
                assert!(new.iter().zip(&truth).all(|(x, t)| (*x as f64 - t).abs() < 2e-5));
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
        for none in [f32::NAN, f32::INFINITY] {
            let (mut a, mut b) = (noise(2 * 60, 1), noise(60 * 50, 2));
            let mut out = [0.0; 2 * 50];
            let mut made = |a: &[f32], b: &[f32]| {
                let panels = Packed::for_tiles(Matrix::rows(b, 60, 50, 50));
                product(&mut out, 50, Matrix::rows(a, 2, 60, 60), &panels, &Epilogue::NONE);
                out
            };
            let stood = a[17];
            a[17] = none;
            let out = made(&a, &b);
            assert!(out[..50].iter().all(|x| !x.is_finite()));
            assert!(out[50..].iter().all(|x| x.is_finite()));
            a[17] = stood;
            b[50 * 3 + 7] = none;
            let out = made(&a, &b);
            assert!(out.iter().enumerate().all(|(i, x)| x.is_finite() == (i % 50 != 7)));
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
