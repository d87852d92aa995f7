//! Backbones by name.

use crate::efficientnet::{efficientnet, lite0, mobilenetv2};
use crate::kept::{Keeping, KeptWeights};
use crate::resnet::resnet;
use crate::scattering::Scattering;
use crate::transformer::{PATCH, chosen, dinov2};
use crate::{Backbone, BackboneError, WeightSource, WeightsFile, hub};
use hgad_registry::{Options, Registry};
use std::path::PathBuf;

/// What a backbone is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneSpec {
    /// Name in the registry.
    pub kind: String,
    /// Weights file (safetensors, timm's names); `None`: from the hub.
    pub weights: Option<PathBuf>,
    /// Strides of the maps; they come in ascending order. A transformer has one stride: it takes
    /// the default here, or its own.
    pub taps: Vec<usize>,
    /// Blocks of a transformer whose outputs are the maps, from 0, as timm's `out_indices`; they
    /// come in ascending order. Empty: the last one, and for everything that is no transformer.
    pub blocks: Vec<usize>,
    /// Whether the hub may be asked for weights that are not in its cache.
    pub download: bool,
    /// What only a backbone of another crate knows.
    pub options: Options,
}

/// The paper's stride.
const DEFAULT_TAPS: [usize; 1] = [16];

impl Default for BackboneSpec {
    /// The paper's.
    fn default() -> Self {
        Self {
            kind: "tf_efficientnet_b6".into(),
            weights: None,
            taps: DEFAULT_TAPS.to_vec(),
            blocks: vec![],
            download: true,
            options: Options::default(),
        }
    }
}

type Built = Result<Box<dyn Backbone>, BackboneError>;

