//! A whole stack of coupling blocks, forward and backward, tile by tile.
//!
//! Vectors are independent, so a tile of some of them goes through all blocks while its
//! activations are in cache. Rows are ordered by position, the images of one position next to
//! each other: what depends on the position alone (the condition's product with the first layer)
//! is made once a position, and its gradient sums over the images before any product.
//! Equations: HGAD (Yao et al., ECCV 2024), section 2 of its method; see [`crate::affine_coupling`].

use crate::coupling::{gradient_rows, log_det_rows, transform_rows};
use crate::linear::{mask, rectify};
use crate::pool::sum_rows;
use crate::product::{Matrix, product};
use rayon::prelude::*;

/// Sizes of the blocks of a stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackSize {
    /// Entries D of a vector.
    pub dim: usize,
    /// Width of a subnet's hidden layer.
    pub hidden: usize,
    /// Channels K of the position code, 0 for none.
    pub condition: usize,
    /// Bound of the log-scale.
    pub clamp: f32,
}

impl StackSize {
    fn half(&self) -> usize {
        self.dim / 2
    }

    fn first(&self) -> usize {
        self.dim - self.half()
    }

    fn input(&self) -> usize {
        self.first() + self.condition
    }

    /// Lengths of a block's gradients, in the order of [`StackGradients`].
    fn lengths(&self) -> [usize; 5] {
        let out = 2 * self.half();
        [self.hidden * self.input(), self.hidden, out * self.hidden, out, 2 * self.dim]
    }
}

/// The weights of one block.
#[derive(Clone)]
pub struct BlockWeights<'a> {
    /// First layer (hidden, D - D/2 + K).
    pub w1: &'a [f32],
    /// Its bias (hidden).
    pub b1: &'a [f32],
    /// Second layer (2 (D/2), hidden).
    pub w2: &'a [f32],
    /// Its bias.
    pub b2: &'a [f32],
    /// Global affine map (2, D): gain, then offset.
    pub affine: Vec<f32>,
    /// Rotation (D, D).
    pub rotation: &'a [f32],
}

/// Gradients of every block: w1, b1, w2, b2, affine (2, D), in that order.
#[derive(Clone, Debug, Default)]
pub struct StackGradients {
    blocks: Vec<[Vec<f32>; 5]>,
}

impl StackGradients {
    fn zeros(size: &StackSize, blocks: usize) -> Self {
        let one = || size.lengths().map(|n| vec![0.0; n]);
        Self { blocks: (0..blocks).map(|_| one()).collect() }
    }

    /// Gradients of block `k`.
    pub fn block(&self, k: usize) -> &[Vec<f32>; 5] {
        &self.blocks[k]
    }

    fn clear(&mut self) {
        self.blocks.iter_mut().flatten().for_each(|g| g.fill(0.0));
    }

    fn add(&mut self, other: &Self) {
        let pairs = self.blocks.iter_mut().flatten().zip(other.blocks.iter().flatten());
        for (a, b) in pairs {
            sum_rows(b, a);
        }
    }
}

/// Buffers of a stack in training, kept from step to step: activations of the tiles of one chunk,
/// and gradients that add up over chunks. Threads have gradients of their own, added in order, so
/// the same number of threads gives the same bytes.
pub struct StackWorkspace {
    size: StackSize,
    blocks: usize,
    tiles: Vec<Tile>,
    bias: Vec<Vec<f32>>,
    lanes: Vec<StackGradients>,
}

/// Activations of one tile.
#[derive(Default)]
struct Tile {
    /// Positions of the chunk.
    positions: std::ops::Range<usize>,
    /// Input of the first block, then output of the last; in the backward pass the gradient.
    z: Vec<f32>,
    log_det: Vec<f32>,
    saved: Vec<Saved>,
    scratch: Vec<f32>,
}

/// What a block's gradient needs.
#[derive(Default)]
struct Saved {
    x: Vec<f32>,
    hidden: Vec<f32>,
    a: Vec<f32>,
    /// Gradient of the position bias (positions, hidden).
    bias: Vec<f32>,
}

/// Rows of a tile: products run at full speed and activations of a block stay in cache.
const ROWS: usize = 128;

impl StackWorkspace {
    /// For stacks of `blocks` blocks.
    pub fn new(size: StackSize, blocks: usize) -> Self {
        let lanes = rayon::current_num_threads().max(1);
        let lanes = (0..lanes).map(|_| StackGradients::zeros(&size, blocks)).collect();
        Self { size, blocks, tiles: Vec::new(), bias: Vec::new(), lanes }
    }

    /// Sets all gradients to 0.
    pub fn clear(&mut self) {
        self.lanes.par_iter_mut().for_each(StackGradients::clear);
    }

    /// The gradients so far; the workspace's own are spent until [`StackWorkspace::clear`].
    pub fn gradients(&mut self) -> &StackGradients {
        let (first, rest) = self.lanes.split_at_mut(1);
        rest.iter().for_each(|lane| first[0].add(lane));
        &first[0]
    }

