//! Where flow and prior are computed.

use crate::config::Config;
use crate::error::ExperimentError;
use candle_core::Device;

/// A processor that a configuration names: `cpu`, or `cuda` and `metal` with the number of one,
/// such as `cuda:1`, the first where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Processor {
    Cpu,
    Cuda(usize),
    Metal(usize),
}

fn processor(name: &str) -> Option<Processor> {
    let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits)?;
    match kind {
        "cpu" if name == kind => Some(Processor::Cpu),
        "cuda" => Some(Processor::Cuda(number)),
        "metal" => Some(Processor::Metal(number)),
        _ => None,
    }
}

/// Whether `name` is one of those above.
pub(crate) fn is_known(name: &str) -> bool {
    processor(name).is_some()
}

/// The device of `config`, with its matrix products set to `train.matmul`.
///
/// # Errors
/// A name that is none; a build without the feature; no driver, or no such device.
pub fn open(config: &Config) -> Result<Device, ExperimentError> {
    let name = &config.device;
    let refuse =
        |reason: String| ExperimentError::Setting { key: "device", value: name.clone(), reason };
    let missing = |feature: &str| {
        refuse(format!("this build cannot use it; build with --features {feature}, or use cpu"))
    };
    let absent = |e: candle_core::Error| {
        refuse(format!("{e}; is there such a device, and its driver? `cpu` needs neither"))
    };
    // A switch of the whole process.
    candle_core::cuda::set_gemm_reduced_precision_f32(config.train.matmul == "tf32");
    match processor(name) {
        Some(Processor::Cpu) => Ok(Device::Cpu),
        Some(Processor::Cuda(_)) if !cfg!(feature = "cuda") => Err(missing("cuda")),
        Some(Processor::Metal(_)) if !cfg!(feature = "metal") => Err(missing("metal")),
        Some(Processor::Cuda(number)) => {
            let device = Device::new_cuda(number).map_err(absent)?;
            hgad_kernels::keep_device_memory(&device).map_err(absent)?;
            Ok(device)
        }
        Some(Processor::Metal(number)) => Device::new_metal(number).map_err(absent),
        None => Err(refuse("expected cpu, cuda, cuda:1, metal, ...".into())),
    }
}

/// Whether flow and prior can be computed on the device of that name, such as `cuda:1`.
///
/// # Errors
/// Why not: an unknown name, a build without it, no driver, no such device.
pub fn try_device(name: &str) -> Result<(), ExperimentError> {
    open(&Config { device: name.into(), ..Config::default() }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(processor("cpu"), Some(Processor::Cpu));
        assert_eq!(processor("cuda"), Some(Processor::Cuda(0)));
        assert_eq!(processor("cuda:1"), Some(Processor::Cuda(1)));
        assert_eq!(processor("metal:2"), Some(Processor::Metal(2)));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cpu:0", "cuda:1:2"] {
            assert_eq!(processor(wrong), None, "{wrong}");
        }
    }

    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn a_build_without_the_feature_says_so() {
        for (name, feature) in [("cuda:1", "--features cuda"), ("metal", "--features metal")] {
            let config = Config { device: name.into(), ..Config::default() };
            let message = open(&config).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(feature), "{message}");
        }
        assert!(open(&Config::default()).unwrap().is_cpu());
    }
}
