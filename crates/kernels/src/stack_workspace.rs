//! Training of a stack of coupling blocks, forward and backward, tile by tile.
//!
//! Every thread has a lane of the chunk's positions, whose tiles go through a block one after the
//! other, so that its weights and their gradients stay in cache; on the way back a tile's rows add
//! to the gradients of weights while they are in cache too. Gradients of the condition sum over
//! images and positions before any product.

use crate::coupling::gradient_rows;
use crate::coupling_stack::{
    BlockWeights, Condition, PackedBlock, StackSize, block_forward, by_image, gather,
    tile_positions, tiles,
};
use crate::matrix::Matrix;
use crate::nonzeros::NonZeros;
use crate::pool::sum_rows;
use crate::position_bias::PositionCode;
use crate::product::{Epilogue, Rectified, product};
use crate::rectified::{RightMatrix, is_sparse};
use crate::sparse_product::Start;
use crate::stack_gradients::{BlockSums, StackGradients};
use rayon::prelude::*;
use std::ops::Range;

/// Buffers of a stack in training, kept from step to step: activations of one chunk, and gradients
/// that add up over chunks. Every thread has a lane of its own, the lanes' gradients are added in
/// order, so the same number of threads gives the same bytes.
pub struct StackWorkspace {
    size: StackSize,
    weights: Vec<PackedBlock>,
    condition: Condition,
    lanes: Vec<Lane>,
    gradients: StackGradients,
}

/// Some positions of a chunk, the images of each next to each other, and their gradients.
struct Lane {
    positions: Range<usize>,
    /// Output of the last block; in the backward pass the gradient.
    z: Vec<f32>,
    log_det: Vec<f32>,
    saved: Vec<Saved>,
    scratch: Scratch,
    sums: Vec<BlockSums>,
}

/// What a block's gradient needs.
#[derive(Default)]
struct Saved {
    x: Vec<f32>,
    hidden: Vec<f32>,
    /// The subnet's output, its first half bounded by tanh; in the backward pass the gradient.
    a: Vec<f32>,
}

/// What a tile needs for itself.
struct Scratch {
    /// The coupling's output, or its gradient.
    coupled: Vec<f32>,
    /// Gradient after the rectifier.
    dhidden: Vec<f32>,
    /// That before it of one position, summed over the images.
    of_position: Vec<f32>,
    /// What the rectifier let through, by vectors and by its channels.
    of_vectors: NonZeros,
    of_channels: NonZeros,
    /// A matrix that serves one product.
    right: RightMatrix,
}

impl StackWorkspace {
    /// For blocks with these weights; `code` of all positions, where blocks are conditioned.
    pub fn new(size: StackSize, weights: &[BlockWeights], code: Option<PositionCode>) -> Self {
        let lanes = (0..rayon::current_num_threads().max(1)).map(|_| Lane {
            positions: 0..0,
            z: Vec::new(),
            log_det: Vec::new(),
            saved: weights.iter().map(|_| Saved::default()).collect(),
            scratch: Scratch {
                coupled: Vec::new(),
                dhidden: Vec::new(),
                of_position: vec![0.0; size.hidden],
                of_vectors: NonZeros::default(),
                of_channels: NonZeros::default(),
                right: RightMatrix::empty(),
            },
            sums: weights.iter().map(|_| BlockSums::new(&size, code.as_ref())).collect(),
        });
        let lanes = lanes.collect();
        let mut condition = Condition { code, products: Vec::new() };
        condition.refill(&size, weights);
        let gradients = StackGradients::zeros(&size, weights.len());
        let weights = weights.iter().map(|w| PackedBlock::new(&size, w, true)).collect();
        Self { size, weights, condition, lanes, gradients }
    }

    /// Begins a step: takes the weights as they are now, and sets all gradients to 0.
    pub fn begin(&mut self, weights: &[BlockWeights]) {
        let size = self.size;
        self.weights.par_iter_mut().zip(weights).for_each(|(p, w)| p.refill(&size, w));
        self.condition.refill(&size, weights);
        self.lanes.par_iter_mut().flat_map(|lane| &mut lane.sums).for_each(BlockSums::clear);
    }

