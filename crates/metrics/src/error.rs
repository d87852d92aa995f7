use thiserror::Error;

/// Why a metric has no value for the input it was given.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MetricError {
    /// Scores and labels must pair up one to one.
    #[error("{scores} scores but {labels} labels: give one label for each score")]
    LengthMismatch {
        /// Number of scores given.
        scores: usize,
        /// Number of labels given.
        labels: usize,
    },
    /// Every metric here counts found anomalies, so at least one must exist.
    #[error(
        "none of the {count} labels is anomalous: the metric is undefined, leave this class out of the mean"
    )]
    NoPositives {
        /// Number of labels looked at.
        count: usize,
    },
    /// A false positive rate needs at least one normal label.
    #[error(
        "all of the {count} labels are anomalous: the metric is undefined without normal samples"
    )]
    NoNegatives {
        /// Number of labels looked at.
        count: usize,
    },
    /// A score is NaN or infinite, so it has no rank.
    #[error("score {index} is {value}: scores must be finite, check the model that made them")]
    NotFinite {
        /// Position of the first such score.
        index: usize,
        /// The score.
        value: f32,
    },
    /// A slice of maps or masks does not hold whole images.
    #[error(
        "{len} pixels are not a whole number of {height}x{width} images: give the images concatenated, row by row"
    )]
    ShapeMismatch {
        /// Number of pixels given.
        len: usize,
        /// Height of one image in pixels.
        height: usize,
        /// Width of one image in pixels.
        width: usize,
    },
    /// The limit of the false positive rate is outside (0, 1].
    #[error("false positive rate limit {limit}: expected a number above 0 and at most 1")]
    InvalidLimit {
        /// The limit given.
        limit: f64,
    },
    /// A number of bins that is none.
    #[error("2^{bits} bins: expected 9 to 24 bits")]
    InvalidBits {
        /// The bits given.
        bits: u32,
    },
    /// Counts of other bins cannot be added.
    #[error("the two have different bins: make both with the same")]
    OtherBins,
}
