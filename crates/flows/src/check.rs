//! What bijections ask of their settings and input.

use crate::FlowError;
use candle_core::Tensor;

/// N, of vectors that must be (N, `dim`).
pub(crate) fn rows(x: &Tensor, dim: usize) -> Result<usize, FlowError> {
    match x.dims() {
        [n, d] if *d == dim => Ok(*n),
        found => Err(FlowError::Input { expected: dim, found: found.to_vec() }),
    }
}

/// N, of vectors that must be (N, `dim`) and come without a condition.
pub(crate) fn plain_rows(
    x: &Tensor,
    dim: usize,
    condition: Option<&Tensor>,
) -> Result<usize, FlowError> {
    let rows = rows(x, dim)?;
    match condition {
        None => Ok(rows),
        Some(c) => {
            let found = format!("{:?}", c.dims());
            Err(FlowError::Condition { expected: "none".into(), found, rows })
        }
    }
}

/// The position code of `n` vectors, which must be (P, `k`), P a divisor of N; none where `k` is 0.
pub(crate) fn condition(
    code: Option<&Tensor>,
    k: usize,
    rows: usize,
) -> Result<Option<&Tensor>, FlowError> {
    let fits = |c: &Tensor| match c.dims() {
        [p, found] => *found == k && *p > 0 && rows.is_multiple_of(*p),
        _ => false,
    };
    match code {
        None if k == 0 => Ok(None),
        Some(c) if k > 0 && fits(c) => Ok(Some(c)),
        other => Err(FlowError::Condition {
            expected: if k == 0 { "none".into() } else { format!("(P, {k}), P a divisor of N") },
            found: other.map_or("none".into(), |c| format!("{:?}", c.dims())),
            rows,
        }),
    }
}

/// The lengths of the two parts a coupling makes of `dim` entries: D - H and H = D / 2 rounded down.
pub(crate) fn split(dim: usize) -> Result<(usize, usize), FlowError> {
    at_least("dim", dim, 2, "a coupling splits its input in two parts")?;
    Ok((dim - dim / 2, dim / 2))
}

pub(crate) fn at_least(
    key: &'static str,
    value: usize,
    least: usize,
    why: &'static str,
) -> Result<(), FlowError> {
    match value >= least {
        true => Ok(()),
        false => Err(FlowError::Setting { key, value: value.to_string(), why }),
    }
}

pub(crate) fn positive(key: &'static str, value: f64) -> Result<(), FlowError> {
    match value > 0.0 && value.is_finite() {
        true => Ok(()),
        false => {
            let why = "expected a positive number";
            Err(FlowError::Setting { key, value: value.to_string(), why })
        }
    }
}

/// A scalar as the log-determinant (N) of `rows` vectors.
pub(crate) fn for_all_rows(scalar: &Tensor, rows: usize) -> Result<Tensor, FlowError> {
    Ok(scalar.broadcast_as(rows)?.contiguous()?)
}

/// The log-determinant (N) of a map that keeps volumes.
pub(crate) fn no_change(x: &Tensor) -> Result<Tensor, FlowError> {
    Ok(Tensor::zeros(x.dim(0)?, x.dtype(), x.device())?)
}
