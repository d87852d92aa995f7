//! Program, processor, memory, devices.

use super::finding::{Finding, Section};
use hgad_experiment::cache::bytes_text;
use hgad_experiment::{memory as system, try_device};
use hgad_kernels::{detected_isa_name, isa_name};

/// What was built.
pub fn program() -> Section {
    let features: Vec<&str> =
        [("serve", cfg!(feature = "serve")), ("cuda", CUDA), ("metal", METAL)]
            .iter()
            .filter_map(|(name, there)| there.then_some(*name))
            .collect();
    let mut build =
        Finding::new("build", if cfg!(debug_assertions) { "for debugging" } else { "release" });
    if cfg!(debug_assertions) {
        build = build.wrong("it is many times slower", "build with `cargo build --release`");
    }
    let none = if features.is_empty() { "none" } else { "" };
    let findings = vec![
        Finding::new("version", env!("CARGO_PKG_VERSION")),
        Finding::new("target", target()),
        build,
        Finding::new("features", features.join(", ") + none).value(features),
    ];
    Section { title: "program", findings }
}

fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Whether a flow's products are made by matrix tiles here.
fn matrix_tiles() -> Finding {
    let (has, text) = match hgad_kernels::has_tiles() {
        true => (true, "a flow's products are made there"),
        false => (false, "none"),
    };
    Finding::new("matrix tiles", text).value(has)
}

/// Cores, instruction sets, threads.
pub fn processor() -> Section {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = rayon::current_num_threads();
    let asked = std::env::var("HGAD_ISA").unwrap_or_default();
    let (best, chosen) = (detected_isa_name(), isa_name());
    let how = match asked.is_empty() {
        true if best == chosen => "the best of this processor".to_string(),
        true => format!("this processor has {best}"),
        false => format!("this processor has {best}; HGAD_ISA is {asked}"),
    };
    let mut kernels = Finding::new("kernels on", format!("{chosen}, {how}")).value(chosen);
    if !["", "avx512", "avx2", "baseline"].contains(&asked.as_str()) {
        let way_out = "unset it, or set it to avx512, avx2 or baseline, which lower what is used";
        kernels = kernels.wrong("HGAD_ISA has no such value", way_out);
    }
    let features = features();
    let findings = vec![
        Finding::new("model", model().unwrap_or_else(|| "the system does not tell".into())),
        Finding::new("cores", format!("{cores} that this process may use")).value(cores),
        Finding::new("threads", threads_text(threads, cores)).value(threads),
        Finding::new("instructions", features.join(" ")).value(features),
        kernels,
        matrix_tiles(),
    ];
    Section { title: "processor", findings }
}

fn threads_text(threads: usize, cores: usize) -> String {
    match threads.cmp(&cores) {
        std::cmp::Ordering::Greater => format!("{threads}, more than cores: slower, not faster"),
        _ => format!("{threads} (--threads N sets it)"),
    }
}

/// The processor's name, where the system tells.
fn model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// Those that matter here, of what the processor has.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let all = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512dq", is_x86_feature_detected!("avx512dq")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
    ];
    #[cfg(target_arch = "aarch64")]
    let all = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let all: [(&str, bool); 0] = [];
    all.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
}

/// What the machine has.
pub fn memory() -> Section {
    let of = |what: &str, bytes: Option<u64>| match bytes {
        Some(bytes) => Finding::new(what, bytes_text(bytes)).value(bytes),
        None => Finding::new(what, "the system does not tell").value(()),
    };
    let mut findings = vec![of("total", system::total()), of("available", system::available())];
    if let Some(limit) = system::limit() {
        findings.push(of("limit", Some(limit)));
    }
    Section { title: "memory", findings }
}

const CUDA: bool = cfg!(feature = "cuda");
const METAL: bool = cfg!(feature = "metal");

/// Where flow and prior can be computed.
pub fn devices() -> Section {
    let findings = vec![
        Finding::new("cpu", "usable").value(true),
        device("cuda", CUDA),
        device("metal", METAL),
    ];
    Section { title: "devices", findings }
}

fn device(name: &str, built: bool) -> Finding {
    if !built {
        let how = format!("not in this build; `cargo build --release --features {name}` has it");
        return Finding::new(name, how).value(false);
    }
    // Loaders of drivers panic where there is none; that is an answer too.
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let tried = std::panic::catch_unwind(|| try_device(name));
    std::panic::set_hook(silent);
    let reason = match tried {
        Ok(Ok(())) => return Finding::new(name, "usable").value(true),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "its driver's library cannot be loaded".into(),
    };
    let way_out = "install its driver, or go on with `--device cpu`, the default";
    Finding::new(name, "in this build").value(false).wrong(reason, way_out)
}
