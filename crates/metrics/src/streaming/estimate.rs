/// A value and how far off it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The middle of what is possible.
    pub value: f64,
    /// The exact value lies within `value - error ..= value + error`, up to rounding.
    pub error: f64,
}

impl Estimate {
    pub(super) fn between(low: f64, high: f64) -> Self {
        Self { value: (low + high) / 2.0, error: (high - low) / 2.0 }
    }
}
