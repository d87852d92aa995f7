//! What an experiment is made of: every setting, with its default.

use candle_core::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Table;

/// An experiment. Every key has a default; unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the experiment; its runs are in `run.dir/NAME`.
    pub name: String,
    /// One line for `hgad experiments`.
    pub about: String,
    /// Drives every draw: starts, order of the data, synthetic images.
    pub seed: u64,
    /// `cpu`, `cuda`, `metal`, or one of several by number, `cuda:1`: where flow and prior are
    /// trained. The last two need a build with that feature.
    pub device: String,
    /// Where results go.
    pub run: RunConfig,
    /// What is trained and tested on.
    pub data: DataConfig,
    /// The frozen feature extractor.
    pub backbone: BackboneConfig,
    /// What is made of its maps.
    pub features: FeaturesConfig,
    /// Features kept on disk.
    pub cache: CacheConfig,
    /// The normalizing flow of each level.
    pub flow: FlowConfig,
    /// The density on the latent space.
    pub prior: PriorConfig,
    /// Weights of the loss terms.
    pub loss: LossConfig,
    /// Optimization.
    pub train: TrainConfig,
    /// From latents to anomaly maps.
    pub score: ScoreConfig,
    /// Normal images set aside to calibrate the scores of the deployed model.
    pub calibration: CalibrationConfig,
    /// When and how the test set is evaluated.
    pub eval: EvalConfig,
    /// Pictures.
    pub maps: MapsConfig,
    /// The page of the run.
    pub report: ReportConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "experiment".into(),
            about: String::new(),
            seed: 0,
            device: "cpu".into(),
            run: RunConfig::default(),
            data: DataConfig::default(),
            backbone: BackboneConfig::default(),
            features: FeaturesConfig::default(),
            cache: CacheConfig::default(),
            flow: FlowConfig::default(),
            prior: PriorConfig::default(),
            loss: LossConfig::default(),
            train: TrainConfig::default(),
            score: ScoreConfig::default(),
            calibration: CalibrationConfig::default(),
            eval: EvalConfig::default(),
            maps: MapsConfig::default(),
            report: ReportConfig::default(),
        }
    }
}

impl Config {
    /// Whether two runs with these settings are the same one: all is equal that a run depends on.
    pub(crate) fn same_run(&self, other: &Self) -> bool {
        let key =
            |c: &Self| Self { run: RunConfig { tensorboard: false, ..c.run.clone() }, ..c.clone() };
        key(self) == key(other)
    }
}

/// `[run]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Folder of all runs; a run is `run.dir/NAME/ID`.
    pub dir: PathBuf,
    /// Whether the model's file holds the backbone's weights, so that it is all that predicting
    /// needs; else only their hash, and predicting asks for the weights file.
    pub backbone_weights: bool,
    /// Whether event files for TensorBoard are written beside `metrics.jsonl`.
    pub tensorboard: bool,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self { dir: "runs".into(), backbone_weights: true, tensorboard: false }
    }
}

/// `[data]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A data set that `hgad datasets list` knows, or the path of a descriptor file (.toml).
    pub set: String,
    /// Its folder, or the folder that holds it. Empty: the environment's HGAD_DATA, else `data`.
    pub root: PathBuf,
    /// Side of the square images in pixels: shorter side resized (Lanczos), then centre crop.
    pub img_size: usize,
    /// Side of masks and anomaly maps in pixels.
    pub mask_size: usize,
    /// Go on without images that cannot be read, instead of stopping before training.
    pub skip_unreadable: bool,
    /// Size of the synthetic set, where `set = "synthetic"`.
    pub synthetic: SyntheticConfig,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            set: "folder".into(),
            root: PathBuf::new(),
            img_size: 1024,
            mask_size: 256,
            skip_unreadable: false,
            synthetic: SyntheticConfig::default(),
        }
    }
}

/// `[data.synthetic]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Side of the images in pixels.
    pub size: usize,
    /// Normal training images a class.
    pub train: usize,
    /// Normal test images a class.
    pub test_good: usize,
    /// Anomalous test images a class.
    pub test_anomalous: usize,
    /// How hard the defects are to see, 0.2 to 5: 2 halves their contrast.
    pub difficulty: f64,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self { size: 256, train: 40, test_good: 12, test_anomalous: 24, difficulty: 1.0 }
    }
}

/// `[backbone]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackboneConfig {
    /// A name that `hgad backbones` lists.
    pub kind: String,
    /// Weights file (safetensors, timm's names). Empty: from the Hugging Face hub, cached.
    pub weights: PathBuf,
    /// Strides of the feature maps taken from one pass. A vision transformer has one stride: leave
    /// it out there.
    pub taps: Vec<usize>,
    /// Blocks of a vision transformer whose outputs are the feature maps, from 0: `[5, 8, 11]`.
    /// Empty: the last block, and for every other backbone.
    pub blocks: Vec<usize>,
    /// Levels of the image pyramid: the image at full size, half, a quarter, ...
    pub pyramid: usize,
    /// Settings of a backbone that another crate registered.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub options: Table,
}

