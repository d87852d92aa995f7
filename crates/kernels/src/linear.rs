//! A linear layer with a bias a position and a rectifier, fused.

use crate::activation::Activation;
use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::pool::sum_rows;
use crate::product::{Epilogue, TILE, product, product_once};
use crate::storage::{contiguous, is_fused, with_slice};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// What follows the affine map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rectifier {
    /// Nothing.
    None,
    /// `max(y, 0)`.
    Relu,
}

/// `y = act(x[:, ..K] W^T + b[n mod P])`, with gradients for all three.
///
/// `x` (N, >= K): a layer that reads the first K columns does not need them copied out.
/// `w` (O, K). `b` (P, O) with P a divisor of N: row `n` of `x` gets bias `n mod P`, so that the
/// part of a layer that depends on the position alone is computed once and not once an image.
///
/// # Errors
/// Shapes that do not belong together.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor, rectifier: Rectifier) -> Result<Tensor> {
    let ((n, d), (o, k), (p, q)) = (x.dims2()?, w.dims2()?, b.dims2()?);
    if k > d || o != q || p == 0 || n % p != 0 {
        bail!("linear: x {n}x{d}, w {o}x{k} and b {p}x{q} do not belong together")
    }
    if is_fused(x) {
        return x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, Linear(rectifier));
    }
    let y = x.narrow(1, 0, k)?.contiguous()?.matmul(&w.t()?)?;
    let y = y.reshape((n / p, p, o))?.broadcast_add(b)?.reshape((n, o))?;
    match rectifier {
        Rectifier::None => Ok(y),
        Rectifier::Relu => y.relu(),
    }
}

struct Linear(Rectifier);

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, d) = lx.shape().dims2()?;
        let (o, k) = lw.shape().dims2()?;
        let (p, _) = lb.shape().dims2()?;
        let x = contiguous("linear", x, lx)?;
        let w = Packed::new(Matrix::rows(contiguous("linear", w, lw)?, o, k, k).transposed());
        let b = contiguous("linear", b, lb)?;
        let y = par_fill(n * o, TILE * o, |tile, blank| {
            let first = tile * TILE;
            let rows = blank.len() / o;
            let y = blank.rows(o, |i| &b[(first + i) % p * o..][..o]);
            let x = Matrix::rows(&x[first * d..], rows, k, d);
            let activation = match self.0 {
                Rectifier::None => Activation::Identity,
                Rectifier::Relu => Activation::Relu,
            };
            product(y, o, x, &w, &Epilogue { activation, ..Epilogue::ACCUMULATE });
            y
        });
        Ok((CpuStorage::F32(y), (n, o).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((n, d), (o, k), (p, _)) = (x.dims2()?, w.dims2()?, b.dims2()?);
        let op = "gradient of linear";
        let (dx, dw, db) = with_slice(op, x, |x| {
            with_slice(op, w, |w| {
                with_slice(op, y, |y| {
                    with_slice(op, grad, |g| {
                        let masked;
                        let g = match self.0 {
                            Rectifier::None => g,
                            Rectifier::Relu => {
                                masked = par_fill(g.len(), TILE * o, |tile, blank| {
                                    let at = tile * TILE * o;
                                    let len = blank.len();
                                    let out = blank.rows(len, |_| &g[at..at + len]);
                                    mask(out, &y[at..at + len]);
                                    out
                                });
                                &masked
                            }
                        };
                        Ok((
                            input_grad(g, w, (n, d), (o, k)),
                            weight_grad(g, x, (n, d), (o, k)),
                            bias_grad(g, p, o),
                        ))
                    })
                })
            })
        })?;
        let dev = x.device();
        Ok((
            Some(Tensor::from_vec(dx, (n, d), dev)?),
            Some(Tensor::from_vec(dw, (o, k), dev)?),
            Some(Tensor::from_vec(db, (p, o), dev)?),
        ))
    }
}

/// (N, D): `g W` in the first K columns, zeros in the rest, which the layer did not read.
fn input_grad(g: &[f32], w: &[f32], (n, d): (usize, usize), (o, k): (usize, usize)) -> Vec<f32> {
    let w = Packed::new(Matrix::rows(w, o, k, k));
    par_fill(n * d, TILE * d, |tile, blank| {
        let rows = blank.len() / d;
        let out = blank.zeros();
        let g = Matrix::rows(&g[tile * TILE * o..], rows, o, o);
        product(out, d, g, &w, &Epilogue::NONE);
        out
    })
}

/// (O, K): `g^T x`; a task makes some rows from all N, so that no partial sums are added up in
/// an order that depends on threads.
fn weight_grad(g: &[f32], x: &[f32], (n, d): (usize, usize), (o, k): (usize, usize)) -> Vec<f32> {
    let block = o.div_ceil(8).max(16);
    par_fill(o * k, block * k, |tile, blank| {
        let rows = blank.len() / k;
        let out = blank.zeros();
        let g = Matrix::rows(&g[tile * block..], n, rows, o).transposed();
        product_once(out, k, g, Matrix::rows(x, n, k, d), &Epilogue::NONE);
        out
    })
}

/// (P, O): the sum over the rows of one position.
fn bias_grad(g: &[f32], p: usize, o: usize) -> Vec<f32> {
    if p == 1 {
        // Blocks of rows in parallel, then the blocks in order.
        let rows = g.len() / o;
        let partial = par_fill(rows.div_ceil(TILE) * o, o, |tile, blank| {
            let out = blank.zeros();
            let end = ((tile + 1) * TILE * o).min(g.len());
            sum_rows(&g[tile * TILE * o..end], out);
            out
        });
        let mut out = vec![0.0; o];
        sum_rows(&partial, &mut out);
        return out;
    }
    par_fill(p * o, o, |position, blank| {
        let out = blank.zeros();
        for row in g.chunks_exact(o).skip(position).step_by(p) {
            sum_rows(row, out);
        }
        out
    })
}

dispatch!(fn mask(g: &mut [f32], y: &[f32]) = mask_body);
#[inline(always)]
fn mask_body<I: Isa>(g: &mut [f32], y: &[f32]) {
    g.iter_mut().zip(y).for_each(|(g, y)| *g = if *y == 0.0 { 0.0 } else { *g });
}
