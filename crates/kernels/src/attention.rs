//! Self-attention (Vaswani et al., NeurIPS 2017) of frozen networks.

use crate::fill::par_fill_parts;
use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::product::{Epilogue, product};
use crate::softmax::softmax_rows;
use crate::storage::{is_fused, with_slice};
use candle_core::{D, Result, Tensor, bail};
use rayon::prelude::*;

/// Queries a task takes: their scores against every key stay in cache.
const QUERIES: usize = 48;

/// `softmax(q k^T / sqrt(d)) v` of each head: `qkv` (B, N, 3 C) holds queries, keys and values in
/// this order, each the heads' `d = C / heads` channels one after the other; to (B, N, C) in the
/// order of the heads. Scores are never in memory as a whole. It has no gradient on its fused path.
///
/// # Errors
/// Another number of dimensions; channels that the heads do not divide.
pub fn attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, n, width) = qkv.dims3()?;
    if n == 0 || width == 0 || heads == 0 || !width.is_multiple_of(3 * heads) {
        bail!("attention: {:?} is no (B, N, 3 C) of {heads} heads", qkv.dims())
    }
    if !is_fused(qkv) {
        return plain(qkv, heads);
    }
    let c = width / 3;
    let out = with_slice("attention", qkv, |qkv| {
        let heads: Vec<Head> = (0..b * heads)
            .into_par_iter()
            .map(|i| Head::new(&qkv[i / heads * n * width..][..n * width], c, c / heads, i % heads))
            .collect();
        Ok(fused(qkv, &heads, (b, n, c)))
    })?;
    Tensor::from_vec(out, (b, n, c), qkv.device())
}

/// Keys and values of one head of one image, as products read them.
struct Head {
    /// (d, N), divided by `sqrt(d)`.
    keys: Packed,
    /// (N, d)
    values: Packed,
}

impl Head {
    /// Head `index` of one image's rows (N, 3 C), `d` channels of `c`.
    fn new(qkv: &[f32], c: usize, d: usize, index: usize) -> Self {
        let n = qkv.len() / (3 * c);
        let scale = 1.0 / (d as f32).sqrt();
        let rows = qkv.chunks_exact(3 * c);
        let keys: Vec<f32> =
            rows.flat_map(|row| row[c + index * d..][..d].iter().map(|k| k * scale)).collect();
        let values = &qkv[2 * c + index * d..];
        Self {
            keys: Packed::new(Matrix::rows(&keys, n, d, d).transposed()),
            values: Packed::new(Matrix::rows(values, n, d, 3 * c)),
        }
    }
}

/// `heads` are those of the first image, then those of the next.
fn fused(qkv: &[f32], heads: &[Head], (b, n, c): (usize, usize, usize)) -> Vec<f32> {
    let (count, tiles) = (heads.len() / b.max(1), n.div_ceil(QUERIES));
    let d = c / count.max(1);
    let lengths = (0..b).flat_map(|_| (0..tiles).map(|t| QUERIES.min(n - t * QUERIES) * c));
    par_fill_parts(b * n * c, lengths, |task, blank| {
        let (image, first) = (task / tiles, task % tiles * QUERIES);
        let out = blank.zeros();
        let rows = out.len() / c;
        let (mut scores, mut sums) = (vec![0.0; rows * n], vec![0.0; rows]);
        for (h, head) in heads[image * count..][..count].iter().enumerate() {
            let queries = &qkv[(image * n + first) * 3 * c + h * d..];
            let queries = Matrix::rows(queries, rows, d, 3 * c);
            product(&mut scores, n, queries, &head.keys, &Epilogue::NONE);
            softmax_rows(&mut scores, &mut sums);
            let scores = Matrix::rows(&scores, rows, n, n);
            product(&mut out[h * d..], c, scores, &head.values, &Epilogue::NONE);
        }
        out
    })
}

fn plain(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, n, width) = qkv.dims3()?;
    let (c, d) = (width / 3, width / 3 / heads);
    // (3, B, heads, N, d)
    let parts = qkv.reshape((b, n, 3, heads, d))?.permute((2, 0, 3, 1, 4))?;
    let part = |i: usize| parts.get(i)?.contiguous();
    let scores = (part(0)?.matmul(&part(1)?.t()?)? / (d as f64).sqrt())?;
    let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let weights = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
    weights.matmul(&part(2)?)?.transpose(1, 2)?.reshape((b, n, c))
}
