//! What ends the program with an error.

use hgad_bench::BenchError;
use hgad_experiment::ExperimentError;

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Of an experiment and all below.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Of a benchmark.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// Of the server.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Serve(#[from] hgad_serve::ServeError),
}

impl Failure {
    /// Whether the user can mend it by asking differently (exit code 2), as against a failure (1).
    pub fn is_users(&self) -> bool {
        match self {
            Self::Experiment(e) => e.is_users(),
            Self::Bench(e) => e.is_users(),
            #[cfg(feature = "serve")]
            Self::Serve(e) => matches!(e, hgad_serve::ServeError::Bind { .. }),
        }
    }
}

impl From<hgad_datasets::DatasetError> for Failure {
    fn from(e: hgad_datasets::DatasetError) -> Self {
        Self::Experiment(e.into())
    }
}
