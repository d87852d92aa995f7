//! What can be asked on the command line.

use crate::terminal::LogFormat;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Unified visual anomaly detection: one model, trained on normal images of many products at
/// once, finds and locates defects in all of them (HGAD: hierarchical Gaussian mixture
/// normalizing flows, ECCV 2024).
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Begin with:\n  hgad experiment demo                    trains on synthetic products, needs nothing\n  hgad experiment hgad-folder --set data.root=PHOTOS --set backbone.kind=resnet18\n                                          your own images in the MVTec layout\n  hgad experiments                        what else comes with the program\n  hgad doctor                             what it finds on this machine, and what is wrong"
)]
pub struct Arguments {
    /// Only errors, warnings and results.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What progress and messages on standard error are: text, or json, an object a line.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
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
    /// Prints runs beside published numbers and each other, class by class.
    Compare(CompareArguments),
    /// Makes a run folder of a checkpoint of the authors' PyTorch code.
    Import(ImportArguments),
    /// Writes a model's parameters as the authors' PyTorch code reads them.
    Export(ExportArguments),
    /// Looks at images with a trained model: class, score, verdict, regions of each.
    Predict(PredictArguments),
    /// Answers predictions over HTTP, with a page to drop images on.
    #[cfg(feature = "serve")]
    Serve(crate::commands::serve::ServeArguments),
    /// Lists runs with their numbers.
    Runs(RunsArguments),
    /// Lists the experiments and ablations that come with the program.
    Experiments,
    /// Prints the resolved configuration of an experiment, or what can be set at all.
    Config(ConfigArguments),
    /// Lists data sets, or checks one against what it should hold.
    Datasets(DatasetsArguments),
    /// Lists the feature extractors.
    Backbones,
    /// Lists or clears the features kept on disk.
    Cache(CacheArguments),
    /// Times the parts of the program on this machine, on synthetic input.
    Bench(BenchArguments),
    /// Says what the program finds on this machine, and what is wrong with it.
    Doctor(DoctorArguments),
    /// Prints a script that completes commands in a shell.
    Completions(CompletionsArguments),
    /// Prints a manual page, or writes all of them.
    Man(ManArguments),
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
    /// Leaves the backbone's weights out of model.safetensors, which then holds their hash alone;
    /// `hgad predict` asks for the file.
    #[arg(long)]
    pub without_backbone: bool,
    /// Writes event files for TensorBoard into the run's folder; `--set run.tensorboard=true` does so
    /// for an ablation.
    #[arg(long)]
    pub tensorboard: bool,
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
    /// The false-alarm rate of the deployed thresholds, in place of the run's.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub false_alarm_rate: Option<f64>,
    /// Calibrates the deployed scores anew and writes that into the model's file.
    #[arg(long)]
    pub recalibrate: bool,
    /// Writes the evaluation as JSON there.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
}

/// `hgad compare`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad compare runs/hgad-mvtec                           the newest finished run of that name\n  hgad compare runs/hgad-mvtec/20260101-120000-s0 runs/hgad-mvtec/20260102-120000-s1\n  hgad compare runs/hgad-folder --published mvtec        a folder of one's own with some of its classes\n  hgad compare runs/a/results.json runs/b/results.json --markdown\n  hgad compare runs/hgad-folder/* runs/memory-folder/* --curve auroc.svg\n\nA column marked * is of other settings than the published ones; they are listed below the table.\nThe paper reports the best pass on the test set, a run its last: the row `best on test` has both\nchosen in the same way."
)]
pub struct CompareArguments {
    /// Folders of finished runs, folders of runs such as runs/NAME (the newest finished one is
    /// taken), or results.json files; all on one data set.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The data set whose published numbers they go beside, where the runs are on a folder of
    /// one's own.
    #[arg(long, value_name = "SET")]
    pub published: Option<String>,
    /// Also draws image and pixel AUROC against seconds of training, all runs in one figure (SVG): a point
    /// an evaluated pass (eval.every), a line an experiment and seed.
    #[arg(long, value_name = "FILE")]
    pub curve: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Prints Markdown.
    #[arg(long)]
    pub markdown: bool,
}

