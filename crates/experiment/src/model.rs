//! The model: a flow and a prior for each feature level.

use crate::config::{self, Config};
use crate::error::ExperimentError;
use crate::options::options;
use crate::scaling::Scaling;
use candle_core::{DType, Device, Tensor};
use hgad_flows::{
    ActNormStart, Bijection, FlowConfig, FlowError, FrozenFlow, Permutation, position_encoding,
};
use hgad_parameters::Parameters;
use hgad_priors::{Learned, Prior, PriorConfig, Spread};
use hgad_scores::{LevelScores, Wanted, class_evidence, score_terms};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Size of the feature map of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels D.
    pub channels: usize,
}

impl LevelShape {
    /// Positions of the map.
    pub fn positions(&self) -> usize {
        self.height * self.width
    }

    /// Numbers in the map.
    pub fn len(&self) -> usize {
        self.positions() * self.channels
    }

    /// Whether the map has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Flow and prior of one level.
pub struct LevelModel {
    /// Size of its feature map.
    pub shape: LevelShape,
    /// From features to latents.
    pub flow: Box<dyn Bijection>,
    /// Density of the latents.
    pub prior: Box<dyn Prior>,
    /// The flow's parameters.
    pub flow_parameters: Parameters,
    /// The prior's parameters.
    pub prior_parameters: Parameters,
    /// What is done to features first, where anything is.
    scaling: Option<Scaling>,
    scaling_parameters: Parameters,
    /// Code of every position (P, K), where the flow is conditioned on it.
    pub position: Option<Tensor>,
    device: Device,
    inference: RwLock<Inference>,
}

/// The flow's form for inference, made when it is first needed after training.
enum Inference {
    /// Parameters may change at any time.
    Training,
    Unmade,
    Made(Arc<dyn FrozenFlow>),
}

/// All levels, for known classes.
pub struct Model {
    /// From the finest.
    pub levels: Vec<LevelModel>,
    /// Names of the classes, in the order of their indices.
    pub classes: Vec<String>,
    device: Device,
}

impl Model {
    /// A model at its start, drawn from `config.seed`.
    ///
    /// # Errors
    /// Settings that make no flow or prior.
    pub fn new(
        config: &Config,
        shapes: &[LevelShape],
        classes: &[String],
        device: &Device,
    ) -> Result<Self, ExperimentError> {
        let levels = shapes
            .iter()
            .enumerate()
            .map(|(i, shape)| {
                // A small level's kernels fill what a large one's leave of a CUDA card.
                let device = hgad_kernels::with_own_stream(device)?;
                LevelModel::new(config, i, *shape, classes.len(), device)
            })
            .collect::<Result<_, ExperimentError>>()?;
        Ok(Self { levels, classes: classes.to_vec(), device: device.clone() })
    }

    /// Where it computes; each level of it has [`LevelModel::device`].
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Every tensor by name: `levels.L.flow.*`, `levels.L.prior.*`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        for (i, level) in self.levels.iter().enumerate() {
            for (part, parameters) in level.parts() {
                let named = parameters.state().into_iter();
                all.extend(named.map(|(n, t)| (format!("levels.{i}.{part}.{n}"), t)));
            }
        }
        all
    }

    /// Takes every tensor from `state`.
    ///
    /// # Errors
    /// One is missing or has another shape.
    pub fn load(&self, state: &HashMap<String, Tensor>) -> Result<(), ExperimentError> {
        for (i, level) in self.levels.iter().enumerate() {
            for (part, parameters) in level.parts() {
                parameters.load(&format!("levels.{i}.{part}."), state)?;
            }
            level.forget();
        }
        Ok(())
    }

    /// Whether its prior knows classes, so that there is a class posterior.
    ///
    /// # Errors
    /// From candle.
    pub fn has_classes(&self) -> Result<bool, ExperimentError> {
        match self.levels.first() {
            Some(level) => Ok(level.prior.log_class_weights()?.is_some()),
            None => Ok(false),
        }
    }

    /// How many numbers are trained.
    pub fn parameter_count(&self) -> usize {
        self.levels.iter().flat_map(|l| l.parts()).map(|(_, p)| p.count()).sum()
    }

