use crate::error::MetricError;
use crate::radix_sort::descending_key;

/// Bins by the first bits of the order of finite `f32`, from the highest scores to the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bins {
    bits: u32,
}

impl Bins {
    /// `2^bits` bins, `bits` in 9..=24: a bin is a `2^(bits - 9)`-th of a power of two wide.
    ///
    /// # Errors
    /// [`MetricError::InvalidBits`].
    pub fn new(bits: u32) -> Result<Self, MetricError> {
        match bits {
            9..=24 => Ok(Self { bits }),
            _ => Err(MetricError::InvalidBits { bits }),
        }
    }

    pub(super) fn count(self) -> usize {
        1 << self.bits
    }

    #[inline]
    pub(super) fn of(self, score: f32) -> usize {
        (descending_key(score) >> (u32::BITS - self.bits)) as usize
    }
}

impl Default for Bins {
    /// 2^20: each power of two in 2048 parts; 16 MiB of counts.
    fn default() -> Self {
        Self { bits: 20 }
    }
}