impl Default for BackboneConfig {
    fn default() -> Self {
        Self {
            kind: "tf_efficientnet_b6".into(),
            weights: PathBuf::new(),
            taps: vec![16],
            blocks: vec![],
            pyramid: 3,
            options: Table::new(),
        }
    }
}

/// `[features]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeaturesConfig {
    /// Pixels that each image of the pyramid is continued by on each side, mirrored; maps are cut
    /// back, so that positions at the edge look like all others. A multiple of all strides.
    pub margin: usize,
    /// Positions a side over which features are averaged, odd; 1 for none (PatchCore: 3).
    pub neighbourhood: usize,
    /// Whether the maps of all of `backbone.taps` become one, channels side by side, on the grid of
    /// the coarsest; else each is a level of its own.
    pub join: bool,
    /// `none`; `standardize`, mean 0 and deviation 1 of each channel over the training images; or
    /// `whiten`, which also makes channels uncorrelated.
    pub scale: String,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self { margin: 0, neighbourhood: 1, join: false, scale: "none".into() }
    }
}

/// `[cache]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Folder. Empty: the environment's HGAD_CACHE, else `hgad/features` in the user's cache folder.
    pub dir: PathBuf,
    /// `f32`, or `f16` for half the size.
    pub dtype: String,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { dir: PathBuf::new(), dtype: "f32".into() }
    }
}

/// `[flow]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// `coupling` (the paper's), `nice`, `realnvp`, `glow`, `spline`, `fastflow`, `identity` (none),
    /// or one that another crate registered.
    pub kind: String,
    /// Coupling blocks in a row.
    pub blocks: usize,
    /// Channels of the position code the flow is conditioned on, a multiple of 4; 0 for none.
    pub condition: usize,
    /// Bound of an affine coupling's log-scale.
    pub clamp: f64,
    /// Width of a subnet's hidden layer in multiples of its input.
    pub hidden_factor: usize,
    /// What mixes the channels between blocks: `soft`, a fixed rotation; `hard`, a fixed permutation;
    /// `householder`, a rotation with learned reflections; `lu`, a learned matrix. Empty: what the
    /// kind has by itself, `soft` for coupling, `lu` for glow and spline, `hard` for the others.
    pub permutation: String,
    /// Learned reflections of a `householder` permutation.
    pub reflections: usize,
    /// Where the normalizations of glow and spline start: at `data`, the mean and deviation of the
    /// first batch, or as the `identity`.
    pub actnorm: String,
    /// Where the global affine map at the end of a block of coupling and fastflow starts: as the
    /// `identity`, the paper's, or at `data`, so that a first batch leaves each block with mean 0 and
    /// variance 1.
    pub affine: String,
    /// Bins of a spline, 2 to 256.
    pub bins: usize,
    /// A spline leaves values beyond this as they are.
    pub tail_bound: f64,
    /// Settings of a flow that another crate registered.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub options: Table,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            kind: "coupling".into(),
            blocks: 12,
            condition: 256,
            clamp: 1.9,
            hidden_factor: 2,
            permutation: String::new(),
            reflections: 8,
            actnorm: "data".into(),
            affine: "identity".into(),
            bins: 8,
            tail_bound: 3.0,
            options: Table::new(),
        }
    }
}

/// `[prior]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriorConfig {
    /// `single`, `mixture`, `hierarchical`, or `memory` (nearest neighbours, PatchCore's; it starts from
    /// data and is not trained).
    pub kind: String,
    /// Centres in a class, the main one included (hierarchical); vectors of a class (memory).
    pub centers: usize,
    /// Whether the main centres are trained; else they stay where they start.
    pub learned: bool,
    /// `identity`; `diagonal`, a learned variance a dimension of each Gaussian; or `whitened`, that on
    /// latents whitened by their class's own covariance, taken from data at the start (`start` other than `paper`).
    pub covariance: String,
    /// Whether the weights of classes and of the centres in a class are `learned` or `uniform`.
    pub weights: String,
    /// Where centres, deviations and weights start: as the `paper` has them, apart from each other
    /// whatever the data; at `clusters` (k-means) of each class's latents before training; or at a
    /// `coreset` of them, in which rare normal latents have a centre too.
    pub start: String,
    /// Whether centres, deviations and weights are placed anew on the latents of the trained flow, after the
    /// last step: `no`, or at `clusters` or a `coreset`, as at the start. The flow is what training was for then.
    pub settle: String,
    /// Latents of each class, on the average of classes, that a level's centres and covariances are taken from
    /// (`kind = "memory"`: its vectors); as many of each training image. Many centres want many.
    pub sample: usize,
    /// Latents of each class that a level keeps beside the density, a coreset of those of the trained flow; 0 for
    /// none. The score rule `standardized` adds the distance to the nearest: rare normal latents, for which a
    /// mixture has no centre, are near one that is kept. Which class an image is of is for the density to say.
    pub memory: usize,
    /// Latents of each class, on the average of classes, that `memory` is chosen from; as many of each training
    /// image. Rare ones are what it is for, so many more than for centres.
    pub memory_sample: usize,
    /// Settings of a prior that another crate registered.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub options: Table,
}

