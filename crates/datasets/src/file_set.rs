use crate::dataset::{Dataset, Sample};

/// A data set whose samples are files: what every layout of this crate makes.
#[derive(Debug, Clone)]
pub struct FileSet {
    /// Name of the data set.
    pub name: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// All samples, class by class.
    pub samples: Vec<Sample>,
}

impl Dataset for FileSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }
}
