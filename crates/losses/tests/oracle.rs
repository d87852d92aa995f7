//! Every term and every gradient of both stages against the oracle's.

use candle_core::{DType, Device, Tensor, Var};
use hgad_flows::{Bijection, CouplingConfig, coupling_chain, position_encoding};
use hgad_losses::{Latents, LossConfig, LossError, LossTerm, Needs, StagedLoss, TermEntry, Weight};
use hgad_parameters::Parameters;
use hgad_priors::{PriorConfig, build};
use std::collections::HashMap;

fn load(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(format!("tests/fixtures/{name}.safetensors"), &Device::Cpu)
        .unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0f64, |m, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0f64, |m, (a, b)| m.max((a - b).abs())) / scale
}

fn check(stage: usize, dtype: DType) {
    let (f, t) = (load("flow_for_losses"), load("losses"));
    let flow_parameters = Parameters::new(0, dtype, &Device::Cpu);
    let config = CouplingConfig { condition: 16, ..Default::default() };
    let flow = coupling_chain(&flow_parameters, 48, 3, &config).unwrap();
    flow_parameters.load("flow.", &f).unwrap();
    let prior_parameters = Parameters::new(0, dtype, &Device::Cpu);
    let config = PriorConfig {
        kind: "hierarchical".into(),
        classes: 5,
        dim: 48,
        centers: 4,
        ..Default::default()
    };
    let prior = build(&prior_parameters, &config).unwrap();
    prior_parameters.load("prior.", &t).unwrap();

    let condition = position_encoding(16, 4, 6, dtype, &Device::Cpu).unwrap();
    let (z, log_det) = flow.forward(&f["x"].to_dtype(dtype).unwrap(), Some(&condition)).unwrap();
    // Leaves of their own, to read the gradients of z and logdet; the chain goes on below.
    let leaf_z = Var::from_tensor(&z.detach()).unwrap();
    let leaf_det = Var::from_tensor(&log_det.detach()).unwrap();
    let labels: Vec<u32> = values(&t["y"]).iter().map(|y| *y as u32).collect();
    let loss = StagedLoss::new(&LossConfig::default(), prior.as_ref()).unwrap();
    // In the fixture every vector has a class of its own: 24 images of one position.
    let z3 = leaf_z.as_tensor().reshape((24, 1, 48)).unwrap();
    let det = leaf_det.as_tensor().reshape((24, 1)).unwrap();
    let latents = Latents::new(&z3, &det, &labels, prior.as_ref()).unwrap();
    let value = loss.value(&latents, if stage == 1 { 0 } else { 2 }).unwrap();
    assert_eq!(value.terms.len(), if stage == 1 { 3 } else { 5 });
    for (name, term) in &value.terms {
        let r = relative(term, &t[&format!("stage{stage}.{name}")]);
        assert!(r < 1e-5, "stage {stage} {name} {dtype:?}: {r}");
    }
    assert!(relative(&value.total, &t[&format!("stage{stage}.total")]) < 1e-5);

    let grads = value.total.backward().unwrap();
    let close = |name: String, got: &Tensor| {
        let r = relative(got, &t[&format!("stage{stage}.grad.{name}")]);
        assert!(r < 1e-4, "stage {stage} gradient of {name} {dtype:?}: {r}");
    };
    let (gz, gdet) = (grads.get(&leaf_z).unwrap(), grads.get(&leaf_det).unwrap());
    close("z".into(), gz);
    close("logdet".into(), gdet);
    for (name, var) in prior_parameters.trainable_vars() {
        if t.contains_key(&format!("stage{stage}.grad.prior.{name}")) {
            close(format!("prior.{name}"), grads.get(&var).unwrap());
        } else {
            assert!(grads.get(&var).is_none(), "{name} has a gradient in stage {stage}");
        }
    }
    // Through the flow: the vector-Jacobian product with the gradients found.
    let pulled = ((z * gz).unwrap().sum_all().unwrap()
        + (log_det * gdet).unwrap().sum_all().unwrap())
    .unwrap();
    let grads = pulled.backward().unwrap();
    for (name, var) in flow_parameters.trainable_vars() {
        close(format!("flow.{name}"), grads.get(&var).unwrap());
    }
}

#[test]
fn terms_and_gradients_of_both_stages() {
    for dtype in [DType::F32, DType::F64] {
        check(1, dtype);
        check(2, dtype);
    }
}

#[test]
fn terms_that_a_prior_cannot_serve_are_left_out() {
    let p = Parameters::new(0, DType::F32, &Device::Cpu);
    for (kind, first, later) in [
        ("single", vec!["inter"], vec!["inter"]),
        (
            "mixture",
            vec!["inter", "mutual_information", "entropy"],
            vec!["inter", "mutual_information", "entropy"],
        ),
        (
            "hierarchical",
            vec!["inter", "mutual_information", "entropy"],
            vec!["inter", "mutual_information", "entropy", "intra", "likelihood"],
        ),
    ] {
        let config =
            PriorConfig { kind: kind.into(), classes: 2, dim: 4, centers: 3, ..Default::default() };
        let prior = build(&p.scope(kind), &config).unwrap();
        let loss = StagedLoss::new(&LossConfig::default(), prior.as_ref()).unwrap();
        assert_eq!(loss.active(1).collect::<Vec<_>>(), first);
        assert_eq!(loss.active(2).collect::<Vec<_>>(), later);
    }
}

