//! Tensors as a PyTorch pickle describes them: a view of a storage.

use crate::exchange::unpickle::{Id, Node, Pickle};

/// Where the numbers of a tensor are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TorchTensor {
    /// Name of the storage in the archive.
    pub(super) storage: String,
    pub(super) number: Number,
    /// First number of the view.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Numbers from one index to the next, for each dimension.
    pub(super) stride: Vec<usize>,
}

/// Type of a storage's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    F32,
    F64,
    F16,
    BF16,
}

impl Number {
    fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            _ => return None,
        })
    }

    /// Bytes of one.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// The number in the first bytes of `bytes`, which has as many as [`Number::size`].
    pub(super) fn read(self, bytes: &[u8]) -> f32 {
        let half = || u16::from_le_bytes([bytes[0], bytes[1]]);
        match self {
            Self::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            Self::F64 => {
                let mut all = [0; 8];
                all.copy_from_slice(bytes);
                f64::from_le_bytes(all) as f32
            }
            Self::F16 => half::f16::from_bits(half()).to_f32(),
            Self::BF16 => half::bf16::from_bits(half()).to_f32(),
        }
    }
}

impl TorchTensor {
    /// The tensor at `id`; `None` where that is no tensor at all.
    ///
    /// # Errors
    /// In words: a tensor that cannot be read.
    pub(super) fn at(pickle: &Pickle, id: Id) -> Option<Result<Self, String>> {
        let Node::Call(function, arguments) = pickle.get(id) else { return None };
        let arguments = pickle.sequence(*arguments)?;
        // A parameter is a call with the tensor in it.
        if pickle.is_global(*function, "torch._utils", "_rebuild_parameter") {
            let inner = *arguments.first()?;
            let Node::Call(function, arguments) = pickle.get(inner) else { return None };
            return Self::view(pickle, *function, pickle.sequence(*arguments)?);
        }
        Self::view(pickle, *function, arguments)
    }

    /// Arguments of `_rebuild_tensor_v2`: storage, offset, shape, stride, and what inference does
    /// not need.
    fn view(pickle: &Pickle, function: Id, arguments: &[Id]) -> Option<Result<Self, String>> {
        if !pickle.is_global(function, "torch._utils", "_rebuild_tensor_v2") {
            return None;
        }
        let numbers = |id: Id| -> Option<Vec<usize>> {
            let items = pickle.sequence(id)?.iter();
            items.map(|i| usize::try_from(pickle.int(*i)?).ok()).collect()
        };
        let parts = || {
            let [storage, offset, shape, stride, ..] = arguments else { return None };
            let Node::Persistent(key) = pickle.get(*storage) else { return None };
            // ("storage", class, name, device, length)
            let [_, class, name, ..] = pickle.sequence(*key)? else { return None };
            let Node::Global(_, class) = pickle.get(*class) else { return None };
            let offset = usize::try_from(pickle.int(*offset)?).ok()?;
            let (shape, stride) = (numbers(*shape)?, numbers(*stride)?);
            let fits = shape.len() == stride.len() && shape.len() <= 8;
            fits.then_some((class, pickle.text(*name)?, offset, shape, stride))
        };
        let Some((class, name, offset, shape, stride)) = parts() else {
            return Some(Err("is a tensor whose description is broken".into()));
        };
        let Some(number) = Number::of_storage(class) else {
            return Some(Err(format!("holds {class}, expected floating-point numbers")));
        };
        Some(Ok(Self { storage: name.into(), number, offset, shape, stride }))
    }

    /// How many numbers it has; `None` where that is too many to count.
    pub(super) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
    }

    /// Its numbers, row-major, from the bytes of its storage.
    ///
    /// # Errors
    /// In words: the storage is too small for it.
    pub(super) fn read(&self, storage: &[u8]) -> Result<Vec<f32>, String> {
        let available = storage.len() / self.number.size();
        let small = || format!("needs more numbers than its storage has ({available})");
        let len = self.len().filter(|n| *n <= available).ok_or_else(small)?;
        if len == 0 {
            return Ok(Vec::new());
        }
        let last = self.shape.iter().zip(&self.stride).try_fold(self.offset, |at, (d, s)| {
            (d - 1).checked_mul(*s).and_then(|step| at.checked_add(step))
        });
        last.filter(|at| *at < available).ok_or_else(small)?;
        let size = self.number.size();
        let mut index = vec![0; self.shape.len()];
        let mut values = Vec::with_capacity(len);
        for _ in 0..len {
            let at: usize = index.iter().zip(&self.stride).map(|(i, s)| i * s).sum();
            values.push(self.number.read(&storage[(self.offset + at) * size..][..size]));
            for (i, d) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *d {
                    break;
                }
                *i = 0;
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(number: Number, offset: usize, shape: &[usize], stride: &[usize]) -> TorchTensor {
        let (shape, stride) = (shape.to_vec(), stride.to_vec());
        TorchTensor { storage: "0".into(), number, offset, shape, stride }
    }

    #[test]
    fn views_are_followed() {
        let storage: Vec<u8> = (0..7).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let read = |t: &TorchTensor| t.read(&storage);
        let f32s = Number::F32;
        assert_eq!(read(&tensor(f32s, 1, &[2, 3], &[3, 1])).unwrap(), [1., 2., 3., 4., 5., 6.]);
        // Transposed, as NumPy's `.T` leaves it.
        assert_eq!(read(&tensor(f32s, 0, &[3, 2], &[1, 3])).unwrap(), [0., 3., 1., 4., 2., 5.]);
        assert_eq!(read(&tensor(f32s, 6, &[], &[])).unwrap(), [6.]);
        assert!(read(&tensor(f32s, 0, &[0, 2], &[2, 1])).unwrap().is_empty());
        for (offset, shape, stride) in [
            (2, [2, 3], [3, 1]),
            (0, [4, 2], [2, 1]),
            (0, [usize::MAX, 2], [0, 0]),
            (usize::MAX, [1, 2], [1, 1]),
            (0, [2, 2], [usize::MAX, 1]),
        ] {
            assert!(read(&tensor(f32s, offset, &shape, &stride)).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn other_numbers_are_converted() {
        let read = |number, bytes: &[u8]| tensor(number, 0, &[1], &[1]).read(bytes).unwrap()[0];
        assert_eq!(read(Number::F64, &0.1f64.to_le_bytes()), 0.1);
        assert_eq!(read(Number::F16, &half::f16::from_f32(1.5).to_le_bytes()), 1.5);
        assert_eq!(read(Number::BF16, &half::bf16::from_f32(-3.0).to_le_bytes()), -3.0);
    }
}
