//! What can be asked on the command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Unified visual anomaly detection: one model, trained on normal images of many products at
/// once, finds and locates defects in all of them (HGAD: hierarchical Gaussian mixture
/// normalizing flows, ECCV 2024).
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Begin with:\n  hgad experiment demo                    trains on synthetic products, needs nothing\n  hgad experiment hgad-folder --set data.root=PHOTOS --set backbone.kind=resnet18\n                                          your own images in the MVTec layout\n  hgad experiments                        what else comes with the program"
)]
pub struct Arguments {
    /// Only errors and results.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Threads; all cores by default. The same number gives the same bytes.
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trains and tests an experiment: a table by class and a run folder.
    Experiment(ExperimentArguments),
    /// Runs an experiment in several variants with several seeds: one table that compares them.
    Ablation(AblationArguments),
    /// Draws the page of a finished run again, or one that compares several.
    Report(ReportArguments),
    /// Computes the table of a finished run again from its saved model.
    Evaluate(EvaluateArguments),
    /// Lists the experiments and ablations that come with the program.
    Experiments,
    /// Prints the resolved configuration of an experiment, every key with its value.
    Config(ConfigArguments),
    /// Lists data sets, or checks one against what it should hold.
    Datasets(DatasetsArguments),
    /// Lists the feature extractors.
    Backbones,
    /// Lists or clears the features kept on disk.
    Cache(CacheArguments),
    /// Times the parts of the program on this machine, on synthetic input.
    Bench(BenchArguments),
}

/// `hgad experiment`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad experiment demo\n  hgad experiment hgad-mvtec --set data.root=/data/mvtec --set backbone.weights=b6.safetensors\n  hgad experiment demo --set prior.kind=single --set seed=1\n  hgad experiment demo --resume           go on with the newest unfinished run of these settings"
)]
pub struct ExperimentArguments {
    /// A shipped experiment (`hgad experiments` lists them), one in ./experiments, or a TOML file.
    pub name: String,
    /// Overrides one setting, like `prior.centers=5`; may be given again. `hgad config NAME` shows
    /// all keys.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Goes on with a run that was stopped: the newest of this experiment with these settings, or
    /// the folder given, with its own.
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true)]
    pub resume: Option<Option<PathBuf>>,
    /// Writes results.json there too.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Where flow and prior are trained: cpu, cuda, metal, or one by number, such as cuda:1.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

/// `hgad ablation`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad ablation priors --set data.root=PHOTOS --seeds 0,1,2\n  hgad ablation priors --base demo                the same question on synthetic products\n  hgad ablation lambdas --base hgad-mvtec --only lambda2=100,lambda2=10\n  hgad ablation mine.toml                         one of your own:\n\n    base = \"hgad-folder\"\n    seeds = [0, 1, 2]\n    reference = \"paper\"                 # what differences are to; the first by default\n    [[variants]]\n    name = \"paper\"\n    [[variants]]\n    name = \"shallow\"\n    set.flow.blocks = 4\n    [grid]                              # or every combination of some values\n    \"flow.blocks\" = [4, 8, 12]\n    \"prior.centers\" = [5, 10]\n\nAn ablation that was stopped goes on when the same command is given again: finished runs are kept,\nthe unfinished one is resumed. Its folder, run.dir/ablation-NAME, has a run folder for every variant\nand seed, and the table as results.json, table.md, table.csv and figure.svg."
)]
pub struct AblationArguments {
    /// A shipped ablation (`hgad experiments` lists them), one in ./experiments as
    /// ablation-NAME.toml, or a TOML file.
    pub name: String,
    /// Seeds that every variant is run with, in place of the file's.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    pub seeds: Option<Vec<u64>>,
    /// Overrides one setting for all variants, like `train.epochs=12`; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The experiment that variants start from, in place of the file's.
    #[arg(long, value_name = "NAME")]
    pub base: Option<String>,
    /// Only these variants.
    #[arg(long, value_name = "VARIANT")]
    pub only: Vec<String>,
    /// Runs at once, each with its share of the threads; more are begun only where memory allows.
    /// A run's last digits depend on its number of threads.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Runs everything again, even what is finished.
    #[arg(long)]
    pub fresh: bool,
    /// Prints the runs with what each variant sets, and runs nothing.
    #[arg(long)]
    pub plan: bool,
    /// Writes the table as JSON there too.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
}

/// `hgad report`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad report runs/demo/20260101-120000-s0            draws its report.html again\n  hgad report runs/demo/*                             comparison.html: all runs side by side\n  hgad report runs/ablation-priors/*/* --out priors.html"
)]
pub struct ReportArguments {
    /// Folders of finished runs.
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Where the page goes: by default report.html in the folder of one run, comparison.html here
    /// for several.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `hgad evaluate`
#[derive(Debug, Args)]
pub struct EvaluateArguments {
    /// Folder of a finished run, such as runs/demo/20260101-120000-s0.
    pub run: PathBuf,
    /// The data set's folder, where it has moved.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The backbone's weights file, where it has moved.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Writes the evaluation as JSON there.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
}

/// `hgad config`
#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// As for `experiment`.
    pub name: String,
    /// As for `experiment`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// `hgad datasets`
#[derive(Debug, Args)]
pub struct DatasetsArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: DatasetsCommand,
}

/// The commands on data sets.
#[derive(Debug, Subcommand)]
pub enum DatasetsCommand {
    /// Lists the data sets the program knows, with where they come from and their licence.
    List,
    /// Counts a data set against its descriptor and names what is missing.
    Check {
        /// Name of the data set, or the path of a descriptor (.toml).
        name: String,
        /// Its folder, or the folder that holds it; HGAD_DATA by default.
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// Writes the synthetic set as PNG files in the MVTec layout.
    Synthesize {
        /// Folder to write to.
        dir: PathBuf,
        /// Seed of the images.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

/// `hgad cache`
#[derive(Debug, Args)]
pub struct CacheArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: CacheCommand,
    /// Folder of the cache, where it is not the default.
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// The commands on the cache.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Lists what is kept: extractor, images, size.
    List,
    /// Removes all of it, or what begins with KEY.
    Clear {
        /// The beginning of a key that `list` shows.
        key: Option<String>,
    },
}

/// `hgad bench`
#[derive(Debug, Args)]
#[command(
    after_help = "Parts:\n  backbone   feature extraction (EfficientNet-B6, lite0, ResNet-18), weights drawn by a seed\n  flow       forward and training step of a level, 12 blocks\n  train      a pass over cached features\n  metrics    AUROC and AUPRO of 5.4 million pixels\n  load       images from JPEG and PNG files, and the decoder alone\n  whole      a test image from its file to its anomaly map\n  kernel     what the machine gives: a matrix product\n\nExamples:\n  hgad bench flow --threads 1\n  hgad bench backbone --case lite0 --json\n  just race                               the same against PyTorch and ONNX Runtime, pair by pair\n\nEach figure is the median of several runs after one that does not count. Leave the machine alone\nmeanwhile; HGAD_ISA=avx2 shows what a processor without AVX-512 would do."
)]
pub struct BenchArguments {
    /// The part to time, or all.
    #[arg(default_value = "all")]
    pub part: String,
    /// Only cases with that in their names.
    #[arg(long, value_name = "SUBSTRING", default_value = "")]
    pub case: String,
    /// Prints `{"cases": [{"name", "median", "unit"}]}` instead of a table.
    #[arg(long)]
    pub json: bool,
    /// How long each case is run, but five times at least (a whole pass three times); 0 is once.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub seconds: f64,
    /// Folder of .jpg and .png files for the parts that decode, in place of drawn ones.
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
}