    /// Forward: positions `first..first + count` of `images` maps, each (P, D) row-major; `code`
    /// (P, K). Latents (B, count, D) and log-determinants (B, count), image by image, without the
    /// constant `sum ln g`, which the caller adds.
    pub fn forward(
        &mut self,
        weights: &[BlockWeights],
        maps: &[&[f32]],
        (first, count): (usize, usize),
        code: Option<&[f32]>,
    ) -> (Vec<f32>, Vec<f32>) {
        self.lay_out(maps.len(), count);
        self.position_bias(weights, code, first, count);
        let (size, bias, d) = (self.size, &self.bias, self.size.dim);
        self.tiles.par_iter_mut().for_each(|tile| {
            for (row, p) in tile.positions.clone().enumerate() {
                for (b, map) in maps.iter().enumerate() {
                    let at = (row * maps.len() + b) * d;
                    tile.z[at..at + d].copy_from_slice(&map[(first + p) * d..][..d]);
                }
            }
            tile.log_det.fill(0.0);
            forward_tile(&size, weights, bias, maps.len(), tile);
        });
        self.by_image(maps.len(), count)
    }

    /// Backward of the last [`StackWorkspace::forward`]: `dz` (B, count, D) and `dlog_det`
    /// (B, count) add to the gradients.
    pub fn backward(
        &mut self,
        weights: &[BlockWeights],
        images: usize,
        (first, count): (usize, usize),
        code: Option<&[f32]>,
        dz: &[f32],
        dlog_det: &[f32],
    ) {
        let (size, d) = (self.size, self.size.dim);
        let lanes = self.lanes.len();
        // Tile i belongs to thread i mod lanes: the order of every sum is fixed.
        let mut of_lane: Vec<Vec<&mut Tile>> = (0..lanes).map(|_| Vec::new()).collect();
        for (i, tile) in self.tiles.iter_mut().enumerate() {
            of_lane[i % lanes].push(tile);
        }
        of_lane.into_par_iter().zip(&mut self.lanes).for_each(|(tiles, grads)| {
            for tile in tiles {
                for (row, p) in tile.positions.clone().enumerate() {
                    for b in 0..images {
                        let (to, from) = (row * images + b, b * count + p);
                        tile.z[to * d..(to + 1) * d].copy_from_slice(&dz[from * d..][..d]);
                        tile.log_det[to] = dlog_det[from];
                    }
                }
                backward_tile(&size, weights, images, tile, grads);
            }
        });
        self.condition_gradient(code, first, count);
    }

    /// Tiles of `count` positions of `images` images, with buffers of the right lengths.
    fn lay_out(&mut self, images: usize, count: usize) {
        let (size, blocks) = (self.size, self.blocks);
        let share = count.div_ceil(self.lanes.len());
        let width = (ROWS / images.max(1)).clamp(1, share.max(1));
        self.tiles.resize_with(count.div_ceil(width), Tile::default);
        for (i, tile) in self.tiles.iter_mut().enumerate() {
            tile.positions = i * width..((i + 1) * width).min(count);
            let rows = tile.positions.len() * images;
            tile.z.resize(rows * size.dim, 0.0);
            tile.log_det.resize(rows, 0.0);
            tile.scratch.resize(rows * size.dim.max(size.hidden), 0.0);
            tile.saved.resize_with(blocks, Saved::default);
            for saved in &mut tile.saved {
                saved.x.resize(rows * size.dim, 0.0);
                saved.hidden.resize(rows * size.hidden, 0.0);
                saved.a.resize(rows * 2 * size.half(), 0.0);
                saved.bias.resize(tile.positions.len() * size.hidden, 0.0);
            }
        }
    }

    /// `code W1c^T + b1` of every block, (count, hidden); one row where there is no code.
    fn position_bias(
        &mut self,
        weights: &[BlockWeights],
        code: Option<&[f32]>,
        first: usize,
        count: usize,
    ) {
        let size = self.size;
        let (h, k) = (size.hidden, size.condition);
        self.bias.resize_with(self.blocks, Vec::new);
        self.bias.par_iter_mut().zip(weights).for_each(|(bias, w)| match code {
            None => {
                bias.clear();
                bias.extend_from_slice(w.b1);
            }
            Some(code) => {
                bias.resize(count * h, 0.0);
                bias.chunks_exact_mut(h).for_each(|row| row.copy_from_slice(w.b1));
                let of_code = Matrix::rows(&w.w1[size.first()..], h, k, size.input());
                let code = Matrix::rows(&code[first * k..], count, k, k);
                product(bias, h, code, of_code.transposed(), true);
            }
        });
    }

    /// Adds the gradients of the condition's columns of W1 and of b1, from those of the bias.
    fn condition_gradient(&mut self, code: Option<&[f32]>, first: usize, count: usize) {
        let size = self.size;
        let (h, k) = (size.hidden, size.condition);
        let tiles = &self.tiles;
        self.lanes[0].blocks.par_iter_mut().enumerate().for_each(|(block, grads)| {
            let all: Vec<f32> =
                tiles.iter().flat_map(|t| t.saved[block].bias.iter().copied()).collect();
            sum_rows(&all, &mut grads[1]);
            if let Some(code) = code {
                let of_bias = Matrix::rows(&all, count, h, h).transposed();
                let code = Matrix::rows(&code[first * k..], count, k, k);
                product(&mut grads[0][size.first()..], size.input(), of_bias, code, true);
            }
        });
    }