/// `hgad import`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad import HGAD_mvtec_img.pt --set data.root=/data/mvtec\n  hgad import HGAD_btad_img.pt --experiment hgad-btad --out runs/btad-authors\n  hgad import mine.pt --set data.img_size=512 --set backbone.kind=tf_efficientnet_b4\n  hgad import mine.pt --experiment hgad-folder --classes bolt,nut,washer\n\nThe file is what the authors' code saves: epoch, nfs, mus, mu_deltas, phi_inters, phi_intras; or\nsafetensors with the same names, as `hgad export --out FILE.safetensors` writes. Blocks, position\ncode, centres and classes are read off its shapes; data set, backbone, image size and clamp are the\nexperiment's. Nothing in the file is executed. Then:\n  hgad evaluate RUN                       the table; the first is kept as the run's results.json\n  hgad compare RUN                        beside the published numbers"
)]
pub struct ImportArguments {
    /// The checkpoint.
    pub file: PathBuf,
    /// The experiment it belongs to: data set, backbone, image size.
    #[arg(long, value_name = "NAME", default_value = "hgad-mvtec")]
    pub experiment: String,
    /// Overrides one setting, like `data.img_size=512`; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The file's classes in the order of their indices; without, those of the data set in the
    /// order of their names, as the authors' code has them.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub classes: Option<Vec<String>>,
    /// The run's folder, in place of a new one in run.dir/NAME-imported.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `hgad export`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad export runs/hgad-mvtec/20260101-120000-s0                      model.pt in that folder\n  hgad export runs/hgad-mvtec/20260101-120000-s0 --out HGAD_mvtec.pt\n  hgad export model.safetensors --out authors.safetensors             flat names: nfs.0.module_list...\n\nThe file is read by torch.load(FILE, weights_only=True) and by the authors' code. Only models of the\nhierarchical prior with unit covariances can be written: that code has no other."
)]
pub struct ExportArguments {
    /// A run's folder, or a model.safetensors.
    #[arg(value_name = "RUN|MODEL")]
    pub model: PathBuf,
    /// The file to write, .safetensors or of torch.save; model.pt beside the model by default.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `hgad predict`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad predict runs/demo/ID photo.png\n  hgad predict model.safetensors photos/ 'more/*.jpg' --out found --overlays\n  find . -name '*.png' | hgad predict model.safetensors - --class bottle --fail-on-anomaly\n\nWithout a class, each image's is inferred from the model's posterior; an image that is unlike all\nclasses is `none of them`, and anomalous. A score is one minus the image's conformal p-value among\nnormal images of its class, so that scores compare between classes; above the threshold a normal\nimage comes at most at the false-alarm rate (docs/deploy.md has the formulas and when it holds).\n\n--out DIR writes predictions.jsonl (all there is to say of each image) and predictions.csv (path,\nclass, score, threshold, verdict, regions, box, area and peak of the strongest region, error). Boxes\nare in pixels of the image. Values of maps run from 0 to 1, 0.5 being the threshold.\n\nExit codes: 0; 1 some images could not be read (the rest is done) or a failure; 2 a mistake in the\nquestion; 3 something was anomalous, with --fail-on-anomaly."
)]
pub struct PredictArguments {
    /// model.safetensors, or the run folder that holds it. It is all that is needed.
    pub model: PathBuf,
    /// Images, folders (all images below), globs (quoted, with ** for any folders), or - for a list
    /// on standard input, one a line.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// The class of all images; without it each one's is inferred.
    #[arg(long, value_name = "NAME", conflicts_with = "class_from_folder")]
    pub class: Option<String>,
    /// The class of each image is the nearest folder above it that has the name of one.
    #[arg(long)]
    pub class_from_folder: bool,
    /// Writes predictions.jsonl and predictions.csv there, and what the next two ask for.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Writes pictures of the anomaly maps over the images, with the regions' boxes.
    #[arg(long, requires = "out")]
    pub overlays: bool,
    /// Writes the maps themselves: png (16 bits, 65535 is 1), npy (float32), or both.
    #[arg(long, value_name = "png,npy", value_delimiter = ',', requires = "out")]
    pub maps: Vec<MapFile>,
    /// The share of normal images that may be called anomalous, in place of the model's.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub false_alarm_rate: Option<f64>,
    /// Exit code 3 if any image is anomalous.
    #[arg(long)]
    pub fail_on_anomaly: bool,
    /// The backbone's weights file, for a model that was written without them.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Where flow and prior are computed: cpu, cuda, metal; as they were trained by default.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Images that go through the model together.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub batch: usize,
}

/// How a map is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MapFile {
    /// 16-bit grey PNG.
    Png,
    /// NumPy array.
    Npy,
}

