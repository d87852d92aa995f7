//! Backbones by name.

use crate::efficientnet::{efficientnet, lite0, mobilenetv2};
use crate::resnet::Variant as Resnet;
use crate::scattering::Scattering;
use crate::{Backbone, BackboneError, WeightSource, WeightsFile, hub};
use std::path::PathBuf;

/// What a backbone is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneSpec {
    /// Name in the registry.
    pub kind: String,
    /// Weights file (safetensors, timm's names); `None`: from the hub.
    pub weights: Option<PathBuf>,
    /// Strides of the maps, ascending.
    pub taps: Vec<usize>,
}

impl Default for BackboneSpec {
    /// The paper's.
    fn default() -> Self {
        Self { kind: "tf_efficientnet_b6".into(), weights: None, taps: vec![16] }
    }
}

type Built = Result<Box<dyn Backbone>, BackboneError>;

enum Entry {
    /// A network with weights: repository on the hub, constructor.
    Network(&'static str, fn(&str, &[usize], &dyn WeightSource) -> Built),
    /// A fixed bank without.
    Bank(fn(&str, &[usize]) -> Built),
}

macro_rules! network {
    ($repository:literal, $variant:expr) => {
        Entry::Network($repository, |kind, taps, source| {
            Ok(Box::new($variant.build(kind, taps, source)?))
        })
    };
}

/// One line a backbone.
const REGISTRY: &[(&str, Entry)] = &[
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
    (
        "resnet18",
        network!(
            "timm/resnet18.a1_in1k",
            Resnet { repeats: [2, 2, 2], bottleneck: false, width: 1 }
        ),
    ),
    (
        "resnet34",
        network!(
            "timm/resnet34.a1_in1k",
            Resnet { repeats: [3, 4, 6], bottleneck: false, width: 1 }
        ),
    ),
    (
        "resnet50",
        network!(
            "timm/resnet50.a1_in1k",
            Resnet { repeats: [3, 4, 6], bottleneck: true, width: 1 }
        ),
    ),
    (
        "wide_resnet50_2",
        network!(
            "timm/wide_resnet50_2.racm_in1k",
            Resnet { repeats: [3, 4, 6], bottleneck: true, width: 2 }
        ),
    ),
    ("scattering", Entry::Bank(|kind, taps| Ok(Box::new(Scattering::new(kind, taps)?)))),
];

/// A line on each backbone: its name, and where its weights come from.
pub fn known() -> impl Iterator<Item = String> {
    REGISTRY.iter().map(|(name, entry)| match entry {
        Entry::Network(repository, _) => format!("{name:<24} weights: {repository} on the hub"),
        Entry::Bank(_) => format!("{name:<24} a fixed filter bank, no weights"),
    })
}

fn find(kind: &str) -> Result<&'static Entry, BackboneError> {
    REGISTRY.iter().find(|(name, _)| *name == kind).map(|(_, entry)| entry).ok_or_else(|| {
        let known = REGISTRY.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
        BackboneError::Kind { kind: kind.into(), known }
    })
}

/// The backbone of `spec`, with weights from its file or the hub.
///
/// # Errors
/// An unknown name or stride; weights that cannot be had or do not fit.
pub fn build(spec: &BackboneSpec) -> Built {
    match find(&spec.kind)? {
        Entry::Bank(constructor) => constructor(&spec.kind, &spec.taps),
        Entry::Network(repository, constructor) => {
            let path = match &spec.weights {
                Some(path) => path.clone(),
                None => hub::fetch(&spec.kind, repository)?,
            };
            constructor(&spec.kind, &spec.taps, &WeightsFile::open(&path)?)
        }
    }
}

/// The network `kind` with weights from `source`.
///
/// # Errors
/// As [`build`]; a bank, which takes no weights.
pub fn build_from(kind: &str, taps: &[usize], source: &dyn WeightSource) -> Built {
    match find(kind)? {
        Entry::Network(_, constructor) => constructor(kind, taps, source),
        Entry::Bank(_) => Err(BackboneError::Setting {
            key: "backbone.weights",
            value: kind.into(),
            why: "a filter bank takes no weights",
        }),
    }
}
