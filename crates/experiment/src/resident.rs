//! Features of the training images on a device, so that only the first pass carries them there.

use crate::error::ExperimentError;
use candle_core::{Device, Tensor};
use std::borrow::Cow;

/// Maps by image and level, as many as fit.
pub(crate) struct Resident {
    maps: Vec<Vec<Option<Tensor>>>,
    /// Bytes that may still be taken.
    left: usize,
}

impl Resident {
    /// For so many images of so many levels; half of the memory that is free on `device` now is theirs. None
    /// where the device's free memory is not known, as on the CPU, which has them where they are.
    pub(crate) fn new(images: usize, levels: usize, device: &Device) -> Option<Self> {
        let left = hgad_kernels::free_device_memory(device)? / 2;
        Some(Self { maps: vec![vec![None; levels]; images], left })
    }

    /// Whether nothing of these images has to be read.
    pub(crate) fn has(&self, images: &[usize]) -> bool {
        images.iter().all(|i| self.maps[*i].iter().all(Option::is_some))
    }

    /// The maps (B, P, D) of one level, from `read` where they are not there yet.
    ///
    /// # Errors
    /// What `read` gives; from candle.
    pub(crate) fn batch<'a>(
        &mut self,
        images: &[usize],
        (level, channels): (usize, usize),
        device: &Device,
        mut read: impl FnMut(usize) -> Result<Cow<'a, [f32]>, ExperimentError>,
    ) -> Result<Tensor, ExperimentError> {
        let mut maps = Vec::with_capacity(images.len());
        for (place, image) in images.iter().enumerate() {
            let slot = &mut self.maps[*image][level];
            if let Some(map) = slot {
                maps.push(map.clone());
                continue;
            }
            let host = read(place)?;
            let map = Tensor::from_slice(&host, (host.len() / channels, channels), device)?;
            let bytes = size_of_val(&*host);
            if bytes <= self.left {
                self.left -= bytes;
                *slot = Some(map.clone());
            }
            maps.push(map);
        }
        Ok(Tensor::stack(&maps, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_once_and_no_more_than_fit() {
        // Two maps of 3 positions and 2 channels fit.
        let mut resident = Resident { maps: vec![vec![None; 1]; 3], left: 2 * 6 * 4 + 5 };
        let reads = std::cell::RefCell::new(Vec::new());
        let mut batch = |images: &[usize]| {
            let read = |place: usize| {
                reads.borrow_mut().push(images[place]);
                Ok(Cow::Owned(vec![images[place] as f32; 6]))
            };
            let maps = resident.batch(images, (0, 2), &Device::Cpu, read).unwrap();
            assert_eq!(maps.dims(), [images.len(), 3, 2]);
            let first = maps.flatten(1, 2).unwrap().get_on_dim(1, 0).unwrap();
            let expected: Vec<f32> = images.iter().map(|i| *i as f32).collect();
            assert_eq!(first.to_vec1::<f32>().unwrap(), expected);
            (resident.has(&[0, 1]), resident.has(&[2]), reads.take())
        };
        assert_eq!(batch(&[1, 0]), (true, false, vec![1, 0]));
        assert_eq!(batch(&[0, 2, 1]), (true, false, vec![2]));
        assert_eq!(batch(&[2, 2]), (true, false, vec![2, 2]));
    }
}
