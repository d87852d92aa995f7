//! Dense 3x3 convolution at stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray,
//! CVPR 2016): 36 products for 16 outputs of a channel instead of 144.

use crate::activation::Activation;
use crate::im2col::Window;
use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::product::{Epilogue, product};
use crate::simd::Vector;
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Outputs of a tile in each direction.
const OUT: usize = 4;
/// Inputs of a tile in each direction.
const IN: usize = 6;
/// Products of a tile.
const POINTS: usize = IN * IN;

/// Transformed weights.
#[derive(Clone, Debug)]
pub(crate) struct Winograd {
    /// For each of the 36 points (C_in, C_out).
    points: Vec<Packed>,
    c_in: usize,
    c_out: usize,
}

/// The weights' transform G.
const G: [[f64; 3]; IN] = [
    [0.25, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

impl Winograd {
    /// Whether so many channels outweigh the transforms.
    pub(crate) fn pays(c_in: usize, c_out: usize) -> bool {
        c_in >= 16 && c_out >= 16
    }

    /// `taps` (3 * 3 * C_in, C_out).
    pub(crate) fn new(taps: &[f32], c_in: usize, c_out: usize) -> Self {
        let each = c_in * c_out;
        let mut points = Vec::with_capacity(POINTS);
        let mut of_point = vec![0.0f32; each];
        for of_row in &G {
            for of_column in &G {
                for (at, p) in of_point.iter_mut().enumerate() {
                    let mut sum = 0.0f64;
                    for i in 0..3 {
                        for j in 0..3 {
                            sum += of_row[i] * of_column[j] * taps[(i * 3 + j) * each + at] as f64;
                        }
                    }
                    *p = sum as f32;
                }
                points.push(Packed::new(Matrix::rows(&of_point, c_in, c_out, c_out)));
            }
        }
        Self { points, c_in, c_out }
    }

    /// The convolution of `x`, (B, H', W', C_out).
    pub(crate) fn run(
        &self,
        x: &[f32],
        bias: &[f32],
        residual: Option<&[f32]>,
        activation: Activation,
        w: &Window,
    ) -> Vec<f32> {
        let total = w.batch * w.out_height * w.out_width * self.c_out;
        let mut out: Vec<f32> = Vec::with_capacity(total);
        let (rows, columns) = (w.out_height.div_ceil(OUT), w.out_width.div_ceil(OUT));
        let tiles = w.batch * rows * columns;
        let task = self.tiles_together().min(tiles.div_ceil(rayon::current_num_threads()).max(1));
        let target = Output(out.as_mut_ptr());
        let geometry = Geometry { w, rows, columns };
        let layer = Layer { x, bias, residual, activation, geometry, target };
        (0..tiles.div_ceil(task)).into_par_iter().for_each(|i| {
            self.make(&layer, i * task..((i + 1) * task).min(tiles));
        });
        // SAFETY: tiles cover the output, and each was made.
        unsafe { out.set_len(total) };
        out
    }

    /// Tiles of a task: its transforms stay in the second level of the cache, and the weights of
    /// a point serve many of them.
    fn tiles_together(&self) -> usize {
        const CACHE: usize = 640 << 10;
        (CACHE / (POINTS * (self.c_in + self.c_out) * size_of::<f32>())).max(32) / 8 * 8
    }

    fn make(&self, layer: &Layer, tiles: Range<usize>) {
        thread_local! {
            static MEMORY: RefCell<(Vec<f32>, Vec<f32>)> =
                const { RefCell::new((Vec::new(), Vec::new())) };
        }
        let (count, c, n) = (tiles.len(), self.c_in, self.c_out);
        MEMORY.with_borrow_mut(|(input, output)| {
            // Only grown: every element that is read has been written by this task.
            let grow = |v: &mut Vec<f32>, len: usize| v.resize(len.max(v.len()), 0.0);
            grow(input, POINTS * count * c);
            grow(output, POINTS * count * n);
            for (i, tile) in tiles.clone().enumerate() {
                transform_input(layer, tile, &mut input[i * c..], count * c, c);
            }
            for (point, weights) in self.points.iter().enumerate() {
                let a = Matrix::rows(&input[point * count * c..], count, c, c);
                let out = &mut output[point * count * n..][..count * n];
                product(out, n, a, weights, &Epilogue::NONE);
            }
            for (i, tile) in tiles.enumerate() {
                transform_output(layer, tile, &output[i * n..], count * n, n);
            }
        });
    }
}

struct Geometry<'a> {
    w: &'a Window,
    /// Tiles of an image.
    rows: usize,
    columns: usize,
}

impl Geometry<'_> {
    /// Image, and row and column of the tile's first output.
    fn origin(&self, tile: usize) -> (usize, usize, usize) {
        let (column, rest) = (tile % self.columns, tile / self.columns);
        (rest / self.rows, rest % self.rows * OUT, column * OUT)
    }
}

struct Layer<'a> {
    x: &'a [f32],
    bias: &'a [f32],
    residual: Option<&'a [f32]>,
    activation: Activation,
    geometry: Geometry<'a>,
    target: Output,
}

struct Output(*mut f32);
// SAFETY: tasks write disjoint tiles, and nobody reads before all are done.
unsafe impl Sync for Output {}

