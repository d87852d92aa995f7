//! What several tests of this crate need.
#![allow(dead_code)]

use candle_core::{DType, Device, Tensor};
use hgad_flows::Bijection;
use hgad_parameters::{Parameters, seeded};

/// Adds N(0, `by`²) to every parameter: away from a start where mistakes would not show.
pub fn nudge(p: &Parameters, seed: u64, by: f64) {
    let mut draws = seeded(seed, "nudge");
    for (_, var) in p.trainable_vars() {
        let n = var.elem_count();
        let noise: Vec<f64> = (0..n).map(|_| by * draws.normal()).collect();
        let noise = Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap();
        var.set(&(var.as_tensor() + noise.to_dtype(var.dtype()).unwrap()).unwrap()).unwrap();
    }
}

/// Standard normal vectors (`n`, `dim`).
pub fn input(seed: u64, n: usize, dim: usize, dtype: DType) -> Tensor {
    let mut draws = seeded(seed, "x");
    let x: Vec<f64> = (0..n * dim).map(|_| draws.normal()).collect();
    Tensor::from_vec(x, (n, dim), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// Of a matrix, by elimination with partial pivoting.
pub fn log_abs_det(mut a: Vec<Vec<f64>>) -> f64 {
    let n = a.len();
    let mut total = 0.0;
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        total += a[k][k].abs().ln();
        let head = a[k].clone();
        for row in &mut a[k + 1..] {
            let f = row[k] / head[k];
            row.iter_mut().zip(&head).for_each(|(r, h)| *r -= f * h);
        }
    }
    total
}

/// Elements in f64, row-major.
pub fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest difference of elements.
pub fn worst(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).fold(0.0, |m, (a, b)| {
        assert!(a.is_finite() && b.is_finite());
        f64::max(m, (a - b).abs())
    })
}

/// `ln |det|` of the derivatives of all outputs for all elements of `x` in f64, by central
/// differences.
pub fn numeric_log_det(f: &dyn Bijection, x: &Tensor, condition: Option<&Tensor>) -> f64 {
    let base = values(x);
    let central = |j: usize, h: f64| -> Vec<f64> {
        let at = |sign: f64| {
            let mut v = base.clone();
            v[j] += sign * h;
            let t = Tensor::from_vec(v, x.shape(), &Device::Cpu).unwrap();
            values(&f.forward(&t, condition).unwrap().0)
        };
        at(1.0).iter().zip(at(-1.0)).map(|(a, b)| (a - b) / (2.0 * h)).collect()
    };
    // A step over a kink of a ReLU is no derivative; a tenth of it tells, and is taken in its place.
    let column = |j: usize| {
        let mut wide = central(j, 1e-5);
        for h in [1e-6, 1e-7, 1e-8] {
            let narrow = central(j, h);
            let apart = wide.iter().zip(&narrow).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
            if apart < 1e-7 {
                break;
            }
            wide = narrow;
        }
        wide
    };
    log_abs_det((0..base.len()).map(column).collect())
}