    /// Gradients on for training, off for inference.
    pub fn track(&self, on: bool) {
        for level in &self.levels {
            level.parts().into_iter().for_each(|(_, p)| p.track(on));
            let mut inference = level.inference.write().unwrap_or_else(PoisonError::into_inner);
            match (&*inference, on) {
                (_, true) => *inference = Inference::Training,
                (Inference::Training, false) => *inference = Inference::Unmade,
                (_, false) => {}
            }
        }
    }
}

impl LevelModel {
    fn new(
        config: &Config,
        index: usize,
        shape: LevelShape,
        classes: usize,
        device: Device,
    ) -> Result<Self, ExperimentError> {
        // A seed of its own for each level, so that levels do not start alike.
        let seed = config.seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let parameters = || Parameters::new(seed, DType::F32, &device);
        let (flow_parameters, prior_parameters) = (parameters(), parameters());
        let scaling_parameters = Parameters::new(seed, DType::F32, &Device::Cpu);
        let scaling = Scaling::new(&config.features.scale, &scaling_parameters, shape.channels)?;
        let flow = hgad_flows::build(&flow_parameters, &flow_config(&config.flow, shape)?)?;
        let prior = &config.prior;
        let prior = PriorConfig {
            kind: prior.kind.clone(),
            classes,
            dim: shape.channels,
            centers: prior.centers,
            memory: prior.memory,
            learned: Learned {
                centers: prior.learned,
                weights: prior.weights != "uniform",
                spread: Spread::named(&prior.covariance)?,
            },
            options: options(&prior.options),
        };
        let prior = hgad_priors::build(&prior_parameters, &prior)?;
        let position = match config.flow.condition {
            0 => None,
            k => Some(position_encoding(k, shape.height, shape.width, DType::F32, &device)?),
        };
        let inference = RwLock::new(Inference::Training);
        Ok(Self {
            shape,
            flow,
            prior,
            flow_parameters,
            prior_parameters,
            scaling,
            scaling_parameters,
            position,
            device,
            inference,
        })
    }

