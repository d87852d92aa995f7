//! Inference with a stack of coupling blocks.

use crate::coupling_stack::{
    BlockWeights, Condition, PackedBlock, StackSize, block_forward, by_image, gather,
    tile_positions, tiles,
};
use crate::matrix::Matrix;
use crate::nonzeros::NonZeros;
use crate::position_bias::PositionCode;
use crate::product::{Epilogue, product};
use rayon::prelude::*;

/// A stack whose weights no longer change: what depends on the position alone is made once, and
/// no activations are kept.
pub struct FrozenStack {
    size: StackSize,
    weights: Vec<PackedBlock>,
    condition: Condition,
}

/// What a thread keeps from tile to tile.
#[derive(Default)]
struct Scratch {
    memory: Vec<f32>,
    hidden: Vec<f32>,
    a: Vec<f32>,
    coupled: Vec<f32>,
    nonzeros: NonZeros,
}

impl FrozenStack {
    /// For blocks with these weights; `code` of all positions, where blocks are conditioned.
    pub fn new(size: StackSize, weights: &[BlockWeights], code: Option<PositionCode>) -> Self {
        let mut condition = Condition { code, products: Vec::new() };
        condition.refill(&size, weights);
        let packed = weights.par_iter().map(|w| PackedBlock::new(&size, w, false));
        Self { size, weights: packed.collect(), condition }
    }

    /// As [`crate::StackWorkspace::forward`].
    pub fn forward(&self, maps: &[&[f32]], (first, count): (usize, usize)) -> (Vec<f32>, Vec<f32>) {
        let (size, images) = (self.size, maps.len());
        let (d, h, h2) = (size.dim, size.hidden, 2 * size.half());
        let share = count.div_ceil(rayon::current_num_threads().max(1)).max(1);
        let width = tile_positions(images).min(share);
        let made: Vec<_> = tiles(first..first + count, width)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map_init(Scratch::default, |scratch, positions| {
                let Scratch { memory, hidden, a, coupled, nonzeros } = scratch;
                let rows = positions.len() * images;
                let (mut x, mut log_det) = (vec![0.0; rows * d], vec![0.0; rows]);
                gather(&mut x, positions.clone(), maps, d);
                hidden.resize(rows * h, 0.0);
                a.resize(rows * h2, 0.0);
                coupled.resize(rows * d, 0.0);
                for (k, w) in self.weights.iter().enumerate() {
                    let bias = self.condition.rows(k, h, positions.clone(), memory);
                    let between = (hidden.as_mut_slice(), a.as_mut_slice());
                    let (bias, made) = ((bias, images), &mut log_det);
                    block_forward(&size, w, bias, &x, between, nonzeros, coupled, made);
                    let coupled = Matrix::rows(coupled, rows, d, d);
                    product(&mut x, d, coupled, &w.rotation, &Epilogue::NONE);
                }
                (positions, x, log_det)
            })
            .collect();
        let mut z = vec![0.0; images * count * d];
        let mut log_dets = vec![0.0; images * count];
        for (positions, x, log_det) in made {
            let rows = by_image(positions, first, count, images);
            for ((to, x), log_det) in rows.zip(x.chunks_exact(d)).zip(log_det) {
                z[to * d..(to + 1) * d].copy_from_slice(x);
                log_dets[to] = log_det;
            }
        }
        (z, log_dets)
    }
}
