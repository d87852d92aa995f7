use std::fmt;
use std::path::Path;

use crate::dataset::{Dataset, Split};
use crate::descriptor::{ClassDescriptor, Descriptor};
use crate::error::DatasetError;

/// Numbers of images of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Training images.
    pub train: usize,
    /// Normal test images.
    pub test_good: usize,
    /// Anomalous test images.
    pub test_anomalous: usize,
}

/// What one class holds against what it should hold.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassReport {
    /// Name of the class.
    pub name: String,
    /// What was found; `None` if the class is missing.
    pub found: Option<Counts>,
    /// What the descriptor expects; `None` if it does not know the class.
    pub expected: Option<ClassDescriptor>,
    /// Differences, one sentence each; empty if all is as expected.
    pub problems: Vec<String>,
}

/// What a data set holds against its descriptor.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Full name of the data set.
    pub title: String,
    /// Expected classes in the descriptor's order, then unexpected ones.
    pub classes: Vec<ClassReport>,
}

/// Opens a data set and counts it against its descriptor.
///
/// # Errors
/// As [`crate::open`]: a data set that cannot be opened has no counts.
pub fn check(descriptor: &Descriptor, root: &Path) -> Result<Report, DatasetError> {
    Report::of(descriptor, &*descriptor.open(root)?)
}

impl Report {
    /// Counts an open data set against a descriptor.
    ///
    /// # Errors
    /// [`DatasetError::UnknownDataset`] if a union's member has no descriptor.
    pub fn of(descriptor: &Descriptor, dataset: &dyn Dataset) -> Result<Self, DatasetError> {
        let mut counts = vec![Counts::default(); dataset.classes().len()];
        for sample in dataset.samples() {
            let Some(class) = counts.get_mut(sample.class) else {
                continue;
            };
            match (sample.split, sample.is_anomalous()) {
                (Split::Train, _) => class.train += 1,
                (Split::Test, false) => class.test_good += 1,
                (Split::Test, true) => class.test_anomalous += 1,
            }
        }
        let expected = descriptor.expected_classes()?;
        let place = |name: &str| dataset.classes().iter().position(|c| c == name);
        let known = expected.iter().map(|class| {
            let found = place(&class.name).map(|i| counts[i]);
            ClassReport {
                name: class.name.clone(),
                found,
                problems: problems(class, found),
                expected: Some(class.clone()),
            }
        });
        let mut classes: Vec<ClassReport> = known.collect();
        for (name, found) in dataset.classes().iter().zip(&counts) {
            if expected.iter().any(|class| &class.name == name) {
                continue;
            }
            let problems = match expected.is_empty() {
                true => Vec::new(),
                false => vec!["not a class of this data set".into()],
            };
            classes.push(ClassReport {
                name: name.clone(),
                found: Some(*found),
                expected: None,
                problems,
            });
        }
        Ok(Self { title: descriptor.title.clone(), classes })
    }

    /// Whether nothing is missing and nothing unexpected.
    pub fn is_complete(&self) -> bool {
        self.classes.iter().all(|class| class.problems.is_empty())
    }
}

fn problems(expected: &ClassDescriptor, found: Option<Counts>) -> Vec<String> {
    let Some(found) = found else {
        return vec!["missing".into()];
    };
    let pairs = [
        ("training images", expected.train, found.train),
        ("normal test images", expected.test_good, found.test_good),
        ("anomalous test images", expected.test_anomalous, found.test_anomalous),
    ];
    let differs = |(what, expected, found): (&str, Option<usize>, usize)| match expected {
        Some(n) if n != found => Some(format!("{found} {what}, expected {n}")),
        _ => None,
    };
    pairs.into_iter().filter_map(differs).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.classes.iter().map(|c| c.name.len()).max().unwrap_or(0).max(5);
        writeln!(f, "{}", self.title)?;
        writeln!(f, "{:width$}  train  good  anomalous", "class")?;
        for class in &self.classes {
            write!(f, "{:width$}", class.name)?;
            match class.found {
                Some(c) => write!(f, "  {:5}  {:4}  {:9}", c.train, c.test_good, c.test_anomalous)?,
                None => write!(f, "  {:>5}  {:>4}  {:>9}", "-", "-", "-")?,
            }
            let untested = class.found.is_some_and(|c| c.test_good + c.test_anomalous == 0);
            match class.problems.is_empty() {
                true if untested => writeln!(f, "  no test images")?,
                true => writeln!(f)?,
                false => writeln!(f, "  {}", class.problems.join("; "))?,
            }
        }
        let wrong = self.classes.iter().filter(|c| !c.problems.is_empty()).count();
        match wrong {
            0 => write!(f, "all {} classes are as expected", self.classes.len()),
            n => write!(f, "{n} of {} classes differ from what is expected", self.classes.len()),
        }
    }
}
