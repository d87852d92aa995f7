//! A whole stack of coupling blocks, forward and backward, tile by tile.
//!
//! Vectors are independent, so a tile of some of them goes through all blocks while its
//! activations are in cache. Rows are ordered by position, the images of one position next to
//! each other: what depends on the position alone (the condition's product with the first layer)
//! is made once a position, and its gradient sums over the images before any product.
//! Equations: HGAD (Yao et al., ECCV 2024), section 2 of its method; see [`crate::affine_coupling`].

use crate::activation::Activation;
use crate::coupling::{couple_rows, gradient_rows};
use crate::linear::mask;
use crate::pool::sum_rows;
use crate::position_bias::PositionCode;
use crate::product::{AddedRows, Epilogue, Matrix, Packed, product, product_once};
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
    pub(crate) fn half(&self) -> usize {
        self.dim / 2
    }

    pub(crate) fn first(&self) -> usize {
        self.dim - self.half()
    }

    pub(crate) fn input(&self) -> usize {
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

/// The weights of one block as its products read them.
#[derive(Clone, Debug)]
struct PackedBlock {
    /// The first layer's part for the vector, transposed: (D - D/2, hidden).
    first: Packed,
    second: Packed,
    rotation: Packed,
    affine: Vec<f32>,
    b1: Vec<f32>,
    b2: Vec<f32>,
    backward: Option<PackedBackward>,
}

/// The same matrices the other way round.
#[derive(Clone, Debug)]
struct PackedBackward {
    first: Packed,
    second: Packed,
    rotation: Packed,
}

impl PackedBlock {
    fn new(size: &StackSize, w: &BlockWeights, backward: bool) -> Self {
        let [first, second, rotation] = matrices(size, w);
        Self {
            first: Packed::new(first.transposed()),
            second: Packed::new(second.transposed()),
            rotation: Packed::new(rotation.transposed()),
            affine: w.affine.clone(),
            b1: w.b1.to_vec(),
            b2: w.b2.to_vec(),
            backward: backward.then(|| PackedBackward {
                first: Packed::new(first),
                second: Packed::new(second),
                rotation: Packed::new(rotation),
            }),
        }
    }

    /// New weights in the same memory. The rotation is fixed.
    fn refill(&mut self, size: &StackSize, w: &BlockWeights) {
        let [first, second, _] = matrices(size, w);
        self.first.refill(first.transposed());
        self.second.refill(second.transposed());
        self.affine.clone_from(&w.affine);
        self.b1.copy_from_slice(w.b1);
        self.b2.copy_from_slice(w.b2);
        if let Some(backward) = &mut self.backward {
            backward.first.refill(first);
            backward.second.refill(second);
        }
    }
}

/// The first layer's part for the vector (hidden, D - D/2), the second layer and the rotation.
fn matrices<'a>(size: &StackSize, w: &BlockWeights<'a>) -> [Matrix<'a>; 3] {
    let (d, h, h2) = (size.dim, size.hidden, 2 * size.half());
    [
        Matrix::rows(w.w1, h, size.first(), size.input()),
        Matrix::rows(w.w2, h2, h, h),
        Matrix::rows(w.rotation, d, d, d),
    ]
}

/// Buffers of a stack in training, kept from step to step: activations of the tiles of one chunk,
/// and gradients that add up over chunks. Threads have gradients of their own, added in order, so
/// the same number of threads gives the same bytes.
pub struct StackWorkspace {
    size: StackSize,
    weights: Vec<PackedBlock>,
    code: Option<PositionCode>,
    tiles: Vec<Tile>,
    bias: Vec<Vec<f32>>,
    lanes: Vec<StackGradients>,
}

/// Activations of one tile.
#[derive(Default)]
struct Tile {
    /// Positions of the chunk.
    positions: std::ops::Range<usize>,
    /// Output of the last block; in the backward pass the gradient.
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
    /// The subnet's output, its first half bounded by tanh.
    a: Vec<f32>,
    /// Gradient of the position bias (positions, hidden).
    bias: Vec<f32>,
}

