//! Multiplication with a fixed square matrix.

use crate::fill::par_fill;
use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::product::{Epilogue, TILE};
use crate::storage::{contiguous, is_fused, with_slice};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use std::sync::Arc;

/// `y = x R^T`; `x` (N, D), `r` (D, D). `x` has a gradient, the matrix is a constant.
///
/// # Errors
/// Shapes that do not belong together.
pub fn rotate(x: &Tensor, r: &Tensor) -> Result<Tensor> {
    let ((_, d), (rows, cols)) = (x.dims2()?, r.dims2()?);
    if rows != d || cols != d {
        bail!("rotation: a {rows}x{cols} matrix for vectors of {d} entries")
    }
    if !is_fused(x) {
        return x.matmul(&r.detach().t()?);
    }
    let matrix = with_slice("rotation", r, |r| Ok(Arc::from(r)))?;
    x.contiguous()?.apply_op1(Rotate { matrix, transposed: true })
}

struct Rotate {
    matrix: Arc<[f32]>,
    transposed: bool,
}

impl CustomOp1 for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, d) = layout.shape().dims2()?;
        let x = contiguous("rotation", x, layout)?;
        let r = Matrix::rows(&self.matrix, d, d, d);
        let r = if self.transposed { r.transposed() } else { r };
        let r = Packed::new(r);
        let y = par_fill(n * d, TILE * d, |tile, blank| {
            let rows = blank.len() / d;
            blank.product(Matrix::rows(&x[tile * TILE * d..], rows, d, d), &r, &Epilogue::NONE)
        });
        Ok((CpuStorage::F32(y), (n, d).into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let back = Self { matrix: self.matrix.clone(), transposed: !self.transposed };
        grad.contiguous()?.apply_op1_no_bwd(&back).map(Some)
    }
}