impl Default for PriorConfig {
    fn default() -> Self {
        Self {
            kind: "hierarchical".into(),
            centers: 10,
            learned: true,
            covariance: "identity".into(),
            weights: "learned".into(),
            start: "paper".into(),
            settle: "no".into(),
            sample: 16_000,
            memory: 0,
            memory_sample: 150_000,
            options: Table::new(),
        }
    }
}

/// `[loss]`: weights of the terms. A number is the weight in the stages in which the paper has the
/// term, a pair `[first, second]` the weight in each stage; 0 leaves a term out, and so does a
/// prior that cannot serve it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// λ1, of the likelihood under the inter-class mixture; both stages.
    pub inter: TermWeight,
    /// λ2, of the mutual information; both stages.
    pub mutual_information: TermWeight,
    /// Of the entropy of the class posterior; both stages.
    pub entropy: TermWeight,
    /// Of the likelihood under the class's own mixture; second stage.
    pub intra: TermWeight,
    /// Of the log-sigmoid of that likelihood; second stage.
    pub likelihood: TermWeight,
    /// Weights of terms that another crate registered, by name.
    pub more: BTreeMap<String, TermWeight>,
    /// Label smoothing of the mutual information.
    pub smoothing: f64,
    /// The epoch, counted from 0, with which the second stage begins; 0 makes it the only one.
    pub second_stage: usize,
}

/// The weight of a loss term: in the stages in which it counts by itself, or in each of the two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TermWeight {
    /// One number.
    Usual(f64),
    /// `[first, second]`.
    Each([f64; 2]),
}

impl Default for LossConfig {
    fn default() -> Self {
        let one = TermWeight::Usual(1.0);
        Self {
            inter: one,
            mutual_information: TermWeight::Usual(100.0),
            entropy: one,
            intra: one,
            likelihood: one,
            more: BTreeMap::new(),
            smoothing: 0.02,
            second_stage: 2,
        }
    }
}

/// `[train]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Epochs, the unit of the schedule; 0 trains nothing, for a prior that starts from data.
    pub epochs: usize,
    /// Passes over the data in an epoch.
    pub passes: usize,
    /// Images in a batch; a last partial batch is dropped.
    pub batch: usize,
    /// Share of each map's positions that a step looks at, a run of rows whose place is drawn anew for
    /// each step, the same in all images of a batch; 1 for all. Neighbours are alike: a part of them
    /// says nearly as much in less time.
    pub positions: f64,
    /// How many of these positions, as a share, are those that each image is least likely at as the model is
    /// now, and the rest drawn from all over it; 0 for a run of rows. It asks the flow for all positions first,
    /// and needs one that does not know where a vector was: `flow.condition = 0`, not fastflow.
    pub hard: f64,
    /// Learning rate.
    pub rate: f64,
    /// Share of the rate left after each third of the way down: the cosine ends at rate times decay³.
    pub rate_decay: f64,
    /// Epochs of linear warm-up from a tenth of the rate.
    pub warm_epochs: usize,
    /// Adam's decay rates of the moments.
    pub betas: [f64; 2],
    /// Adam's epsilon.
    pub epsilon: f64,
    /// L2 penalty on the flow's parameters, in the gradient; the prior's have none.
    pub decay: f64,
    /// Feature vectors that go through a level at once; bounds memory, changes no result beyond
    /// rounding. A flow over whole maps (fastflow) gets at least one map. 0 is what suits the device:
    /// 2048 on the CPU, whose caches they are to stay in, 32768 elsewhere.
    pub chunk: usize,
    /// Factors of the flow's matrix products on CUDA: `f32` takes them as they are, `tf32` rounds them to
    /// 10 bits of mantissa, which is faster there. Elsewhere both are the same.
    pub matmul: String,
    /// What each step keeps of an exponential moving average of the parameters, 0.999 say, which is then what is
    /// evaluated and saved in place of the last step's; 0 for none.
    pub average: f64,
    /// Seconds between checkpoints, which are written at the end of a pass.
    pub checkpoint_seconds: f64,
}