    /// The gradients so far; the workspace's own are spent until [`StackWorkspace::begin`].
    pub fn gradients(&mut self) -> &StackGradients {
        let (size, code) = (&self.size, self.condition.code.as_ref());
        let (first, rest) = self.lanes.split_at_mut(1);
        let blocks = first[0].sums.par_iter_mut().zip(&mut self.gradients.blocks).enumerate();
        blocks.for_each(|(k, (sums, gradients))| {
            rest.iter().for_each(|lane| sums.join(&lane.sums[k]));
            sums.finish(size, code, gradients);
        });
        &self.gradients
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
            lane.backward(&size, weights, condition.code.as_ref(), images);
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
        self.scratch.coupled.resize(together * size.dim, 0.0);
        self.scratch.dhidden.resize(together * size.hidden, 0.0);
        for saved in &mut self.saved {
            saved.x.resize(rows * size.dim, 0.0);
            saved.hidden.resize(rows * size.hidden, 0.0);
            saved.a.resize(rows * 2 * size.half(), 0.0);
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
        for (k, w) in weights.iter().enumerate() {
            for positions in tiles(self.positions.clone(), tile_positions(images)) {
                let rows = self.rows(&positions, images);
                let part = |width: usize| rows.start * width..rows.end * width;
                let coupled = &mut self.scratch.coupled[..rows.len() * d];
                let (this, next) = self.saved.split_at_mut(k + 1);
                let Saved { x, hidden, a } = &mut this[k];
                let bias = condition.rows(k, size.hidden, positions, &mut memory);
                let between = (&mut hidden[part(size.hidden)], &mut a[part(2 * size.half())]);
                let log_det = &mut self.log_det[rows.clone()];
                let (x, bias) = (&x[part(d)], (bias, images));
                let nonzeros = &mut self.scratch.of_vectors;
                block_forward(size, w, bias, x, between, nonzeros, coupled, log_det);
                let out = next.first_mut().map_or(&mut self.z, |next| &mut next.x);
                let coupled = Matrix::rows(coupled, rows.len(), d, d);
                product(&mut out[part(d)], d, coupled, &w.rotation, &Epilogue::NONE);
            }
        }
    }

    /// Gradients: `z` and `log_det` hold those of the outputs.
    fn backward(
        &mut self,
        size: &StackSize,
        weights: &[PackedBlock],
        code: Option<&PositionCode>,
        images: usize,
    ) {
        for (k, w) in weights.iter().enumerate().rev() {
            for positions in tiles(self.positions.clone(), tile_positions(images)) {
                self.tile_backward(size, w, code, (k, positions), images);
            }
        }
    }

    /// The gradients of a tile's activations in block `k`, and what they add to those of weights.
    fn tile_backward(
        &mut self,
        size: &StackSize,
        w: &PackedBlock,
        code: Option<&PositionCode>,
        (k, positions): (usize, Range<usize>),
        images: usize,
    ) {
        let (d, h, h2) = (size.dim, size.hidden, 2 * size.half());
        let rows = self.rows(&positions, images);
        let (n, part) = (rows.len(), |width: usize| rows.start * width..rows.end * width);
        let back = w.backward.as_ref().expect("a workspace packs both ways");
        let sums = &mut self.sums[k];
        let Saved { x, hidden, a } = &mut self.saved[k];
        let (x, hidden, a) = (&x[part(d)], &hidden[part(h)], &mut a[part(h2)]);
        let z = &mut self.z[part(d)];
        let Scratch { coupled, dhidden, of_position, of_vectors, of_channels, right } =
            &mut self.scratch;
        let (coupled, dhidden) = (&mut coupled[..n * d], &mut dhidden[..n * h]);

        product(coupled, d, Matrix::rows(z, n, d, d), &back.rotation, &Epilogue::NONE);
        let split = (d, size.half());
        let (log_det, clamp) = (Some(&self.log_det[rows.clone()]), size.clamp);
        gradient_rows(z, x, a, &mut sums.affine, coupled, log_det, &w.affine, split, clamp);
        sum_rows(a, &mut sums.b2);
        let da = Matrix::rows(a, n, h2, h2);
        let held_back = Some(Rectified { data: hidden, stride: h });
        product(dhidden, h, da, &back.second, &Epilogue { rectified: held_back, ..Epilogue::NONE });

        let rectified = Matrix::rows(hidden, n, h, h);
        // The sums' products have as many columns as that with the first layer, or twice as many.
        let share = back.first.share_of_nonzeros(&rectified, of_vectors);
        let [second, first] = [h2, size.first()].map(|columns| is_sparse(share, columns));
        let sparse = [sums.second.choose(second), sums.first.choose(first)];
        if sparse != [false; 2] {
            of_channels.refill(&rectified.transposed());
        }
        for (i, position) in positions.enumerate() {
            of_position.fill(0.0);
            sum_rows(&dhidden[i * images * h..(i + 1) * images * h], of_position);
            sums.of_positions.add(code, position, of_position);
        }
        sums.second.add(rectified, of_channels, da, right);
        let dhidden = Matrix::rows(dhidden, n, h, h);
        sums.first.add(dhidden, of_channels, Matrix::rows(x, n, size.first(), d), right);
        // Features are frozen: nobody asks for the gradient of the first block's input.
        if k > 0 {
            if first {
                of_vectors.refill(&rectified);
            }
            back.first.product(z, d, dhidden, first.then_some(&*of_vectors), Start::Output);
        }
    }
}
