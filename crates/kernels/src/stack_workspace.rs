//! Training of a stack of coupling blocks, forward and backward, tile by tile.
//!
//! Every thread has a lane of the chunk's positions. Its tiles go through all blocks forward, then
//! back for the gradients of activations; the gradients of weights are one product a block over
//! all rows of the lane, and those of the condition sum over the images before any product.

use crate::coupling::gradient_rows;
use crate::coupling_stack::{
    BlockWeights, Condition, PackedBlock, StackSize, block_forward, by_image, gather,
    tile_positions, tiles,
};
use crate::linear::mask;
use crate::matrix::Matrix;
use crate::pool::sum_rows;
use crate::position_bias::PositionCode;
use crate::product::{Epilogue, product, product_once};
use rayon::prelude::*;
use std::ops::Range;

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
        self.blocks.par_iter_mut().zip(&other.blocks).for_each(|(own, other)| {
            own.iter_mut().zip(other).for_each(|(a, b)| sum_rows(b, a));
        });
    }
}

/// Buffers of a stack in training, kept from step to step: activations of one chunk, and gradients
/// that add up over chunks. Every thread has a lane of its own, the lanes' gradients are added in
/// order, so the same number of threads gives the same bytes.
pub struct StackWorkspace {
    size: StackSize,
    weights: Vec<PackedBlock>,
    condition: Condition,
    lanes: Vec<Lane>,
}

/// Some positions of a chunk, the images of each next to each other, and their gradients.
struct Lane {
    positions: Range<usize>,
    /// Output of the last block; in the backward pass the gradient.
    z: Vec<f32>,
    log_det: Vec<f32>,
    saved: Vec<Saved>,
    scratch: Vec<f32>,
    gradients: StackGradients,
}

/// What a block's gradient needs.
#[derive(Default)]
struct Saved {
    x: Vec<f32>,
    hidden: Vec<f32>,
    /// The subnet's output, its first half bounded by tanh; in the backward pass the gradient.
    a: Vec<f32>,
    /// Gradient before the rectifier.
    dhidden: Vec<f32>,
}

impl StackWorkspace {
    /// For blocks with these weights; `code` of all positions, where blocks are conditioned.
    pub fn new(size: StackSize, weights: &[BlockWeights], code: Option<PositionCode>) -> Self {
        let lanes = (0..rayon::current_num_threads().max(1)).map(|_| Lane {
            positions: 0..0,
            z: Vec::new(),
            log_det: Vec::new(),
            saved: weights.iter().map(|_| Saved::default()).collect(),
            scratch: Vec::new(),
            gradients: StackGradients::zeros(&size, weights.len()),
        });
        let lanes = lanes.collect();
        let mut condition = Condition { code, products: Vec::new() };
        condition.refill(&size, weights);
        let weights = weights.iter().map(|w| PackedBlock::new(&size, w, true)).collect();
        Self { size, weights, condition, lanes }
    }

    /// Begins a step: takes the weights as they are now, and sets all gradients to 0.
    pub fn begin(&mut self, weights: &[BlockWeights]) {
        let size = self.size;
        self.weights.par_iter_mut().zip(weights).for_each(|(p, w)| p.refill(&size, w));
        self.condition.refill(&size, weights);
        self.lanes.par_iter_mut().for_each(|lane| lane.gradients.clear());
    }

    /// The gradients so far; the workspace's own are spent until [`StackWorkspace::begin`].
    pub fn gradients(&mut self) -> &StackGradients {
        let (first, rest) = self.lanes.split_at_mut(1);
        rest.iter().for_each(|lane| first[0].gradients.add(&lane.gradients));
        &first[0].gradients
    }

    /// Forward: positions `first..first + count` of `images` maps, each (P, D) row-major, with the
    /// weights of the step. Latents (B, count, D) and log-determinants (B, count), image by image,
    /// without the constant `sum ln g`, which the caller adds.
    pub fn forward(
        &mut self,
        maps: &[&[f32]],
        (first, count): (usize, usize),
    ) -> (Vec<f32>, Vec<f32>) {
        let lanes = self.lanes.len();
        let images = maps.len();
        let (size, weights, condition) = (self.size, &self.weights, &self.condition);
        self.lanes.par_iter_mut().enumerate().for_each(|(i, lane)| {
            lane.positions = first + i * count / lanes..first + (i + 1) * count / lanes;
            lane.lay_out(&size, images);
            gather(&mut lane.saved[0].x, lane.positions.clone(), maps, size.dim);
            lane.forward(&size, weights, condition, images);
        });
        let d = size.dim;
        let mut z = vec![0.0; images * count * d];
        let mut log_det = vec![0.0; images * count];
        for lane in &self.lanes {
            let rows = by_image(lane.positions.clone(), first, count, images);
            for ((to, x), l) in rows.zip(lane.z.chunks_exact(d)).zip(&lane.log_det) {
                z[to * d..(to + 1) * d].copy_from_slice(x);
                log_det[to] = *l;
            }
        }
        (z, log_det)
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
        let (weights, condition) = (&self.weights, &self.condition);
        self.lanes.par_iter_mut().for_each(|lane| {
            let rows = by_image(lane.positions.clone(), first, count, images);
            let own = lane.z.chunks_exact_mut(d).zip(&mut lane.log_det);
            for (from, (z, l)) in rows.zip(own) {
                z.copy_from_slice(&dz[from * d..][..d]);
                *l = dlog_det[from];
            }
            lane.backward(&size, weights, images);
            lane.weight_gradients(&size, condition.code.as_ref(), images);
        });
    }
}

