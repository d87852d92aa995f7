//! Gradients of a stack's weights: as a lane adds them up, and as they are given out.

use crate::coupling_stack::StackSize;
use crate::pool::sum_rows;
use crate::position_bias::{PositionCode, PositionSums};

/// Gradients of every block: w1, b1, w2, b2, affine (2, D), in that order.
#[derive(Clone, Debug, Default)]
pub struct StackGradients {
    pub(crate) blocks: Vec<[Vec<f32>; 5]>,
}

impl StackGradients {
    pub(crate) fn zeros(size: &StackSize, blocks: usize) -> Self {
        let one = || size.lengths().map(|n| vec![0.0; n]);
        Self { blocks: (0..blocks).map(|_| one()).collect() }
    }

    /// Gradients of block `k`.
    pub fn block(&self, k: usize) -> &[Vec<f32>; 5] {
        &self.blocks[k]
    }
}

/// What a lane adds to a block's gradients.
pub(crate) struct BlockSums {
    /// Of the first layer's part for the vector, transposed: (D - D/2, hidden).
    pub(crate) first: Vec<f32>,
    /// Of what the first layer adds.
    pub(crate) of_positions: PositionSums,
    pub(crate) second: Vec<f32>,
    pub(crate) b2: Vec<f32>,
    pub(crate) affine: Vec<f32>,
}

impl BlockSums {
    pub(crate) fn new(size: &StackSize, code: Option<&PositionCode>) -> Self {
        let [_, _, second, b2, affine] = size.lengths().map(|n| vec![0.0; n]);
        let first = vec![0.0; size.first() * size.hidden];
        Self { first, of_positions: PositionSums::new(code, size.hidden), second, b2, affine }
    }

    pub(crate) fn clear(&mut self) {
        self.of_positions.clear();
        for sums in [&mut self.first, &mut self.second, &mut self.b2, &mut self.affine] {
            sums.fill(0.0);
        }
    }

    /// Adds those of another lane.
    pub(crate) fn join(&mut self, other: &Self) {
        self.of_positions.join(&other.of_positions);
        sum_rows(&other.first, &mut self.first);
        sum_rows(&other.second, &mut self.second);
        sum_rows(&other.b2, &mut self.b2);
        sum_rows(&other.affine, &mut self.affine);
    }

    /// The block's gradients, in the order of [`StackGradients`].
    pub(crate) fn finish(
        &self,
        size: &StackSize,
        code: Option<&PositionCode>,
        to: &mut [Vec<f32>; 5],
    ) {
        let [w1, b1, w2, b2, affine] = to;
        for (row, w1) in w1.chunks_exact_mut(size.input()).enumerate() {
            let column = self.first[row..].iter().step_by(size.hidden);
            w1.iter_mut().zip(column).for_each(|(w, sum)| *w = *sum);
        }
        if let Some(code) = code {
            code.gradient(size, &self.of_positions, w1);
        }
        self.of_positions.bias(b1);
        w2.copy_from_slice(&self.second);
        b2.copy_from_slice(&self.b2);
        affine.copy_from_slice(&self.affine);
    }
}