    /// Where its tensors are made: the device of its model, on CUDA with a stream of the level's own. What is
    /// computed together with them must be made there too.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The flow for inference, where it has a form for that on its device.
    fn frozen(&self) -> Result<Option<Arc<dyn FrozenFlow>>, ExperimentError> {
        if let Inference::Made(flow) =
            &*self.inference.read().unwrap_or_else(PoisonError::into_inner)
        {
            return Ok(Some(flow.clone()));
        }
        let Some(flow) = self.flow.freeze(self.position.as_ref())? else { return Ok(None) };
        let flow: Arc<dyn FrozenFlow> = flow.into();
        let mut inference = self.inference.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*inference, Inference::Training) {
            *inference = Inference::Made(flow.clone());
        }
        Ok(Some(flow))
    }

    /// Its parameters have changed.
    fn forget(&self) {
        let mut inference = self.inference.write().unwrap_or_else(PoisonError::into_inner);
        if let Inference::Made(_) = *inference {
            *inference = Inference::Unmade;
        }
    }

    fn parts(&self) -> [(&'static str, &Parameters); 3] {
        [
            ("flow", &self.flow_parameters),
            ("prior", &self.prior_parameters),
            ("scaling", &self.scaling_parameters),
        ]
    }

    /// Feature vectors (N, D), row-major, as the flow takes them.
    ///
    /// # Errors
    /// Another length.
    pub fn scaled<'a>(&self, x: Cow<'a, [f32]>) -> Result<Cow<'a, [f32]>, ExperimentError> {
        match &self.scaling {
            None => Ok(x),
            Some(scaling) => Ok(Cow::Owned(scaling.apply(x.into_owned())?)),
        }
    }

    /// Takes the scale of features from a sample of them, `vectors` (N, D), row-major, where there is
    /// one to take; once, before a training.
    ///
    /// # Errors
    /// No vectors; values that are not finite.
    pub fn fit_scaling(&self, vectors: &[f32]) -> Result<(), ExperimentError> {
        self.scaling.as_ref().map_or(Ok(()), |s| s.fit(vectors))
    }

    /// Whether [`LevelModel::fit_scaling`] does anything.
    pub fn is_scaled(&self) -> bool {
        self.scaling.is_some()
    }

    /// Position code of `positions` positions from `first`.
    fn code(&self, first: usize, positions: usize) -> Result<Option<Tensor>, ExperimentError> {
        Ok(self.position.as_ref().map(|p| p.narrow(0, first, positions)).transpose()?)
    }

    /// Sets what of the flow starts from data, by the `maps` of a first batch; once, before the
    /// first step of a training.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn initialize(&self, maps: &[&[f32]]) -> Result<(), ExperimentError> {
        if !self.flow.starts_from_data() {
            return Ok(());
        }
        let (positions, channels) = (self.shape.positions(), self.shape.channels);
        let rows = maps.len() * positions;
        let x = Tensor::from_vec(maps.concat(), (rows, channels), &self.device)?;
        // No gradients are asked of it, and with them it would hold memory for all steps.
        let tracked = self.flow_parameters.tracked();
        self.flow_parameters.track(false);
        let done = self.flow.initialize(&x, self.code(0, positions)?.as_ref());
        self.flow_parameters.track(tracked);
        self.forget();
        Ok(done?)
    }

    /// Latents (B, P, D) and log-determinants (B, P) of the positions `first..first + P` of each
    /// of B images; `features` (B * P, D), image by image.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn latents(
        &self,
        features: &Tensor,
        first: usize,
        positions: usize,
    ) -> Result<(Tensor, Tensor), ExperimentError> {
        let LevelShape { height, width, .. } = self.shape;
        if self.flow.whole_maps() && positions != self.shape.positions() {
            return Err(FlowError::Map { height, width, rows: features.dim(0)? }.into());
        }
        let code = self.code(first, positions)?;
        let (z, log_det) = self.flow.forward(features, code.as_ref())?;
        let images = z.dim(0)? / positions;
        let z = z.reshape((images, positions, self.shape.channels))?;
        Ok((z, log_det.reshape((images, positions))?))
    }

    /// Latents (N, D) of single vectors, `features` (N, D) each at its own of `positions` (N).
    ///
    /// # Errors
    /// Shapes that do not fit; a position beyond the map; a flow that looks at neighbours.
    pub fn latents_at(
        &self,
        features: &Tensor,
        positions: &[u32],
    ) -> Result<Tensor, ExperimentError> {
        if self.flow.whole_maps() {
            let LevelShape { height, width, .. } = self.shape;
            return Err(FlowError::Map { height, width, rows: positions.len() }.into());
        }
        let code = match &self.position {
            Some(p) => {
                let index = Tensor::from_slice(positions, positions.len(), p.device())?;
                Some(p.index_select(&index, 0)?)
            }
            None => None,
        };
        Ok(self.flow.forward(features, code.as_ref())?.0)
    }

    /// Score terms of whole maps of images of classes `labels`, those that are `wanted`. `read` appends the map of image `i`,
    /// positions row-major, channels last; about `chunk` vectors go through the flow at once.
    ///
    /// # Errors
    /// Shapes that do not fit; what `read` gives.
    pub fn scores(
        &self,
        labels: &[u32],
        wanted: Wanted,
        chunk: usize,
        read: impl FnMut(usize, &mut Vec<f32>) -> Result<(), ExperimentError>,
    ) -> Result<LevelScores, ExperimentError> {
        let mut out = LevelScores {
            height: self.shape.height,
            width: self.shape.width,
            likelihood: Vec::with_capacity(labels.len() * self.shape.positions()),
            neg_entropy: (wanted.entropy && self.prior.log_class_weights()?.is_some())
                .then(Vec::new),
            nearness: self.prior.remembers().then(Vec::new),
            normal: Vec::new(),
        };
        self.map_latents(labels.len(), chunk, read, |first, z, log_det| {
            let labels = &labels[first..first + z.dim(0)?];
            let terms = self.terms(labels, wanted, &(z.clone(), log_det.clone()))?;
            out.likelihood.extend(terms.likelihood);
            if let (Some(all), Some(t)) = (&mut out.neg_entropy, terms.neg_entropy) {
                all.extend(t);
            }
            if let (Some(all), Some(t)) = (&mut out.nearness, terms.nearness) {
                all.extend(t);
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// How much each of `images` speaks for each class, (images, C) row-major: `class_evidence` of
    /// this level. `read` and `chunk` as for [`LevelModel::scores`].
    ///
    /// # Errors
    /// A prior without classes; as [`LevelModel::scores`].
    pub fn class_evidence(
        &self,
        images: usize,
        chunk: usize,
        read: impl FnMut(usize, &mut Vec<f32>) -> Result<(), ExperimentError>,
    ) -> Result<Vec<f32>, ExperimentError> {
        let mut out = Vec::new();
        self.map_latents(images, chunk, read, |_, z, _| {
            out.extend(host(&class_evidence(self.prior.as_ref(), z)?)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// Score terms of latents `z` (B, P, D) with `log_det` (B, P), as [`LevelModel::scores`].
    ///
    /// # Errors
    /// Shapes that do not fit the prior.
    pub(crate) fn terms(
        &self,
        labels: &[u32],
        wanted: Wanted,
        (z, log_det): &(Tensor, Tensor),
    ) -> Result<LevelScores, ExperimentError> {
        let terms = score_terms(self.prior.as_ref(), z, log_det, labels, wanted)?;
        Ok(LevelScores {
            height: self.shape.height,
            width: self.shape.width,
            likelihood: host(&terms.likelihood)?,
            neg_entropy: terms.neg_entropy.as_ref().map(host).transpose()?,
            nearness: terms.nearness.as_ref().map(host).transpose()?,
            normal: Vec::new(),
        })
    }

    /// Latents (B, P, D) and log-determinants (B, P) of whole maps, for inference.
    ///
    /// # Errors
    /// Shapes that do not fit; what `read` gives.
    pub(crate) fn infer(
        &self,
        images: usize,
        chunk: usize,
        read: impl FnMut(usize, &mut Vec<f32>) -> Result<(), ExperimentError>,
    ) -> Result<(Tensor, Tensor), ExperimentError> {
        let (mut z, mut log_det) = (Vec::new(), Vec::new());
        self.map_latents(images, chunk, read, |_, of_z, of_log_det| {
            z.push(of_z.clone());
            log_det.push(of_log_det.clone());
            Ok(())
        })?;
        Ok((Tensor::cat(&z, 0)?, Tensor::cat(&log_det, 0)?))
    }

    /// Gives `each` the index of a first image, latents (B, P, D) and log-determinants (B, P) of
    /// it and the next ones, until all have been given.
    fn map_latents(
        &self,
        images: usize,
        chunk: usize,
        mut read: impl FnMut(usize, &mut Vec<f32>) -> Result<(), ExperimentError>,
        mut each: impl FnMut(usize, &Tensor, &Tensor) -> Result<(), ExperimentError>,
    ) -> Result<(), ExperimentError> {
        let (positions, channels) = (self.shape.positions(), self.shape.channels);
        // The position code's product with the first layer is shared by images that go together.
        let together = (chunk / positions).max(1);
        let frozen = self.frozen()?;
        let mut first = 0;
        while first < images {
            let count = together.min(images - first);
            let mut x = Vec::with_capacity(count * self.shape.len());
            for image in first..first + count {
                read(image, &mut x)?;
            }
            let x = self.scaled(Cow::Owned(x))?.into_owned();
            let (z, log_det) = match &frozen {
                Some(flow) => {
                    let maps: Vec<&[f32]> = x.chunks_exact(self.shape.len()).collect();
                    let (z, log_det) = flow.forward(&maps, 0, positions)?;
                    let z = Tensor::from_vec(z, (count, positions, channels), &self.device)?;
                    (z, Tensor::from_vec(log_det, (count, positions), &self.device)?)
                }
                None => {
                    let x = Tensor::from_vec(x, (count * positions, channels), &self.device)?;
                    self.latents(&x, 0, positions)?
                }
            };
            each(first, &z, &log_det)?;
            first += count;
        }
        Ok(())
    }
}

pub(crate) fn host(t: &Tensor) -> candle_core::Result<Vec<f32>> {
    t.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>()
}

/// The settings of one level's flow, as their crate has them.
fn flow_config(c: &config::FlowConfig, shape: LevelShape) -> Result<FlowConfig, FlowError> {
    let permutation = match c.permutation.as_str() {
        "" => None,
        name => Some(Permutation::named(name)?),
    };
    Ok(FlowConfig {
        kind: c.kind.clone(),
        dim: shape.channels,
        blocks: c.blocks,
        condition: c.condition,
        clamp: c.clamp,
        hidden_factor: c.hidden_factor,
        map: (shape.height, shape.width),
        permutation,
        reflections: c.reflections,
        actnorm: ActNormStart::named("actnorm", &c.actnorm)?,
        affine: ActNormStart::named("affine", &c.affine)?,
        bins: c.bins,
        tail_bound: c.tail_bound,
        options: options(&c.options),
    })
}