impl Lane {
    /// Buffers of the right lengths.
    fn lay_out(&mut self, size: &StackSize, images: usize) {
        let rows = self.positions.len() * images;
        let together = tile_positions(images) * images;
        self.z.resize(rows * size.dim, 0.0);
        self.log_det.resize(rows, 0.0);
        self.scratch.resize(together * size.dim, 0.0);
        for saved in &mut self.saved {
            saved.x.resize(rows * size.dim, 0.0);
            saved.hidden.resize(rows * size.hidden, 0.0);
            saved.a.resize(rows * 2 * size.half(), 0.0);
            saved.dhidden.resize(rows * size.hidden, 0.0);
        }
    }

    /// Rows of some of the lane's positions.
    fn rows(&self, positions: &Range<usize>, images: usize) -> Range<usize> {
        let of = |p: usize| (p - self.positions.start) * images;
        of(positions.start)..of(positions.end)
    }

    fn forward(
        &mut self,
        size: &StackSize,
        weights: &[PackedBlock],
        condition: &Condition,
        images: usize,
    ) {
        let d = size.dim;
        self.log_det.fill(0.0);
        let mut memory = Vec::new();
        for positions in tiles(self.positions.clone(), tile_positions(images)) {
            let rows = self.rows(&positions, images);
            let part = |width: usize| rows.start * width..rows.end * width;
            let coupled = &mut self.scratch[..rows.len() * d];
            for (k, w) in weights.iter().enumerate() {
                let (this, next) = self.saved.split_at_mut(k + 1);
                let Saved { x, hidden, a, .. } = &mut this[k];
                let bias = condition.rows(k, size.hidden, positions.clone(), &mut memory);
                let between = (&mut hidden[part(size.hidden)], &mut a[part(2 * size.half())]);
                let log_det = &mut self.log_det[rows.clone()];
                block_forward(size, w, (bias, images), &x[part(d)], between, coupled, log_det);
                let out = next.first_mut().map_or(&mut self.z, |next| &mut next.x);
                let coupled = Matrix::rows(coupled, rows.len(), d, d);
                product(&mut out[part(d)], d, coupled, &w.rotation, &Epilogue::NONE);
            }
        }
    }

    /// Gradients of activations: `z` and `log_det` hold those of the outputs.
    fn backward(&mut self, size: &StackSize, weights: &[PackedBlock], images: usize) {
        let (d, h, h2) = (size.dim, size.hidden, 2 * size.half());
        for positions in tiles(self.positions.clone(), tile_positions(images)) {
            let rows = self.rows(&positions, images);
            let (n, part) = (rows.len(), |width: usize| rows.start * width..rows.end * width);
            let z = &mut self.z[part(d)];
            let log_det = &self.log_det[rows.clone()];
            let blocks = weights.iter().zip(&mut self.saved).zip(&mut self.gradients.blocks);
            for (k, ((w, saved), [_, _, _, _, gaffine])) in blocks.enumerate().rev() {
                let back = w.backward.as_ref().expect("a workspace packs both ways");
                let (x, a) = (&saved.x[part(d)], &mut saved.a[part(h2)]);
                let coupled = &mut self.scratch[..n * d];
                product(coupled, d, Matrix::rows(z, n, d, d), &back.rotation, &Epilogue::NONE);
                let split = (d, size.half());
                let (log_det, clamp) = (Some(log_det), size.clamp);
                gradient_rows(z, x, a, gaffine, coupled, log_det, &w.affine, split, clamp);
                let dhidden = &mut saved.dhidden[part(h)];
                let da = Matrix::rows(a, n, h2, h2);
                product(dhidden, h, da, &back.second, &Epilogue::NONE);
                mask(dhidden, &saved.hidden[part(h)]);
                // Features are frozen: nobody asks for the gradient of the first block's input.
                if k > 0 {
                    let dhidden = Matrix::rows(dhidden, n, h, h);
                    product(z, d, dhidden, &back.first, &Epilogue::ACCUMULATE);
                }
            }
        }
    }

    /// Gradients of weights, from those of activations: one product over all rows of the lane.
    fn weight_gradients(&mut self, size: &StackSize, code: Option<&PositionCode>, images: usize) {
        let (d, h, first, h2) = (size.dim, size.hidden, size.first(), 2 * size.half());
        let rows = self.log_det.len();
        let mut of_positions = vec![0.0; self.positions.len() * h];
        let blocks = self.saved.iter().zip(&mut self.gradients.blocks);
        for (saved, [gw1, gb1, gw2, gb2, _]) in blocks {
            sum_rows(&saved.a, gb2);
            let da = Matrix::rows(&saved.a, rows, h2, h2).transposed();
            let hidden = Matrix::rows(&saved.hidden, rows, h, h);
            product_once(gw2, h, da, hidden, &Epilogue::ACCUMULATE);
            let dhidden = Matrix::rows(&saved.dhidden, rows, h, h).transposed();
            let x1 = Matrix::rows(&saved.x, rows, first, d);
            product_once(gw1, size.input(), dhidden, x1, &Epilogue::ACCUMULATE);
            of_positions.fill(0.0);
            let positions = of_positions.chunks_exact_mut(h);
            for (sum, of_images) in positions.zip(saved.dhidden.chunks(images * h)) {
                sum_rows(of_images, sum);
            }
            sum_rows(&of_positions, gb1);
            if let Some(code) = code {
                code.gradient(size, &of_positions, self.positions.clone(), gw1);
            }
        }
    }
}
