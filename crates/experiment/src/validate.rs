//! Settings that cannot be run, refused before anything starts.

use crate::config::Config;
use crate::device;
use crate::error::ExperimentError;

/// Checks values that types cannot.
///
/// # Errors
/// The first setting out of its range, by key.
pub fn validate(c: &Config) -> Result<(), ExperimentError> {
    let positive = [
        ("train.passes", c.train.passes),
        ("train.batch", c.train.batch),
        ("data.img_size", c.data.img_size),
        ("data.mask_size", c.data.mask_size),
        ("backbone.pyramid", c.backbone.pyramid),
        ("flow.blocks", c.flow.blocks),
        ("flow.hidden_factor", c.flow.hidden_factor),
        ("flow.reflections", c.flow.reflections),
    ];
    for (key, value) in positive {
        require(key, value > 0, value, "expected at least 1")?;
    }
    let condition = c.flow.condition;
    require(
        "flow.condition",
        condition.is_multiple_of(4),
        condition,
        "expected a multiple of 4, or 0",
    )?;
    let rates = [
        ("train.rate", c.train.rate),
        ("train.epsilon", c.train.epsilon),
        ("flow.clamp", c.flow.clamp),
        ("flow.tail_bound", c.flow.tail_bound),
    ];
    for (key, value) in rates {
        let good = value > 0.0 && value.is_finite();
        require(key, good, value, "expected a positive number")?;
    }
    for (key, value) in [("train.decay", c.train.decay), ("score.sigma", c.score.sigma)] {
        let good = value >= 0.0 && value.is_finite();
        require(key, good, value, "expected 0 or a positive number")?;
    }
    for beta in c.train.betas {
        require(
            "train.betas",
            (0.0..1.0).contains(&beta),
            beta,
            "expected numbers from 0 to below 1",
        )?;
    }
    one_of("eval.on", &c.eval.on, &["test", "pasted"])?;
    require("eval.copies", c.eval.copies > 0, c.eval.copies, "expected at least 1")?;
    let limit = c.eval.aupro_limit;
    require(
        "eval.aupro_limit",
        limit > 0.0 && limit <= 1.0,
        limit,
        "expected a rate above 0 and up to 1",
    )?;
    let share = c.calibration.share;
    require(
        "calibration.share",
        (0.0..=0.5).contains(&share),
        share,
        "expected a share from 0 (train on all) to 0.5",
    )?;
    let rates = [
        ("calibration.false_alarm_rate", c.calibration.false_alarm_rate),
        ("calibration.none_rate", c.calibration.none_rate),
    ];
    for (key, rate) in rates {
        require(
            key,
            rate > 0.0 && rate < 1.0,
            rate,
            "expected a rate between 0 and 1, such as 0.05",
        )?;
    }
    one_of("cache.dtype", &c.cache.dtype, &["f32", "f16"])?;
    let known = device::is_known(&c.device);
    require("device", known, &c.device, "expected cpu, cuda, metal, or one by number: cuda:1")?;
    one_of("train.matmul", &c.train.matmul, &["f32", "tf32"])?;
    one_of("flow.kind", &c.flow.kind, &hgad_flows::kinds())?;
    if !c.flow.permutation.is_empty() {
        one_of("flow.permutation", &c.flow.permutation, &hgad_flows::PERMUTATIONS)?;
    }
    one_of("flow.actnorm", &c.flow.actnorm, &hgad_flows::ACTNORM_STARTS)?;
    one_of("flow.affine", &c.flow.affine, &hgad_flows::ACTNORM_STARTS)?;
    require(
        "flow.affine",
        c.flow.affine == "identity" || ["coupling", "fastflow"].contains(&c.flow.kind.as_str()),
        &c.flow.affine,
        "only coupling and fastflow have a global affine map; see flow.actnorm for glow and spline",
    )?;
    let bins = c.flow.bins;
    require("flow.bins", (2..=256).contains(&bins), bins, "expected 2 to 256")?;
    one_of("prior.kind", &c.prior.kind, &hgad_priors::kinds())?;
    one_of("prior.covariance", &c.prior.covariance, &hgad_priors::COVARIANCES)?;
    one_of("prior.weights", &c.prior.weights, &["learned", "uniform"])?;
    let centers = c.prior.centers;
    let enough = c.prior.kind != "hierarchical" || centers >= 2;
    require(
        "prior.centers",
        enough,
        centers,
        "expected at least 2; `mixture` is the prior with one",
    )?;
    if !c.score.rule.is_empty() {
        one_of("score.rule", &c.score.rule, &hgad_scores::kinds())?;
    }
    one_of("features.scale", &c.features.scale, &crate::scaling::SCALES)?;
    one_of("prior.start", &c.prior.start, &["paper", "clusters", "coreset"])?;
    one_of("prior.settle", &c.prior.settle, &["no", "clusters", "coreset"])?;
    let from_data = c.prior.start != "paper";
    // What can start from data is known before training; that it cannot must not be told after it.
    require(
        "prior.settle",
        c.prior.settle == "no" || from_data,
        &c.prior.settle,
        "only what started from data is placed anew; use it with prior.start = \"clusters\" or \"coreset\"",
    )?;
    let memory = c.prior.memory;
    require(
        "prior.memory",
        memory == 0 || c.prior.kind != "memory",
        memory,
        "the prior is a memory already; prior.centers says how many latents it keeps",
    )?;
    require(
        "prior.memory",
        memory == 0 || c.score.rule == "standardized",
        memory,
        "only the score rule `standardized` looks at what is remembered; set score.rule = \"standardized\", or 0 here",
    )?;
    require(
        "prior.sample",
        c.prior.sample > 0,
        c.prior.sample,
        "expected at least 1; some thousands are usual",
    )?;
    require(
        "prior.memory_sample",
        c.prior.memory_sample > 0,
        c.prior.memory_sample,
        "expected at least 1; a hundred thousand are usual",
    )?;
    require(
        "train.epochs",
        c.train.epochs > 0 || from_data,
        c.train.epochs,
        "expected at least 1; without training a prior must start from data, prior.start = \"clusters\" or \"coreset\"",
    )?;
    require(
        "prior.start",
        c.prior.kind != "memory" || from_data,
        &c.prior.start,
        "a memory is filled from data; use \"coreset\"",
    )?;
    require(
        "prior.start",
        c.prior.kind != "single" || !from_data,
        &c.prior.start,
        "one Gaussian at 0 starts nowhere else; use \"paper\"",
    )?;
    require(
        "prior.covariance",
        c.prior.covariance != "whitened" || from_data,
        &c.prior.covariance,
        "the covariances of classes come from data; use it with prior.start = \"clusters\" or \"coreset\"",
    )?;
    let top = (0.0..=1.0).contains(&c.score.top);
    require("score.top", top, c.score.top, "expected a share from 0 to 1")?;
    let soft = c.score.soft;
    require(
        "score.soft",
        soft >= 0.0 && soft.is_finite(),
        soft,
        "expected 0 or a positive number",
    )?;
    require(
        "score.soft",
        soft == 0.0 || c.score.top == 0.0,
        soft,
        "a soft maximum is over all values of a map; set score.top = 0, or 0 here",
    )?;
    let temperatures = c.score.temperatures;
    let text = format!("{temperatures:?}");
    let good = temperatures.iter().all(|t| *t > 0.0 && t.is_finite());
    require("score.temperatures", good, &text, "expected two positive numbers")?;
    require(
        "score.temperatures",
        temperatures == [1.0; 2] || c.score.rule != "standardized",
        &text,
        "the score rule `standardized` takes no exponentials of them; set score.rule = \"product\", or [1, 1] here",
    )?;
    let coarser = c.score.coarser;
    let good = coarser > 0.0 && coarser.is_finite();
    require("score.coarser", good, coarser, "expected a positive number")?;
    let relative = c.score.relative;
    let good = (0.0..=1.0).contains(&relative);
    require("score.relative", good, relative, "expected a share from 0 to 1")?;
    require(
        "score.relative",
        relative == 0.0 || c.score.rule == "standardized",
        relative,
        "only the score rule `standardized` knows what is usual; set score.rule = \"standardized\", or 0 here",
    )?;
    let nearness = c.score.nearness;
    let good = nearness >= 0.0 && nearness.is_finite();
    require("score.nearness", good, nearness, "expected a number from 0 up")?;
    require(
        "score.nearness",
        nearness == 1.0 || c.score.rule == "standardized",
        nearness,
        "only the score rule `standardized` weighs it; set score.rule = \"standardized\", or 1 here",
    )?;
    let average = (0.0..1.0).contains(&c.train.average);
    require("train.average", average, c.train.average, "expected a share from 0 up, below 1")?;
    let share = c.train.positions > 0.0 && c.train.positions <= 1.0;
    require("train.positions", share, c.train.positions, "expected a share above 0, up to 1")?;
    let hard = c.train.hard;
    require("train.hard", (0.0..=1.0).contains(&hard), hard, "expected a share from 0 to 1")?;
    require(
        "train.hard",
        hard == 0.0 || c.train.positions < 1.0,
        hard,
        "nothing is chosen where a step looks at all positions; set train.positions below 1, 0.25 say, or 0 here",
    )?;
    require(
        "train.hard",
        hard == 0.0 || condition == 0,
        hard,
        "positions chosen by image have no common position code; set flow.condition = 0, or 0 here",
    )?;
    one_of("score.class", &c.score.class, &["given", "inferred"])?;
    let terms = hgad_losses::kinds();
    for name in c.loss.more.keys() {
        one_of("loss.more", name, &terms)?;
    }
    let taps = !c.backbone.taps.is_empty();
    require("backbone.taps", taps, "empty", "expected at least one stride, such as [16]")
}

fn require(
    key: &'static str,
    good: bool,
    value: impl std::fmt::Display,
    why: &str,
) -> Result<(), ExperimentError> {
    if good {
        return Ok(());
    }
    Err(ExperimentError::Setting { key, value: value.to_string(), reason: why.into() })
}

fn one_of(
    key: &'static str,
    value: &str,
    known: &[impl AsRef<str>],
) -> Result<(), ExperimentError> {
    let names: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    require(key, names.contains(&value), value, &format!("expected one of {}", names.join(", ")))
}