/// `hgad config`
#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// As for `experiment`.
    #[arg(required_unless_present_any = ["reference", "schema"])]
    pub name: Option<String>,
    /// Prints every setting with its default and what it means, as Markdown.
    #[arg(long, conflicts_with = "name")]
    pub reference: bool,
    /// Prints the JSON Schema of an experiment's file, for editors.
    #[arg(long, conflicts_with_all = ["name", "reference"])]
    pub schema: bool,
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
    /// Writes synthetic anomalies: the normal training images of a data set with something pasted on (a piece
    /// from elsewhere, a fill, a scratch, a shade, a texture, a warp), and their masks, in the MVTec layout.
    Paste {
        /// Name of the data set, or the path of a descriptor (.toml).
        name: String,
        /// Folder to write to.
        dir: PathBuf,
        /// Its folder, or the folder that holds it; HGAD_DATA by default.
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Anomalous copies of each image.
        #[arg(long, value_name = "N", default_value_t = 1)]
        copies: usize,
        /// Seed of the anomalies.
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
    after_help = "Parts:\n  backbone   feature extraction (EfficientNet-B6, lite0, ResNet-18), weights drawn by a seed\n  flow       forward and training step of a level, 12 blocks\n  step       training step of three levels, on --device\n  train      a pass over cached features\n  metrics    AUROC and AUPRO of 5.4 million pixels\n  load       images from JPEG and PNG files, and the decoder alone\n  whole      a test image from its file to its anomaly map\n  kernel     what the machine gives: a matrix product\n\nExamples:\n  hgad bench flow --threads 1\n  hgad bench backbone --case lite0 --json\n  hgad bench step --device cuda --matmul tf32\n  just race                               the same against PyTorch and ONNX Runtime, pair by pair\n\nEach figure is the median of several runs after one that does not count. Leave the machine alone\nmeanwhile; HGAD_ISA=avx2 shows what a processor without AVX-512 would do, avx512 one\nwithout matrix tiles."
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
    /// Where the part `step` is computed: cpu, cuda, cuda:1.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
    /// Factors of the flow's matrix products, as train.matmul says: f32 or tf32.
    #[arg(long, value_name = "KIND", default_value = "f32")]
    pub matmul: String,
}

/// `hgad runs`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad runs                               all runs below ./runs, the newest last\n  hgad runs --name demo --sort image      the best last\n  hgad runs runs/ablation-priors --json\n\nA run is at DIR/NAME/ID (--json has its path). image, pixel and AUPRO are means over classes: of the\nlast pass where the run is finished, else of the last that was tested. time is all that a finished\nrun took, and the passes so far of another; go on with one that is stopped by\n`hgad experiment NAME --resume=DIR/NAME/ID`."
)]
pub struct RunsArguments {
    /// The folder of runs, or one above.
    #[arg(value_name = "DIR", default_value = "runs")]
    pub dir: PathBuf,
    /// Only runs with that in their names.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// What they are sorted by; the largest, or last, comes last.
    #[arg(long, value_name = "KEY", default_value = "started")]
    pub sort: SortKey,
    /// The other way round.
    #[arg(long)]
    pub reverse: bool,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// What runs are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SortKey {
    /// When it was begun.
    Started,
    /// Name, then when it was begun.
    Name,
    /// How far it is.
    State,
    /// Seed.
    Seed,
    /// Kind of prior.
    Prior,
    /// Image AUROC.
    Image,
    /// Pixel AUROC.
    Pixel,
    /// AUPRO.
    Aupro,
    /// What it took.
    Time,
    /// Size on disk.
    Size,
}

/// `hgad doctor`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad doctor\n  hgad doctor --root /data/mvtec --root btad=/data/btad\n  hgad doctor --json | jq .problems\n\nExit codes: 0 all is well; 1 something is wrong, each with its way out. Nothing is sent or downloaded,\nand nothing is left behind: whether a folder can be written to is found by a file that is removed."
)]
pub struct DoctorArguments {
    /// A folder of data to look at; may be given again. SET=DIR says which data set it should be, a
    /// name of `hgad datasets list` or a descriptor (.toml).
    #[arg(long, value_name = "[SET=]DIR")]
    pub root: Vec<String>,
    /// The folder of runs.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// The folder of cached features, where it is not the default.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// `hgad completions`
#[derive(Debug, Args)]
#[command(
    after_help = "Where the script goes:\n  bash         hgad completions bash > ~/.local/share/bash-completion/completions/hgad\n  zsh          hgad completions zsh > ~/.zfunc/_hgad\n               and in ~/.zshrc, before compinit: fpath+=~/.zfunc\n  fish         hgad completions fish > ~/.config/fish/completions/hgad.fish\n  powershell   hgad completions powershell >> $PROFILE\n  elvish       hgad completions elvish > ~/.config/elvish/lib/hgad.elv\n               and in ~/.config/elvish/rc.elv: use hgad\n\nA new shell has them. Make the folders first where there are none."
)]
pub struct CompletionsArguments {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `hgad man`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad man | man -l -                     the program's page\n  hgad man datasets check | man -l -      a command's\n  hgad man --out ~/.local/share/man/man1  all of them, for `man hgad` and `man hgad-experiment`\n\nman looks there where ~/.local/bin is in PATH; /usr/local/share/man/man1 is for all users."
)]
pub struct ManArguments {
    /// The command whose page is printed; the program's own without.
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Writes the pages of the program and of all commands there instead.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub out: Option<PathBuf>,
}

/// A rate between 0 and 1.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate < 1.0 => Ok(rate),
        _ => Err("expected a rate between 0 and 1, such as 0.05".into()),
    }
}