/// Rows of a tile: panels of weights serve often and activations of a block stay in cache.
const ROWS: usize = 96;

fn positions_together(images: usize, count: usize, threads: usize) -> usize {
    let share = count.div_ceil(threads.max(1));
    (ROWS / images.max(1)).clamp(1, share.max(1))
}

impl StackWorkspace {
    /// For blocks with these weights; `code` of all positions, where blocks are conditioned.
    pub fn new(size: StackSize, weights: &[BlockWeights], code: Option<PositionCode>) -> Self {
        let lanes = rayon::current_num_threads().max(1);
        let lanes = (0..lanes).map(|_| StackGradients::zeros(&size, weights.len())).collect();
        let bias = weights.iter().map(|_| Vec::new()).collect();
        let weights = weights.iter().map(|w| PackedBlock::new(&size, w, true)).collect();
        Self { size, weights, code, tiles: Vec::new(), bias, lanes }
    }

    /// Begins a step: takes the weights as they are now, and sets all gradients to 0.
    pub fn begin(&mut self, weights: &[BlockWeights]) {
        let size = self.size;
        self.weights.par_iter_mut().zip(weights).for_each(|(p, w)| p.refill(&size, w));
        self.lanes.par_iter_mut().for_each(StackGradients::clear);
    }

    /// The gradients so far; the workspace's own are spent until [`StackWorkspace::begin`].
    pub fn gradients(&mut self) -> &StackGradients {
        let (first, rest) = self.lanes.split_at_mut(1);
        rest.iter().for_each(|lane| first[0].add(lane));
        &first[0]
    }

    /// Forward: positions `first..first + count` of `images` maps, each (P, D) row-major, with the
    /// weights of the step. Latents (B, count, D) and log-determinants (B, count), image by image,
    /// without the constant `sum ln g`, which the caller adds.
    pub fn forward(
        &mut self,
        weights: &[BlockWeights],
        maps: &[&[f32]],
        (first, count): (usize, usize),
    ) -> (Vec<f32>, Vec<f32>) {
        self.lay_out(maps.len(), count);
        let size = self.size;
        if let Some(code) = &self.code {
            self.bias.par_iter_mut().zip(weights).for_each(|(bias, w)| {
                code.bias(&size, w, first..first + count, bias);
            });
        }
        let (packed, bias, images) = (&self.weights, &self.bias, maps.len());
        self.tiles.par_iter_mut().for_each(|tile| {
            gather(&mut tile.saved[0].x, &tile.positions, maps, first, size.dim);
            forward_tile(&size, packed, bias, images, tile);
        });
        self.by_image(maps.len(), count)
    }

    /// Backward of the last [`StackWorkspace::forward`]: `dz` (B, count, D) and `dlog_det`
    /// (B, count) add to the gradients.
    pub fn backward(
        &mut self,
        images: usize,
        (first, count): (usize, usize),
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
        let weights = &self.weights;
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
        self.condition_gradient(first, count);
    }

