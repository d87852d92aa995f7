use std::collections::HashMap;
use std::path::Path;

use image::{GrayImage, RgbImage};

use crate::dataset::{Dataset, Sample, foreign};
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::layout::{Layout, layout_by_name};

/// Several data sets as one problem: the classes of the first, then of the second, and so on.
///
/// A class is called `SET/CLASS`, and ids start with the name of their set.
pub struct Union {
    name: String,
    members: Vec<Box<dyn Dataset>>,
    classes: Vec<String>,
    samples: Vec<Sample>,
    /// Member, and index of the sample in it, by the id in the union.
    origins: HashMap<String, (usize, usize)>,
}

impl Union {
    /// Joins data sets in the order given; their names must differ for ids to be unique.
    pub fn new(name: impl Into<String>, members: Vec<Box<dyn Dataset>>) -> Self {
        let (mut classes, mut samples) = (Vec::new(), Vec::new());
        let mut origins = HashMap::new();
        for (m, member) in members.iter().enumerate() {
            let first = classes.len();
            classes.extend(member.classes().iter().map(|c| format!("{}/{c}", member.name())));
            for (i, sample) in member.samples().iter().enumerate() {
                let id = format!("{}/{}", member.name(), sample.id);
                origins.insert(id.clone(), (m, i));
                samples.push(Sample { class: first + sample.class, id, ..sample.clone() });
            }
        }
        Self { name: name.into(), members, classes, samples, origins }
    }

    fn origin(&self, sample: &Sample) -> Result<(&dyn Dataset, &Sample), DatasetError> {
        let (m, i) = *self.origins.get(&sample.id).ok_or_else(|| foreign(&self.name, sample))?;
        Ok((&*self.members[m], &self.members[m].samples()[i]))
    }
}

impl Dataset for Union {
    fn name(&self) -> &str {
        &self.name
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn image(&self, sample: &Sample) -> Result<RgbImage, DatasetError> {
        let (member, sample) = self.origin(sample)?;
        member.image(sample)
    }

    fn mask(&self, sample: &Sample) -> Result<Option<GrayImage>, DatasetError> {
        let (member, sample) = self.origin(sample)?;
        member.mask(sample)
    }

    fn content_hash(&self, sample: &Sample) -> Result<[u8; 32], DatasetError> {
        let (member, sample) = self.origin(sample)?;
        member.content_hash(sample)
    }
}

/// The descriptor's members, each looked for below the same root.
#[derive(Debug, Clone, Copy)]
pub struct UnionLayout;

impl Layout for UnionLayout {
    fn name(&self) -> &'static str {
        "union"
    }

    fn expects(&self) -> &'static str {
        "the folders of its members side by side, like mvtec/, btad/, mvtec3d/, visa/"
    }

    fn open(&self, descriptor: &Descriptor, root: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        let members = descriptor.members.iter().map(|name| {
            let member = Descriptor::by_name(name)?;
            layout_by_name(&member.layout)?.open(&member, root)
        });
        let members = members.collect::<Result<_, _>>()?;
        Ok(Box::new(Union::new(&*descriptor.name, members)))
    }
}
