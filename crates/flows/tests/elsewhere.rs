//! Splines, Glow's parts, learned reflections and FastFlow against the numbers of nflows 0.14 and
//! FrEIA 0.2 (`fixtures/kinds.py` makes them).

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{values, worst};
use hgad_flows::{
    ActNorm, ActNormStart, Bijection, FlowConfig, LuLinear, Mixing, Permutation, Spline,
    SplineCoupling, build,
};
use hgad_parameters::Parameters;
use std::collections::HashMap;

fn load(name: &str) -> HashMap<String, Tensor> {
    let file = format!("tests/fixtures/{name}.safetensors");
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

fn as_type(t: &Tensor, dtype: DType) -> Tensor {
    t.to_dtype(dtype).unwrap()
}

/// Both number types, and how near each must come.
const TYPES: [(DType, f64); 2] = [(DType::F64, 1e-9), (DType::F32, 2e-4)];

fn close(got: &Tensor, expected: &Tensor, bound: f64, what: &str) {
    let scale = values(expected).iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    let error = worst(got, expected);
    assert!(error < bound * scale, "{what}, {:?}: {error}", got.dtype());
}

#[test]
fn splines() {
    let t = load("spline");
    let spline = Spline::new(8, 3.0).unwrap();
    for (dtype, bound) in TYPES {
        let (x, raw) = (as_type(&t["x"], dtype), as_type(&t["raw"], dtype));
        let (y, slope) = spline.forward(&x, &raw).unwrap();
        close(&y, &t["y"], bound, "value");
        close(&slope, &t["log_slope"], 10.0 * bound, "slope");
        let (back, slope) = spline.inverse(&x, &raw).unwrap();
        close(&back, &t["inverse"], bound, "inverse");
        close(&slope, &t["inverse_log_slope"], 10.0 * bound, "inverse slope");
    }
}

#[test]
fn a_coupling_by_splines_and_its_gradients() {
    let t = load("spline");
    let of = |name: &str| &t[&format!("coupling.{name}")];
    for (dtype, bound) in TYPES {
        let p = Parameters::new(0, dtype, &Device::Cpu);
        let coupling = SplineCoupling::new(&p, 7, 0, 2, Spline::new(5, 2.5).unwrap()).unwrap();
        p.load("coupling.subnet.", &t).unwrap();
        let x = Var::from_tensor(&as_type(of("x"), dtype)).unwrap();
        let (z, log_det) = coupling.forward(x.as_tensor(), None).unwrap();
        close(&z, of("z"), bound, "z");
        close(&log_det, of("logdet"), bound, "log-determinant");
        let (back, back_det) = coupling.inverse(&as_type(of("x"), dtype), None).unwrap();
        close(&back, of("inverse"), bound, "inverse");
        close(&back_det, of("inverse_logdet"), bound, "inverse log-determinant");
        let loss = (z * as_type(of("weights"), dtype)).unwrap().sum_all().unwrap();
        let loss = (loss - (log_det.sum_all().unwrap() * 0.3).unwrap()).unwrap();
        let grads = loss.backward().unwrap();
        close(grads.get(&x).unwrap(), of("gradient.x"), 10.0 * bound, "gradient of x");
        for (name, var) in p.trainable_vars() {
            let expected = of(&format!("gradient.{name}"));
            close(grads.get(&var).unwrap(), expected, 10.0 * bound, &name);
        }
    }
}

#[test]
fn glows_normalization_and_matrix() {
    let t = load("glow");
    let dim = t["x"].dim(1).unwrap();
    for (dtype, bound) in TYPES {
        let p = Parameters::new(0, dtype, &Device::Cpu);
        let norm = ActNorm::new(&p.scope("norm"), dim, ActNormStart::Data).unwrap();
        let matrix = LuLinear::new(&p.scope("matrix"), dim).unwrap();
        // nflows has W = L U: no permutation, and a positive diagonal.
        let diagonal: Vec<f64> = (0..dim).map(|i| values(&t["upper"])[i * dim + i].ln()).collect();
        let diagonal = Tensor::from_vec(diagonal, (1, dim), &Device::Cpu).unwrap();
        let eye = Tensor::eye(dim, DType::F64, &Device::Cpu).unwrap();
        let both = (&t["lower"] + &t["upper"]).unwrap();
        let outside = eye.affine(-1.0, 1.0).unwrap();
        let factors = (both * outside).unwrap();
        let factors = (factors + eye.broadcast_mul(&diagonal).unwrap()).unwrap();
        let order = Tensor::arange(0f64, dim as f64, &Device::Cpu).unwrap();
        let state: HashMap<String, Tensor> = [
            ("norm.log_scale", Tensor::zeros(dim, DType::F64, &Device::Cpu).unwrap()),
            ("norm.shift", Tensor::zeros(dim, DType::F64, &Device::Cpu).unwrap()),
            ("matrix.lu", factors),
            ("matrix.sign", Tensor::ones(dim, DType::F64, &Device::Cpu).unwrap()),
            ("matrix.order", order),
        ]
        .map(|(n, t)| (n.to_string(), t))
        .into();
        p.load("", &state).unwrap();
        let w = t["lower"].matmul(&t["upper"]).unwrap();
        close(&matrix.matrix().unwrap(), &w, bound, "matrix");

        let x = as_type(&t["x"], dtype);
        norm.initialize(&x, None).unwrap();
        let state: HashMap<String, Tensor> = p.state().into_iter().collect();
        close(&state["norm.log_scale"], &t["log_scale"], bound, "log-scale");
        close(&state["norm.shift"], &t["shift"], bound, "shift");
        let (middle, first) = norm.forward(&x, None).unwrap();
        close(&middle, &t["normalized"], bound, "normalized");
        let (z, second) = matrix.forward(&middle, None).unwrap();
        close(&z, &t["z"], bound, "z");
        close(&(first + second).unwrap(), &t["logdet"], bound, "log-determinant");
        let (back, first) = matrix.inverse(&x, None).unwrap();
        let (back, second) = norm.inverse(&back, None).unwrap();
        close(&back, &t["inverse"], 10.0 * bound, "inverse");
        close(&(first + second).unwrap(), &t["inverse_logdet"], bound, "inverse log-determinant");
    }
}

#[test]
fn learned_reflections() {
    let t = load("householder");
    for (dtype, bound) in TYPES {
        let p = Parameters::new(0, dtype, &Device::Cpu);
        let config = FlowConfig {
            dim: 6,
            blocks: 2,
            condition: 0,
            permutation: Some(Permutation::Householder),
            reflections: 3,
            ..Default::default()
        };
        let flow = build(&p, &config).unwrap();
        p.load("flow.", &t).unwrap();
        let x = as_type(&t["x"], dtype);
        let (z, log_det) = flow.forward(&x, None).unwrap();
        // FrEIA keeps its first rotation in single precision.
        close(&z, &t["z"], bound, "z");
        close(&log_det, &t["logdet"], bound, "log-determinant");
        close(&flow.inverse(&x, None).unwrap().0, &t["inverse"], bound, "inverse");
    }
}

#[test]
fn fastflow() {
    let t = load("fastflow");
    let (images, dim, height, width) = t["x"].dims4().unwrap();
    let codes = t["condition"].dim(1).unwrap();
    // (B, C, H, W) to a row a position.
    let rows = |t: &Tensor| {
        let t = t.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap();
        let channels = t.dim(3).unwrap();
        t.reshape(((), channels)).unwrap()
    };
    // FrEIA's scale, offset and permutation carry the map's two axes, of length 1.
    let state: HashMap<String, Tensor> = t
        .iter()
        .map(|(name, t)| {
            let flat = match name.rsplit('.').next().unwrap_or_default() {
                "global_scale" | "global_offset" => t.reshape((1, dim)).unwrap(),
                "w_perm" | "w_perm_inv" => t.reshape((dim, dim)).unwrap(),
                _ => t.clone(),
            };
            (name.clone(), flat)
        })
        .collect();
    for (dtype, bound) in TYPES {
        let p = Parameters::new(0, dtype, &Device::Cpu);
        let config = FlowConfig {
            kind: "fastflow".into(),
            dim,
            blocks: 3,
            condition: codes,
            map: (height, width),
            ..Default::default()
        };
        let flow = build(&p, &config).unwrap();
        p.load("flow.", &state).unwrap();
        let x = as_type(&rows(&t["x"]), dtype);
        let code = as_type(&rows(&t["condition"]), dtype);
        let (z, log_det) = flow.forward(&x, Some(&code)).unwrap();
        close(&z, &rows(&t["z"]), bound, "z");
        let sums = log_det.reshape((images, height * width)).unwrap().sum(1).unwrap();
        close(&sums, &t["logdet"], bound, "log-determinant");
        let (back, _) = flow.inverse(&x, Some(&code)).unwrap();
        close(&back, &rows(&t["inverse"]), bound, "inverse");
    }
}