    /// Tiles of `count` positions of `images` images, with buffers of the right lengths.
    fn lay_out(&mut self, images: usize, count: usize) {
        let (size, blocks) = (self.size, self.weights.len());
        let width = positions_together(images, count, self.lanes.len());
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

    /// Adds the gradients of the condition's columns of W1 and of b1, from those of the bias.
    fn condition_gradient(&mut self, first: usize, count: usize) {
        let size = self.size;
        let (tiles, code) = (&self.tiles, &self.code);
        self.lanes[0].blocks.par_iter_mut().enumerate().for_each(|(block, grads)| {
            let all: Vec<f32> =
                tiles.iter().flat_map(|t| t.saved[block].bias.iter().copied()).collect();
            sum_rows(&all, &mut grads[1]);
            if let Some(code) = code {
                code.gradient(&size, &all, first..first + count, &mut grads[0]);
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

/// The vectors of a tile: positions in order, the images of each next to each other.
fn gather(
    x: &mut [f32],
    positions: &std::ops::Range<usize>,
    maps: &[&[f32]],
    first: usize,
    d: usize,
) {
    let pairs = positions.clone().flat_map(|p| maps.iter().map(move |map| (p, map)));
    for (x, (p, map)) in x.chunks_exact_mut(d).zip(pairs) {
        x.copy_from_slice(&map[(first + p) * d..][..d]);
    }
}

fn forward_tile(
    size: &StackSize,
    weights: &[PackedBlock],
    bias: &[Vec<f32>],
    images: usize,
    tile: &mut Tile,
) {
    let Tile { positions, z, log_det, saved, scratch } = tile;
    let rows = log_det.len();
    log_det.fill(0.0);
    let coupled = &mut scratch[..rows * size.dim];
    for (k, (w, bias)) in weights.iter().zip(bias).enumerate() {
        let (this, next) = saved.split_at_mut(k + 1);
        let Saved { x, hidden, a, .. } = &mut this[k];
        let bias = (!bias.is_empty()).then_some((bias.as_slice(), positions.start * images, images));
        let out = next.first_mut().map_or(z.as_mut_slice(), |next| &mut next.x);
        block_forward(size, w, bias, x, (hidden, a), coupled, log_det);
        let coupled = Matrix::rows(coupled, rows, size.dim, size.dim);
        product(out, size.dim, coupled, &w.rotation, &Epilogue::NONE);
    }
}

/// `x` to `coupled`, the block's output before its rotation; `bias` of positions: the rows, and
/// which of them, counted in vectors, is the first, and how many vectors a position has.
fn block_forward(
    size: &StackSize,
    w: &PackedBlock,
    bias: Option<(&[f32], usize, usize)>,
    x: &[f32],
    (hidden, a): (&mut [f32], &mut [f32]),
    coupled: &mut [f32],
    log_det: &mut [f32],
) {
    let (d, h, h2) = (size.dim, size.hidden, 2 * size.half());
    let rows = log_det.len();
    let then = Epilogue {
        bias: bias.is_none().then_some(w.b1.as_slice()),
        rows: bias.map(|(data, offset, repeat)| AddedRows { data, stride: h, offset, repeat }),
        accumulate: false,
        activation: Activation::Relu,
    };
    product(hidden, h, Matrix::rows(x, rows, size.first(), d), &w.first, &then);
    let then = Epilogue { bias: Some(&w.b2), ..Epilogue::NONE };
    product(a, h2, Matrix::rows(hidden, rows, h, h), &w.second, &then);
    couple_rows(coupled, log_det, x, a, &w.affine, (d, size.half()), size.clamp);
}

/// `tile.z` and `tile.log_det` hold the gradients of the outputs.
fn backward_tile(
    size: &StackSize,
    weights: &[PackedBlock],
    images: usize,
    tile: &mut Tile,
    grads: &mut StackGradients,
) {
    let (d, h, first, h2) = (size.dim, size.hidden, size.first(), 2 * size.half());
    let rows = tile.log_det.len();
    let Tile { z, log_det, saved, scratch, .. } = tile;
    let blocks = weights.iter().zip(saved).zip(&mut grads.blocks).rev();
    for ((w, saved), [gw1, _, gw2, gb2, gaffine]) in blocks {
        let back = w.backward.as_ref().expect("a workspace packs both ways");
        let Saved { x, hidden, a, bias } = saved;
        let coupled = &mut scratch[..rows * d];
        product(coupled, d, Matrix::rows(z, rows, d, d), &back.rotation, &Epilogue::NONE);
        let split = (d, size.half());
        gradient_rows(z, x, a, gaffine, coupled, Some(log_det), &w.affine, split, size.clamp);
        sum_rows(a, gb2);
        let da = Matrix::rows(a, rows, h2, h2);
        let of_hidden = Matrix::rows(hidden, rows, h, h);
        product_once(gw2, h, da.transposed(), of_hidden, &Epilogue::ACCUMULATE);
        let dhidden = &mut scratch[..rows * h];
        product(dhidden, h, da, &back.second, &Epilogue::NONE);
        mask(dhidden, hidden);
        for (sum, of_images) in bias.chunks_exact_mut(h).zip(dhidden.chunks(images * h)) {
            sum.fill(0.0);
            sum_rows(of_images, sum);
        }
        let dhidden = Matrix::rows(dhidden, rows, h, h);
        let x1 = Matrix::rows(x, rows, first, d);
        product_once(gw1, size.input(), dhidden.transposed(), x1, &Epilogue::ACCUMULATE);
        product(z, d, dhidden, &back.first, &Epilogue::ACCUMULATE);
    }
}

/// A stack whose weights no longer change: what depends on the position alone is made once, and
/// no activations are kept.
pub struct FrozenStack {
    size: StackSize,
    weights: Vec<PackedBlock>,
    /// For each block (P, hidden), or nothing.
    bias: Vec<Vec<f32>>,
}

impl FrozenStack {
    /// For blocks with these weights; `code` of all `positions`, where blocks are conditioned.
    pub fn new(
        size: StackSize,
        weights: &[BlockWeights],
        code: Option<&PositionCode>,
        positions: usize,
    ) -> Self {
        let bias = weights.par_iter().map(|w| {
            let mut bias = Vec::new();
            if let Some(code) = code {
                code.bias(&size, w, 0..positions, &mut bias);
            }
            bias
        });
        let packed = weights.par_iter().map(|w| PackedBlock::new(&size, w, false));
        Self { size, weights: packed.collect(), bias: bias.collect() }
    }

    /// As [`StackWorkspace::forward`].
    pub fn forward(
        &self,
        maps: &[&[f32]],
        (first, count): (usize, usize),
    ) -> (Vec<f32>, Vec<f32>) {
        let (size, images) = (self.size, maps.len());
        let (d, h, h2) = (size.dim, size.hidden, 2 * size.half());
        let width = positions_together(images, count, rayon::current_num_threads());
        let tiles = (0..count.div_ceil(width)).into_par_iter().map(|i| {
            let positions = i * width..((i + 1) * width).min(count);
            let rows = positions.len() * images;
            let (mut x, mut log_det) = (vec![0.0; rows * d], vec![0.0; rows]);
            gather(&mut x, &positions, maps, first, d);
            let mut hidden = vec![0.0; rows * h];
            let (mut a, mut coupled) = (vec![0.0; rows * h2], vec![0.0; rows * d]);
            for (w, bias) in self.weights.iter().zip(&self.bias) {
                let offset = (first + positions.start) * images;
                let bias = (!bias.is_empty()).then_some((bias.as_slice(), offset, images));
                let between = (hidden.as_mut_slice(), a.as_mut_slice());
                block_forward(&size, w, bias, &x, between, &mut coupled, &mut log_det);
                let coupled = Matrix::rows(&coupled, rows, d, d);
                product(&mut x, d, coupled, &w.rotation, &Epilogue::NONE);
            }
            (positions, x, log_det)
        });
        let mut z = vec![0.0; images * count * d];
        let mut log_dets = vec![0.0; images * count];
        for (positions, x, log_det) in tiles.collect::<Vec<_>>() {
            let rows = positions.flat_map(|p| (0..images).map(move |b| b * count + p));
            for ((to, x), log_det) in rows.zip(x.chunks_exact(d)).zip(log_det) {
                z[to * d..(to + 1) * d].copy_from_slice(x);
                log_dets[to] = log_det;
            }
        }
        (z, log_dets)
    }
}
