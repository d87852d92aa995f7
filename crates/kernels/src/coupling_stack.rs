//! A stack of coupling blocks: what its training and its inference share.
//!
//! Vectors are independent, so a tile of some of them goes through all blocks while its
//! activations are in cache. Rows are ordered by position, the images of one position next to
//! each other: what depends on the position alone (the condition's product with the first layer)
//! is made once a position.
//! Equations: HGAD (Yao et al., ECCV 2024), section 2 of its method; see [`crate::affine_coupling`].

use crate::activation::Activation;
use crate::coupling::couple_rows;
use crate::matrix::Matrix;
use crate::nonzeros::NonZeros;
use crate::packed::Packed;
use crate::position_bias::{PositionBias, PositionCode};
use crate::product::{AddedRows, Epilogue, product};
use crate::rectified::{RightMatrix, is_sparse};
use crate::sparse_product::Start;
use rayon::prelude::*;
use std::ops::Range;

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
    pub(crate) fn lengths(&self) -> [usize; 5] {
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

/// The weights of one block as its products read them.
#[derive(Clone, Debug)]
pub(crate) struct PackedBlock {
    /// The first layer's part for the vector, transposed: (D - D/2, hidden).
    pub(crate) first: Packed,
    pub(crate) second: RightMatrix,
    pub(crate) rotation: Packed,
    pub(crate) affine: Vec<f32>,
    pub(crate) b1: Vec<f32>,
    pub(crate) b2: Vec<f32>,
    pub(crate) backward: Option<PackedBackward>,
}

/// The same matrices the other way round.
#[derive(Clone, Debug)]
pub(crate) struct PackedBackward {
    pub(crate) first: RightMatrix,
    pub(crate) second: Packed,
    pub(crate) rotation: Packed,
}

impl PackedBlock {
    /// With `backward` for training, else for inference.
    pub(crate) fn new(size: &StackSize, w: &BlockWeights, backward: bool) -> Self {
        let [first, second, rotation] = matrices(size, w);
        Self {
            first: Packed::for_tiles(first.transposed()),
            second: RightMatrix::new(second.transposed()),
            rotation: Packed::for_tiles(rotation.transposed()),
            affine: w.affine.clone(),
            b1: w.b1.to_vec(),
            b2: w.b2.to_vec(),
            backward: backward.then(|| PackedBackward {
                first: RightMatrix::new(first),
                second: Packed::for_tiles(second),
                rotation: Packed::for_tiles(rotation),
            }),
        }
    }

    /// New weights in the same memory.
    pub(crate) fn refill(&mut self, size: &StackSize, w: &BlockWeights) {
        let [first, second, rotation] = matrices(size, w);
        self.first.refill(first.transposed());
        self.second.refill(second.transposed());
        self.rotation.refill(rotation.transposed());
        self.affine.clone_from(&w.affine);
        self.b1.copy_from_slice(w.b1);
        self.b2.copy_from_slice(w.b2);
        if let Some(backward) = &mut self.backward {
            backward.first.refill(first);
            backward.second.refill(second);
            backward.rotation.refill(rotation);
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

/// What is added to a first layer before its rectifier, where it depends on the position.
#[derive(Default)]
pub(crate) struct Condition {
    pub(crate) code: Option<PositionCode>,
    /// For each block.
    pub(crate) products: Vec<PositionBias>,
}

impl Condition {
    pub(crate) fn refill(&mut self, size: &StackSize, weights: &[BlockWeights]) {
        if let Some(code) = &self.code {
            self.products = weights.par_iter().map(|w| code.products(size, w)).collect();
        }
    }

    /// Rows (positions, hidden) of block `k` in `memory`.
    pub(crate) fn rows<'m>(
        &self,
        k: usize,
        hidden: usize,
        positions: Range<usize>,
        memory: &'m mut Vec<f32>,
    ) -> Option<&'m [f32]> {
        let code = self.code.as_ref()?;
        code.bias(&self.products[k], hidden, positions, memory);
        Some(memory)
    }
}

/// Rows that go through all blocks together: panels of weights serve often and activations of a
/// block stay in cache.
const ROWS: usize = 192;

/// Positions of a tile of about [`ROWS`] vectors.
pub(crate) fn tile_positions(images: usize) -> usize {
    (ROWS / images.max(1)).max(1)
}

/// `range` in parts of `width`, the last one shorter.
pub(crate) fn tiles(
    range: Range<usize>,
    width: usize,
) -> impl DoubleEndedIterator<Item = Range<usize>> {
    let count = range.len().div_ceil(width);
    (0..count).map(move |i| {
        let start = range.start + i * width;
        start..(start + width).min(range.end)
    })
}

/// For the vectors of some positions, the images of each next to each other: their places in an
/// order image by image.
pub(crate) fn by_image(
    positions: Range<usize>,
    first: usize,
    count: usize,
    images: usize,
) -> impl Iterator<Item = usize> {
    positions.flat_map(move |p| (0..images).map(move |b| b * count + p - first))
}

/// The vectors of positions of maps, the images of each next to each other.
pub(crate) fn gather(x: &mut [f32], positions: Range<usize>, maps: &[&[f32]], d: usize) {
    let pairs = positions.flat_map(|p| maps.iter().map(move |map| (p, map)));
    for (x, (p, map)) in x.chunks_exact_mut(d).zip(pairs) {
        x.copy_from_slice(&map[p * d..][..d]);
    }
}

/// `x` to `coupled`, the block's output before its rotation; `bias`: a row for every so many
/// vectors, if the block is conditioned. `nonzeros` is memory.
pub(crate) fn block_forward(
    size: &StackSize,
    w: &PackedBlock,
    (bias, repeat): (Option<&[f32]>, usize),
    x: &[f32],
    (hidden, a): (&mut [f32], &mut [f32]),
    nonzeros: &mut NonZeros,
    coupled: &mut [f32],
    log_det: &mut [f32],
) {
    let (d, h, h2) = (size.dim, size.hidden, 2 * size.half());
    let rows = log_det.len();
    let then = Epilogue {
        bias: bias.is_none().then_some(w.b1.as_slice()),
        rows: bias.map(|data| AddedRows { data, stride: h, repeat }),
        accumulate: false,
        activation: Activation::Relu,
        rectified: None,
    };
    product(hidden, h, Matrix::rows(x, rows, size.first(), d), &w.first, &then);
    let hidden = Matrix::rows(hidden, rows, h, h);
    let sparse = is_sparse(w.second.share_of_nonzeros(&hidden, nonzeros), h2);
    if sparse {
        nonzeros.refill(&hidden);
    }
    w.second.product(a, h2, hidden, sparse.then_some(&*nonzeros), Start::Bias(&w.b2));
    couple_rows(coupled, log_det, x, a, &w.affine, (d, size.half()), size.clamp);
}