impl TrainConfig {
    /// Feature vectors that go through a level at once on `device`.
    pub fn chunk(&self, device: &Device) -> usize {
        match self.chunk {
            0 if device.is_cpu() => 2048,
            0 => 1 << 15,
            chunk => chunk,
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 25,
            passes: 8,
            batch: 8,
            positions: 1.0,
            hard: 0.0,
            rate: 2e-4,
            rate_decay: 0.1,
            warm_epochs: 2,
            betas: [0.95, 0.99],
            epsilon: 1e-8,
            decay: 1e-4,
            chunk: 0,
            matmul: "f32".into(),
            average: 0.0,
            checkpoint_seconds: 60.0,
        }
    }
}

/// `[score]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreConfig {
    /// `product` (the paper's) or `sum` of likelihood and entropy, `likelihood` or `entropy` alone, all relative to the
    /// best of the test set; `standardized`, likelihood in deviations of normal images, which needs no test set;
    /// empty: `product`, or `likelihood` under a prior without classes.
    pub rule: String,
    /// Whether the class of a test image is `given`, as the paper has it, or `inferred` from the
    /// model's own posterior. Maxima of a rule run over the test images of a class either way.
    pub class: String,
    /// Standard deviation of the Gaussian filter in pixels of the map.
    pub sigma: f64,
    /// Share of a map's values, the largest, whose mean is the score of the image; 0 for the largest
    /// value alone, as the paper has it.
    pub top: f64,
    /// Sharpness of a soft maximum over a map, `ln(mean exp(soft * m)) / soft`, as the score of the image in
    /// place of the mean of the largest values; 0 for that. It goes by the units of the map: under the
    /// `standardized` rule 1 to 3.
    pub soft: f64,
    /// What log-likelihood and negative entropy, in nats, are divided by before they are exponentials, under
    /// every rule but `standardized`: above 1 what is unlikely is told apart in steps, below 1 anything less
    /// than usual is all one. The paper's are 1.
    pub temperatures: [f64; 2],
    /// How much the maps of one image of the pyramid count beside those of the next larger one, under the
    /// `standardized` rule; 1 for all alike. Of a class whose photographs are smaller than `data.img_size` the size
    /// nearest to theirs counts most, and each step from it, up or down, as much less.
    pub coarser: f64,
    /// How much of what makes all of an image less likely at once, its light say, is left out of its map under the
    /// `standardized` rule, from 0 to 1, as the lowest tenth of its positions tells it; the score of the image
    /// keeps all of it.
    pub relative: f64,
    /// How many times as much what was never seen, by the nearness of remembered latents (`prior.memory`), counts as
    /// what is unlikely, in the score of an image under the `standardized` rule; its pixels count both alike.
    pub nearness: f64,
}

impl Default for ScoreConfig {
    fn default() -> Self {
        Self {
            rule: String::new(),
            class: "given".into(),
            sigma: 4.0,
            top: 0.0,
            soft: 0.0,
            temperatures: [1.0; 2],
            coarser: 1.0,
            relative: 0.0,
            nearness: 1.0,
        }
    }
}

/// `[calibration]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CalibrationConfig {
    /// Share of the normal training images of each class that is not trained on and sets its thresholds;
    /// 0 trains on all, and takes thresholds from them without a guarantee.
    pub share: f64,
    /// At least so many a class, but never more than half of them.
    pub minimum: usize,
    /// The share of normal images that may be called anomalous.
    pub false_alarm_rate: f64,
    /// The share of images of known classes that may be called none of them, where the class is
    /// inferred.
    pub none_rate: f64,
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self { share: 0.1, minimum: 8, false_alarm_rate: 0.05, none_rate: 0.01 }
    }
}

/// `[eval]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// `"test"`: the data set's test images. `"pasted"`: normal images that were held out and synthetic
    /// anomalies pasted on them; the test images are not looked at, so that settings may be chosen by this,
    /// and there need be none.
    pub on: String,
    /// Anomalous copies of each held-out image, where `on = "pasted"`.
    pub copies: usize,
    /// Passes between evaluations on the test set; 0 evaluates after the last pass only.
    pub every: usize,
    /// False positive rate up to which AUPRO is integrated.
    pub aupro_limit: f64,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { on: "test".into(), copies: 4, every: 1, aupro_limit: 0.3 }
    }
}

/// `[maps]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MapsConfig {
    /// Pictures of test images with mask and heat map a class; 0 for none.
    pub per_class: usize,
}

impl Default for MapsConfig {
    fn default() -> Self {
        Self { per_class: 8 }
    }
}

/// `[report]`: `report.html` of the run, and `report.json`, which it is drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Whether they are written.
    pub enabled: bool,
    /// Images a class in the gallery; fewer, but two, where that would be above 120 in all.
    pub gallery: usize,
    /// Latent vectors a class and level in the plane; 0 for none.
    pub vectors: usize,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { enabled: true, gallery: 6, vectors: 400 }
    }
}
