//! Gradients of a stack's weights: as a lane adds them up, and as they are given out.

use crate::coupling_stack::StackSize;
use crate::layer_sums::LayerSums;
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
    /// Of the first layer's part for the vector.
    pub(crate) first: LayerSums,
    /// Of what the first layer adds.
    pub(crate) of_positions: PositionSums,
    /// Of the second layer, transposed.
    pub(crate) second: LayerSums,
    pub(crate) b2: Vec<f32>,
    pub(crate) affine: Vec<f32>,
}

impl BlockSums {
    pub(crate) fn new(size: &StackSize, code: Option<&PositionCode>) -> Self {
        let [_, _, _, b2, affine] = size.lengths().map(|n| vec![0.0; n]);
        let first = LayerSums::new(size.hidden, size.first());
        let second = LayerSums::new(size.hidden, 2 * size.half());
        Self { first, of_positions: PositionSums::new(code, size.hidden), second, b2, affine }
    }

    pub(crate) fn clear(&mut self) {
        self.of_positions.clear();
        self.first.clear();
        self.second.clear();
        self.b2.fill(0.0);
        self.affine.fill(0.0);
    }

    /// Adds those of another lane.
    pub(crate) fn join(&mut self, other: &Self) {
        self.of_positions.join(&other.of_positions);
        self.first.join(&other.first);
        self.second.join(&other.second);
        sum_rows(&other.b2, &mut self.b2);
        sum_rows(&other.affine, &mut self.affine);
    }

    /// The block's gradients, in the order of [`StackGradients`].
    pub(crate) fn finish(
        &mut self,
        size: &StackSize,
        code: Option<&PositionCode>,
        to: &mut [Vec<f32>; 5],
    ) {
        let [w1, b1, w2, b2, affine] = to;
        self.first.total().copy_to(w1, size.input());
        if let Some(code) = code {
            code.gradient(size, &self.of_positions, w1);
        }
        self.of_positions.bias(b1);
        self.second.total().transposed().copy_within(w2, size.hidden);
        b2.copy_from_slice(&self.b2);
        affine.copy_from_slice(&self.affine);
    }
}
