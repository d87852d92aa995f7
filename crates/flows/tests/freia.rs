//! Against the numbers of FrEIA 0.2 (fixtures made with PyTorch).

use candle_core::{DType, Device, Tensor};
use hgad_flows::{Bijection, CouplingChain, CouplingConfig, coupling_chain};
use hgad_parameters::Parameters;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn load(path: impl AsRef<Path>) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn flow(t: &HashMap<String, Tensor>, blocks: usize, dtype: DType) -> (CouplingChain, Parameters) {
    let condition = t.get("condition").map_or(0, |c| c.dim(1).unwrap());
    let parameters = Parameters::new(0, dtype, &Device::Cpu);
    let config = CouplingConfig { condition, ..Default::default() };
    let chain = coupling_chain(&parameters, t["x"].dim(1).unwrap(), blocks, &config).unwrap();
    parameters.load("flow.", t).unwrap();
    (chain, parameters)
}

/// Largest difference over largest value.
fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let flat = |t: &Tensor| -> Vec<f64> {
        t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let (a, b) = (flat(a), flat(b));
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0f64, |m, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0f64, |m, (a, b)| m.max((a - b).abs())) / scale
}

fn check(t: &HashMap<String, Tensor>, blocks: usize) {
    // The fused path (f32) and the composed one (f64).
    for dtype in [DType::F32, DType::F64] {
        let (chain, _) = flow(t, blocks, dtype);
        let x = t["x"].to_dtype(dtype).unwrap();
        let c = t.get("condition").map(|c| c.to_dtype(dtype).unwrap());
        let (z, log_det) = chain.forward(&x, c.as_ref()).unwrap();
        assert!(relative(&z, &t["z"]) < 1e-5, "z {dtype:?}: {}", relative(&z, &t["z"]));
        assert!(relative(&log_det, &t["logdet"]) < 1e-5, "logdet {dtype:?}");
        let (back, back_det) = chain.inverse(&t["z"].to_dtype(dtype).unwrap(), c.as_ref()).unwrap();
        assert!(relative(&back, &t["inverse"]) < 1e-5, "{}", relative(&back, &t["inverse"]));
        assert!(relative(&back_det.neg().unwrap(), &t["logdet"]) < 1e-5);
    }
}

#[test]
fn conditional_flow() {
    check(&load("tests/fixtures/flow_conditional.safetensors"), 3);
}

#[test]
fn unconditional_flow_of_odd_dimension() {
    check(&load("tests/fixtures/flow_unconditional_odd.safetensors"), 2);
}

#[test]
fn block_at_full_size() {
    let assets = std::env::var("HGAD_ASSETS")
        .map(PathBuf::from)
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let file = assets.join("fixtures/flow_full_block.safetensors");
    if !file.exists() {
        println!("skipped: {} is not there (HGAD_ASSETS)", file.display());
        return;
    }
    check(&load(file), 1);
}

#[test]
fn starting_weights_are_freias() {
    let p = Parameters::new(7, DType::F64, &Device::Cpu);
    let config = CouplingConfig { condition: 8, ..Default::default() };
    let chain = coupling_chain(&p, 9, 2, &config).unwrap();
    let state: HashMap<_, _> = p.state().into_iter().collect();
    let w1 = &state["module_list.1.subnet.0.weight"];
    assert_eq!(w1.dims(), [26, 13]);
    let bound = 1.0 / 13f64.sqrt();
    let largest = w1.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
    assert!(largest <= bound && largest > 0.9 * bound);
    assert_eq!(
        state["module_list.0.global_offset"].sum_all().unwrap().to_scalar::<f64>().unwrap(),
        0.0
    );
    // g = 0.1 softplus_0.5(raw) = 0.2 ln(1 + e^(raw / 2)) = 1.
    let raw = state["module_list.0.global_scale"].flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert!(raw.iter().all(|r| (0.2 * (1.0 + (r / 2.0).exp()).ln() - 1.0).abs() < 1e-12));
    // A rotation: R R^T = I and w_perm_inv = R^T.
    let r = &state["module_list.0.w_perm"];
    let eye = Tensor::eye(9, DType::F64, &Device::Cpu).unwrap();
    assert!(relative(&r.matmul(&state["module_list.0.w_perm_inv"]).unwrap(), &eye) < 1e-12);
    assert_eq!(chain.condition_dim(), 8);
}