#[derive(Clone, Copy)]
enum Entry {
    /// A network with weights: repository on the hub, constructor.
    Network(&'static str, fn(&str, &[usize], &dyn WeightSource) -> Built),
    /// A transformer with weights: repository on the hub, constructor from blocks.
    Transformer(&'static str, fn(&str, &[usize], &dyn WeightSource) -> Built),
    /// A fixed bank without.
    Bank(fn(&str, &[usize]) -> Built),
    /// One of another crate.
    Added(Constructor),
}

macro_rules! network {
    ($repository:literal, $variant:expr) => {
        Entry::Network($repository, |kind, taps, source| {
            Ok(Box::new($variant.build(kind, taps, source)?))
        })
    };
}

macro_rules! transformer {
    ($repository:literal, $variant:expr) => {
        Entry::Transformer($repository, |kind, blocks, source| {
            Ok(Box::new($variant.build(kind, blocks, source)?))
        })
    };
}

/// One line a backbone.
static REGISTRY: Registry<Entry> = Registry::new(&[
    ("tf_efficientnet_b0", network!("timm/tf_efficientnet_b0.ns_jft_in1k", efficientnet(0))),
    ("tf_efficientnet_b1", network!("timm/tf_efficientnet_b1.ns_jft_in1k", efficientnet(1))),
    ("tf_efficientnet_b2", network!("timm/tf_efficientnet_b2.ns_jft_in1k", efficientnet(2))),
    ("tf_efficientnet_b3", network!("timm/tf_efficientnet_b3.ns_jft_in1k", efficientnet(3))),
    ("tf_efficientnet_b4", network!("timm/tf_efficientnet_b4.ns_jft_in1k", efficientnet(4))),
    ("tf_efficientnet_b5", network!("timm/tf_efficientnet_b5.ns_jft_in1k", efficientnet(5))),
    ("tf_efficientnet_b6", network!("timm/tf_efficientnet_b6.ns_jft_in1k", efficientnet(6))),
    ("tf_efficientnet_b7", network!("timm/tf_efficientnet_b7.ns_jft_in1k", efficientnet(7))),
    ("tf_efficientnet_lite0", network!("timm/tf_efficientnet_lite0.in1k", lite0())),
    ("mobilenetv2_100", network!("timm/mobilenetv2_100.ra_in1k", mobilenetv2())),
    ("resnet18", network!("timm/resnet18.a1_in1k", resnet([2, 2, 2]))),
    ("resnet34", network!("timm/resnet34.a1_in1k", resnet([3, 4, 6]))),
    ("resnet50", network!("timm/resnet50.a1_in1k", resnet([3, 4, 6]).bottleneck(1))),
    (
        "wide_resnet50_2",
        network!("timm/wide_resnet50_2.racm_in1k", resnet([3, 4, 6]).bottleneck(2)),
    ),
    (
        "vit_small_patch14_dinov2",
        transformer!("timm/vit_small_patch14_dinov2.lvd142m", dinov2(384)),
    ),
    ("vit_base_patch14_dinov2", transformer!("timm/vit_base_patch14_dinov2.lvd142m", dinov2(768))),
    ("scattering", Entry::Bank(|kind, taps| Ok(Box::new(Scattering::new(kind, taps)?)))),
]);

/// Makes a backbone that another crate brings.
pub type Constructor = fn(&BackboneSpec) -> Built;

/// Adds a backbone of another crate, for [`build`] to find from then on in this process.
///
/// # Errors
/// A name that is taken.
pub fn register(name: &str, constructor: Constructor) -> Result<(), BackboneError> {
    Ok(REGISTRY.register(name, Entry::Added(constructor))?)
}

/// A line on each backbone: its name, and where its weights come from.
pub fn known() -> Vec<String> {
    let line = |(name, entry): (String, Entry)| match entry {
        Entry::Network(repository, _) | Entry::Transformer(repository, _) => {
            format!("{name:<24} weights: {repository} on the hub")
        }
        Entry::Bank(_) => format!("{name:<24} a fixed filter bank, no weights"),
        Entry::Added(_) => format!("{name:<24} registered by the program"),
    };
    REGISTRY.all().into_iter().map(line).collect()
}

/// The backbones whose weights are in the hub's cache, with the file.
pub fn cached_weights() -> Vec<(String, PathBuf)> {
    let of = |(name, entry): (String, Entry)| match entry {
        Entry::Network(repository, _) | Entry::Transformer(repository, _) => {
            Some((name, hub::cached(repository)?))
        }
        Entry::Bank(_) | Entry::Added(_) => None,
    };
    REGISTRY.all().into_iter().filter_map(of).collect()
}

fn find(kind: &str) -> Result<Entry, BackboneError> {
    REGISTRY.get(kind).ok_or_else(|| BackboneError::Kind {
        kind: kind.into(),
        known: REGISTRY.names().join(", "),
    })
}

/// The backbone of `spec`, with weights from its file or the hub.
///
/// # Errors
/// An unknown name, stride or block; weights that cannot be had or do not fit.
pub fn build(spec: &BackboneSpec) -> Built {
    check(spec)?;
    match find(&spec.kind)? {
        Entry::Added(constructor) => constructor(spec),
        Entry::Bank(_) if spec.weights.is_some() => Err(no_weights(&spec.kind)),
        Entry::Bank(constructor) => constructor(&spec.kind, &spec.taps),
        Entry::Network(repository, _) | Entry::Transformer(repository, _) => {
            build_with(spec, &weights_file(spec, repository)?)
        }
    }
}

/// The network of `spec` with weights from `source`, whatever `spec` says of them.
///
/// # Errors
/// As [`build`]; one that takes no weights.
pub fn build_with(spec: &BackboneSpec, source: &dyn WeightSource) -> Built {
    check(spec)?;
    match find(&spec.kind)? {
        Entry::Network(_, constructor) => constructor(&spec.kind, &spec.taps, source),
        Entry::Transformer(_, constructor) => constructor(&spec.kind, &spec.blocks, source),
        Entry::Bank(_) | Entry::Added(_) => Err(no_weights(&spec.kind)),
    }
}

/// The file of `spec`, or the hub's.
fn weights_file(spec: &BackboneSpec, repository: &str) -> Result<WeightsFile, BackboneError> {
    let path = match &spec.weights {
        Some(path) => path.clone(),
        None => hub::fetch(&spec.kind, repository, spec.download)?,
    };
    WeightsFile::open(&path, &spec.kind)
}

/// The weights that the network of `spec` is made of, each tensor that it asks for and no other, for
/// [`build_with`] to make it of again; with the network's fingerprint. `None` for what has no weights
/// of its own: a filter bank, or a backbone that another crate registered.
///
/// # Errors
/// As [`build`].
pub fn keep_weights(spec: &BackboneSpec) -> Result<Option<(KeptWeights, String)>, BackboneError> {
    let (Entry::Network(repository, _) | Entry::Transformer(repository, _)) = find(&spec.kind)?
    else {
        return Ok(None);
    };
    let file = weights_file(spec, repository)?;
    let keeping = Keeping::new(&file);
    let fingerprint = build_with(spec, &keeping)?.fingerprint();
    Ok(Some((keeping.finish(&spec.kind), fingerprint)))
}

/// The network `kind` with weights from `source`.
///
/// # Errors
/// As [`build_with`].
pub fn build_from(kind: &str, taps: &[usize], source: &dyn WeightSource) -> Built {
    let spec = BackboneSpec { kind: kind.into(), taps: taps.to_vec(), ..Default::default() };
    build_with(&spec, source)
}

/// Refuses what only a backbone of another family takes; one of another crate sees to it itself.
fn check(spec: &BackboneSpec) -> Result<(), BackboneError> {
    let entry = find(&spec.kind)?;
    if matches!(entry, Entry::Added(_)) {
        return Ok(());
    }
    spec.options.only(&spec.kind, &[])?;
    if matches!(entry, Entry::Transformer(..)) {
        if spec.taps != DEFAULT_TAPS && spec.taps != [PATCH] {
            let why = "a transformer has one stride, 14; leave the key out, and choose its maps by backbone.blocks";
            let value = format!("{:?} for {}", spec.taps, spec.kind);
            return Err(BackboneError::Setting { key: "backbone.taps", value, why });
        }
        return chosen(&spec.kind, &spec.blocks).map(drop);
    }
    if !spec.blocks.is_empty() {
        let why = "only a vision transformer has blocks to take maps from; leave the key out, and choose maps by their strides, backbone.taps";
        let value = format!("{:?} for {}", spec.blocks, spec.kind);
        return Err(BackboneError::Setting { key: "backbone.blocks", value, why });
    }
    Ok(())
}

fn no_weights(kind: &str) -> BackboneError {
    let why = "a filter bank takes no weights; leave backbone.weights empty";
    BackboneError::Setting { key: "backbone.kind", value: kind.into(), why }
}