    /// Latents and log-determinants of all tiles, image by image.
    fn by_image(&self, images: usize, count: usize) -> (Vec<f32>, Vec<f32>) {
        let d = self.size.dim;
        let mut z = vec![0.0; images * count * d];
        let mut log_det = vec![0.0; images * count];
        for tile in &self.tiles {
            for (row, p) in tile.positions.clone().enumerate() {
                for b in 0..images {
                    let (from, to) = (row * images + b, b * count + p);
                    z[to * d..(to + 1) * d].copy_from_slice(&tile.z[from * d..][..d]);
                    log_det[to] = tile.log_det[from];
                }
            }
        }
        (z, log_det)
    }
}

fn forward_tile(
    size: &StackSize,
    weights: &[BlockWeights],
    bias: &[Vec<f32>],
    images: usize,
    tile: &mut Tile,
) {
    let (d, h, first, h2) = (size.dim, size.hidden, size.first(), 2 * size.half());
    let rows = tile.log_det.len();
    for ((w, bias), saved) in weights.iter().zip(bias).zip(&mut tile.saved) {
        saved.x.copy_from_slice(&tile.z);
        let by_position = bias.len() > h;
        for (row, hidden) in saved.hidden.chunks_exact_mut(h).enumerate() {
            let at = if by_position { (tile.positions.start + row / images) * h } else { 0 };
            hidden.copy_from_slice(&bias[at..at + h]);
        }
        let x1 = Matrix::rows(&saved.x, rows, first, d);
        let w1 = Matrix::rows(w.w1, h, first, size.input());
        product(&mut saved.hidden, h, x1, w1.transposed(), true);
        rectify(&mut saved.hidden);
        saved.a.chunks_exact_mut(h2).for_each(|a| a.copy_from_slice(w.b2));
        let hidden = Matrix::rows(&saved.hidden, rows, h, h);
        product(&mut saved.a, h2, hidden, Matrix::rows(w.w2, h2, h, h).transposed(), true);
        // `z` still is the block's input, and becomes the coupled vector in place.
        transform_rows(&mut tile.z, &saved.a, &w.affine, (d, size.half()), size.clamp);
        let scratch = &mut tile.scratch[..rows];
        log_det_rows(scratch, &saved.a, h2, size.clamp);
        tile.log_det.iter_mut().zip(scratch.iter()).for_each(|(l, s)| *l += s);
        let coupled = &mut tile.scratch[..rows * d];
        coupled.copy_from_slice(&tile.z);
        let rotation = Matrix::rows(w.rotation, d, d, d).transposed();
        product(&mut tile.z, d, Matrix::rows(coupled, rows, d, d), rotation, false);
    }
}

/// `tile.z` and `tile.log_det` hold the gradients of the outputs.
fn backward_tile(
    size: &StackSize,
    weights: &[BlockWeights],
    images: usize,
    tile: &mut Tile,
    grads: &mut StackGradients,
) {
    let (d, h, first, h2) = (size.dim, size.hidden, size.first(), 2 * size.half());
    let rows = tile.log_det.len();
    let Tile { z, log_det, saved, scratch, .. } = tile;
    let blocks = weights.iter().zip(saved).zip(&mut grads.blocks).rev();
    for ((w, saved), [gw1, _, gw2, gb2, gaffine]) in blocks {
        let coupled = &mut scratch[..rows * d];
        let rotation = Matrix::rows(w.rotation, d, d, d);
        product(coupled, d, Matrix::rows(z, rows, d, d), rotation, false);
        // x becomes its own gradient, so the part the first layer reads is kept in `z`.
        z.copy_from_slice(&saved.x);
        let split = (d, size.half());
        let (x, a) = (&mut saved.x, &mut saved.a);
        gradient_rows(x, a, gaffine, coupled, Some(log_det), &w.affine, split, size.clamp);
        let da = Matrix::rows(a, rows, h2, h2);
        sum_rows(a, gb2);
        product(gw2, h, da.transposed(), Matrix::rows(&saved.hidden, rows, h, h), true);
        let dhidden = &mut scratch[..rows * h];
        product(dhidden, h, da, Matrix::rows(w.w2, h2, h, h), false);
        mask(dhidden, &saved.hidden);
        let dhidden = &scratch[..rows * h];
        let of_hidden = Matrix::rows(dhidden, rows, h, h);
        product(gw1, size.input(), of_hidden.transposed(), Matrix::rows(z, rows, first, d), true);
        for (sum, of_images) in saved.bias.chunks_exact_mut(h).zip(dhidden.chunks(images * h)) {
            sum.fill(0.0);
            sum_rows(of_images, sum);
        }
        product(x, d, of_hidden, Matrix::rows(w.w1, h, first, size.input()), true);
        z.copy_from_slice(x);
    }
}