#[test]
fn a_loss_of_nothing_is_refused() {
    let p = Parameters::new(0, DType::F32, &Device::Cpu);
    let config =
        PriorConfig { kind: "single".into(), classes: 2, dim: 4, centers: 3, ..Default::default() };
    let prior = build(&p, &config).unwrap();
    let config = LossConfig { inter: 0.0.into(), ..Default::default() };
    assert!(StagedLoss::new(&config, prior.as_ref()).is_err());
    let config = LossConfig { inter: f64::NAN.into(), ..Default::default() };
    assert!(StagedLoss::new(&config, prior.as_ref()).is_err());
}

#[test]
fn weights_go_by_stage() {
    let p = Parameters::new(0, DType::F64, &Device::Cpu);
    let config = PriorConfig { classes: 2, dim: 4, centers: 3, ..Default::default() };
    let prior = build(&p, &config).unwrap();
    let z: Vec<f64> = (0..24).map(|i| (i as f64 * 0.7).sin()).collect();
    let z = Tensor::from_vec(z, (2, 3, 4), &Device::Cpu).unwrap();
    let log_det = Tensor::zeros((2, 3), DType::F64, &Device::Cpu).unwrap();
    let latents = Latents::new(&z, &log_det, &[0, 1], prior.as_ref()).unwrap();
    let total = |config: &LossConfig, epoch| {
        let value =
            StagedLoss::new(config, prior.as_ref()).unwrap().value(&latents, epoch).unwrap();
        let terms: std::collections::HashMap<_, _> =
            value.terms.iter().map(|(n, t)| (*n, t.to_scalar::<f64>().unwrap())).collect();
        (value.total.to_scalar::<f64>().unwrap(), terms)
    };
    let config = LossConfig {
        inter: Weight::Each([2.0, 0.0]),
        mutual_information: Weight::Each([0.0, 3.0]),
        entropy: 0.5.into(),
        intra: Weight::Each([4.0, 1.0]),
        likelihood: 0.0.into(),
        ..Default::default()
    };
    let (first, t) = total(&config, 1);
    assert_eq!(t.len(), 3, "{t:?}");
    assert!((first - (2.0 * t["inter"] + 0.5 * t["entropy"] + 4.0 * t["intra"])).abs() < 1e-12);
    let (second, t) = total(&config, 2);
    assert_eq!(t.len(), 3, "{t:?}");
    let expected = -3.0 * t["mutual_information"] + 0.5 * t["entropy"] + t["intra"];
    assert!((second - expected).abs() < 1e-12);
    // One stage: everything from the first epoch on.
    let config = LossConfig { second_stage: 0, ..Default::default() };
    assert_eq!(total(&config, 0).1.len(), 5);
    // A stage of nothing is refused.
    let nothing = LossConfig {
        inter: Weight::Each([1.0, 0.0]),
        mutual_information: 0.0.into(),
        entropy: 0.0.into(),
        intra: 0.0.into(),
        likelihood: 0.0.into(),
        ..Default::default()
    };
    assert!(StagedLoss::new(&nothing, prior.as_ref()).is_err());
}

#[test]
fn another_crate_brings_a_term() {
    struct Energy;
    impl LossTerm for Energy {
        fn name(&self) -> &'static str {
            "energy"
        }
        fn needs(&self) -> Needs {
            Needs::Density
        }
        fn value(&self, latents: &Latents) -> Result<Tensor, LossError> {
            Ok(latents.log_det().sqr()?.mean_all()?)
        }
    }
    hgad_losses::register("energy", TermEntry { make: |_| Box::new(Energy), second_alone: true })
        .unwrap();
    let p = Parameters::new(0, DType::F32, &Device::Cpu);
    let config = PriorConfig { classes: 2, dim: 4, centers: 3, ..Default::default() };
    let prior = build(&p, &config).unwrap();
    let more = vec![("energy".to_string(), 0.1.into())];
    let config = LossConfig { more, ..Default::default() };
    let loss = StagedLoss::new(&config, prior.as_ref()).unwrap();
    assert!(!loss.active(1).any(|n| n == "energy") && loss.active(2).any(|n| n == "energy"));
    let more = vec![("enargy".to_string(), 0.1.into())];
    let config = LossConfig { more, ..Default::default() };
    let Err(e) = StagedLoss::new(&config, prior.as_ref()) else { panic!("no such term") };
    assert!(e.to_string().contains("enargy") && e.to_string().contains("energy"), "{e}");
}