dispatch!(
    /// `B^T d B` of a tile: point `p` of its channels at `out[p * step..]`.
    fn transform_input(layer: &Layer, tile: usize, out: &mut [f32], step: usize, channels: usize) = transform_input_body
);
// Indices keep the tile in registers; iterators over it leave it in memory, at half the speed.
#[expect(clippy::needless_range_loop)]
#[inline(always)]
fn transform_input_body<I: Isa>(
    layer: &Layer,
    tile: usize,
    out: &mut [f32],
    step: usize,
    channels: usize,
) {
    let w = layer.geometry.w;
    let (image, top, left) = layer.geometry.origin(tile);
    assert!((POINTS - 1) * step + channels <= out.len());
    // Where each pixel of the tile is, if it is inside the image.
    let pixels: [Option<&[f32]>; POINTS] = std::array::from_fn(|p| {
        let y = (top + p / IN).checked_sub(w.top).filter(|y| *y < w.height)?;
        let x = (left + p % IN).checked_sub(w.left).filter(|x| *x < w.width)?;
        layer.x.get(((image * w.height + y) * w.width + x) * channels..).map(|x| &x[..channels])
    });
    for c in (0..channels).step_by(I::V::LANES) {
        let lanes = I::V::LANES.min(channels - c);
        // SAFETY: `lanes` channels from `c` of every pixel and point are within their extents.
        unsafe {
            let load = |p: usize| match pixels[p] {
                None => I::V::splat(0.0),
                Some(x) if lanes == I::V::LANES => I::V::load(x.as_ptr().add(c)),
                Some(x) => I::V::load_part(x.as_ptr().add(c), lanes),
            };
            let mut d = [[I::V::splat(0.0); IN]; IN];
            for j in 0..IN {
                let column = input_step::<I::V>(std::array::from_fn(|i| load(i * IN + j)));
                for i in 0..IN {
                    d[i][j] = column[i];
                }
            }
            for (i, row) in d.into_iter().enumerate() {
                for (j, v) in input_step::<I::V>(row).into_iter().enumerate() {
                    let at = out.as_mut_ptr().add((i * IN + j) * step + c);
                    if lanes == I::V::LANES { v.store(at) } else { v.store_part(at, lanes) }
                }
            }
        }
    }
}

/// `B^T d` of one column.
#[inline(always)]
fn input_step<V: Vector>(d: [V; IN]) -> [V; IN] {
    let s = V::splat;
    let (two, four, five) = (s(2.0), s(4.0), s(-5.0));
    // Shared halves of the rows that differ in a sign.
    let even = d[2].mul_add(s(-4.0), d[4]);
    let odd = d[1].mul_add(s(-4.0), d[3]);
    let even2 = d[4].sub(d[2]);
    let odd2 = d[3].sub(d[1]).mul(two);
    [
        d[0].mul_add(four, d[2].mul_add(five, d[4])),
        even.add(odd),
        even.sub(odd),
        even2.add(odd2),
        even2.sub(odd2),
        d[1].mul_add(four, d[3].mul_add(five, d[5])),
    ]
}

dispatch!(
    /// `A^T m A` of a tile with the epilogue, into the output; point `p` is at `m[p * step..]`.
    fn transform_output(layer: &Layer, tile: usize, m: &[f32], step: usize, channels: usize) = transform_output_body
);
// Indices keep the tile in registers; iterators over it leave it in memory, at half the speed.
#[expect(clippy::needless_range_loop)]
#[inline(always)]
fn transform_output_body<I: Isa>(
    layer: &Layer,
    tile: usize,
    m: &[f32],
    step: usize,
    channels: usize,
) {
    let w = layer.geometry.w;
    let (image, top, left) = layer.geometry.origin(tile);
    let (height, width) = (OUT.min(w.out_height - top), OUT.min(w.out_width - left));
    assert!((POINTS - 1) * step + channels <= m.len() && layer.bias.len() >= channels);
    for c in (0..channels).step_by(I::V::LANES) {
        let lanes = I::V::LANES.min(channels - c);
        // SAFETY: as in the input's transform; pixels beyond the output are not stored.
        unsafe {
            let load = |p: *const f32| {
                if lanes == I::V::LANES { I::V::load(p) } else { I::V::load_part(p, lanes) }
            };
            let mut t = [[I::V::splat(0.0); IN]; OUT];
            for j in 0..IN {
                let column = std::array::from_fn(|i| load(m.as_ptr().add((i * IN + j) * step + c)));
                let column = output_step::<I::V>(column);
                for i in 0..OUT {
                    t[i][j] = column[i];
                }
            }
            let bias = load(layer.bias.as_ptr().add(c));
            for (i, row) in t.into_iter().enumerate().take(height) {
                for (j, y) in output_step::<I::V>(row).into_iter().enumerate().take(width) {
                    let pixel = (image * w.out_height + top + i) * w.out_width + left + j;
                    let at = pixel * channels + c;
                    let mut y = y.add(bias);
                    if let Some(r) = layer.residual {
                        y = y.add(load(r[at..at + lanes].as_ptr()));
                    }
                    let y = layer.activation.of(y);
                    let at = layer.target.0.add(at);
                    if lanes == I::V::LANES { y.store(at) } else { y.store_part(at, lanes) }
                }
            }
        }
    }
}

/// `A^T m` of one column.
#[inline(always)]
fn output_step<V: Vector>(m: [V; IN]) -> [V; OUT] {
    let s = V::splat;
    let (sum1, diff1) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (sum2, diff2) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(sum1).add(sum2),
        diff2.mul_add(s(2.0), diff1),
        sum2.mul_add(s(4.0), sum1),
        diff2.mul_add(s(8.0), diff1).add(m[5]),
    ]
}
