//! Checkpoints of the authors' PyTorch code: the same scores, and back under the same names.

use candle_core::{Device, Tensor};
use hgad_experiment::exchange::{Checkpoint, ImportRequest, Sizes, export, import};
use hgad_experiment::{Config, ExperimentError, LevelShape, Model, RunFolder, Silent, model_file};
use hgad_scores::Wanted;
use std::collections::HashMap;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

const FILE: &str = "tests/fixtures/published.pt";

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The model of a checkpoint, on maps of the fixture's sizes.
fn model(checkpoint: &mut Checkpoint) -> Model {
    let sizes = checkpoint.sizes;
    let mut config = Config::default();
    config.flow.blocks = sizes.blocks;
    config.flow.condition = sizes.condition;
    config.prior.centers = sizes.centers;
    let shapes = [8, 4].map(|s| LevelShape { height: s, width: s, channels: sizes.dim });
    let classes: Vec<String> = (0..sizes.classes).map(|c| format!("class {c}")).collect();
    let model = Model::new(&config, &shapes, &classes, &Device::Cpu).unwrap();
    let order: Vec<usize> = (0..sizes.classes).collect();
    model.load(&checkpoint.state(&order).unwrap()).unwrap();
    model.track(false);
    model
}

#[test]
fn scores_are_the_authors() {
    let file = "tests/fixtures/published.safetensors";
    let t: HashMap<String, Tensor> = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let mut checkpoint = Checkpoint::open(Path::new(FILE)).unwrap();
    let expected = Sizes {
        levels: 2,
        dim: 69,
        blocks: 2,
        condition: 8,
        hidden_factor: 2,
        classes: 6,
        centers: 4,
    };
    assert_eq!(checkpoint.sizes, expected);
    assert_eq!((checkpoint.epoch, checkpoint.passes()), (Some(41), 42));
    assert!(checkpoint.ignored.is_empty(), "{:?}", checkpoint.ignored);
    let model = model(&mut checkpoint);
    let labels: Vec<u32> = values(&t["labels"]).iter().map(|y| *y as u32).collect();
    let wanted = Wanted { entropy: true, ..Wanted::default() };
    for (l, level) in model.levels.iter().enumerate() {
        let x = values(&t[&format!("level{l}.x")]);
        let len = level.shape.len();
        let read = |i: usize, out: &mut Vec<f32>| {
            out.extend_from_slice(&x[i * len..(i + 1) * len]);
            Ok(())
        };
        let got = level.scores(&labels, wanted, 4096, read).unwrap();
        let terms = [("likelihood", got.likelihood), ("neg_entropy", got.neg_entropy.unwrap())];
        for (name, got) in terms {
            let expected = values(&t[&format!("level{l}.{name}")]);
            assert_eq!(got.len(), expected.len());
            for (a, b) in got.iter().zip(&expected) {
                let error = (a - b).abs() / b.abs().max(1.0);
                assert!(error < 1e-5, "{name} of level {l}: {a} instead of {b}");
            }
        }
    }
}

fn settings() -> Vec<String> {
    let set = [
        "data.img_size=64",
        "data.mask_size=64",
        "data.synthetic.size=64",
        "backbone.taps=[8]",
        "backbone.pyramid=2",
    ];
    set.map(String::from).to_vec()
}

fn request(file: &Path, out: &Path) -> ImportRequest {
    ImportRequest {
        file: file.into(),
        experiment: "demo".into(),
        set: settings(),
        classes: None,
        out: Some(out.into()),
    }
}

#[test]
fn what_is_exported_is_what_was_imported() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let imported = import(&request(Path::new(FILE), &run), &Silent).unwrap();
    assert_eq!(imported.passes, 42);
    assert!(imported.run.is_imported() && !imported.run.is_finished());
    let original = parameters(Path::new(FILE));
    for name in ["again.pt", "again.safetensors"] {
        let out = place.path().join(name);
        let (written, classes) = export(&run, Some(&out)).unwrap();
        assert_eq!((&written, classes.len()), (&out, 6));
        assert_eq!(Checkpoint::open(&out).unwrap().epoch, Some(41));
        let again = parameters(&out);
        assert_eq!(original.len(), again.len());
        for (key, value) in &original {
            assert_eq!(value, &again[key], "{key} in {name}");
        }
    }
    // A folder that is taken is left as it is.
    let error = import(&request(Path::new(FILE), &run), &Silent).unwrap_err();
    assert!(error.is_users() && error.to_string().contains("exists already"), "{error}");
    // The same model, the same bytes.
    let (a, b) = (place.path().join("a.pt"), place.path().join("b.pt"));
    export(&run.join("model.safetensors"), Some(&a)).unwrap();
    export(&run, Some(&b)).unwrap();
    assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap());
}

fn parameters(file: &Path) -> HashMap<String, Vec<f32>> {
    let mut checkpoint = Checkpoint::open(file).unwrap();
    let order: Vec<usize> = (0..checkpoint.sizes.classes).collect();
    let state = checkpoint.state(&order).unwrap();
    state.iter().map(|(name, t)| (name.clone(), values(t))).collect()
}

/// Torch itself reads what was exported, where HGAD_PEER_PYTHON names an interpreter that has it.
#[test]
fn torch_reads_what_is_exported() {
    let Ok(python) = std::env::var("HGAD_PEER_PYTHON") else {
        println!("skipped: HGAD_PEER_PYTHON names no Python with torch");
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    import(&request(Path::new(FILE), &run), &Silent).unwrap();
    let (file, _) = export(&run, None).unwrap();
    let code = "import sys, torch
a, b = (torch.load(f, weights_only=True) for f in sys.argv[1:])
assert a.keys() == b.keys(), (a.keys(), b.keys())
assert a['epoch'] == b['epoch'] and len(a['nfs']) == len(b['nfs'])
pairs = [(a[k], b[k]) for k in a if k not in ('epoch', 'nfs')] + list(zip(a['nfs'], b['nfs']))
for x, y in pairs:
    assert set(x) == set(y), (set(x) ^ set(y))
    for k in x:
        assert x[k].dtype == y[k].dtype and torch.equal(x[k], y[k]), k
print('equal', sum(len(x) for x, _ in pairs))";
    let run = std::process::Command::new(python).args(["-c", code, FILE]).arg(&file).output();
    let output = run.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.trim(), "equal 40");
}

#[test]
fn classes_come_in_the_order_of_the_data_set() {
    let place = tempfile::tempdir().unwrap();
    let names = ["wood", "board", "leather", "capsule", "gear", "fabric"].map(String::from);
    let mut asked = request(Path::new(FILE), &place.path().join("run"));
    asked.classes = Some(names.to_vec());
    let imported = import(&asked, &Silent).unwrap();
    let sorted = ["board", "capsule", "fabric", "gear", "leather", "wood"];
    assert_eq!(imported.classes, sorted);
    let (model, _) = model_file::load(&imported.run.model(), &Device::Cpu).unwrap();
    let state: HashMap<String, Tensor> = model.state().into_iter().collect();
    let file = parameters(Path::new(FILE));
    for name in ["levels.1.prior.mu", "levels.0.prior.delta", "levels.1.prior.phi_inter"] {
        let (ours, theirs) = (values(&state[name]), &file[name]);
        let row = theirs.len() / 6;
        for (i, class) in sorted.iter().enumerate() {
            let place = names.iter().position(|n| n == class).unwrap();
            assert_eq!(ours[i * row..][..row], theirs[place * row..][..row], "{name} of {class}");
        }
    }
    for (names, word) in [(&names[..5], "6 classes"), (&["a"; 6].map(String::from), "board")] {
        asked.classes = Some(names.to_vec());
        asked.out = Some(place.path().join("other"));
        let error = import(&asked, &Silent).unwrap_err();
        assert!(error.is_users() && error.to_string().contains(word), "{error}");
    }
    assert!(!place.path().join("other").exists());
}

fn refusal(file: &Path, change: impl FnOnce(&mut ImportRequest)) -> String {
    let place = tempfile::tempdir().unwrap();
    let mut asked = request(file, &place.path().join("run"));
    change(&mut asked);
    let error: ExperimentError = import(&asked, &Silent).unwrap_err();
    assert!(error.is_users(), "{error}");
    assert!(!place.path().join("run").exists(), "a folder was left behind: {error}");
    error.to_string()
}

#[test]
fn settings_that_do_not_fit_the_file() {
    for (setting, words) in [
        ("flow.blocks=12", ["flow.blocks=12", "has 2"]),
        ("prior.kind=single", ["prior.kind=single", "hierarchical"]),
        ("backbone.pyramid=1", ["2 level(s) of 69", "gives 1 level(s)"]),
        ("data.img_size=32", ["32", "pyramid"]),
    ] {
        let message = refusal(Path::new(FILE), |r| r.set.push(setting.into()));
        words.iter().for_each(|w| assert!(message.contains(w), "`{w}` in: {message}"));
    }
    // What the file says may be said again.
    let place = tempfile::tempdir().unwrap();
    let mut asked = request(Path::new(FILE), &place.path().join("run"));
    let said = ["flow.blocks=2", "prior.kind=hierarchical", "flow.kind=coupling"];
    asked.set.extend(said.map(String::from));
    import(&asked, &Silent).unwrap();
}

#[test]
fn a_flow_that_the_authors_code_has_not() {
    let kind = |error: ExperimentError| match error {
        ExperimentError::Setting { key, value, reason } => (key, value, reason),
        other => panic!("{other}"),
    };
    for (setting, key, value, way_out) in [
        ("flow.kind=glow", "flow.kind", "glow", "--set flow.kind=coupling"),
        ("flow.kind=fastflow", "flow.kind", "fastflow", "--set flow.kind=coupling"),
        ("flow.permutation=lu", "flow.permutation", "lu", "--set flow.permutation=soft"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let mut asked = request(Path::new(FILE), &place.path().join("run"));
        asked.set.push(setting.into());
        let (found, of, reason) = kind(import(&asked, &Silent).unwrap_err());
        assert_eq!((found, of.as_str()), (key, value), "{reason}");
        assert!(reason.contains(way_out) && reason.contains("published.pt"), "{reason}");
        assert!(!place.path().join("run").exists(), "a folder was left behind");
    }
    // Where the experiment sets it and not the command line.
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("mine.toml");
    let pieces = "extends = [\"backbone/scattering\", \"flow/glow\", \"prior/hierarchical\"]";
    std::fs::write(&file, format!("{pieces}\n[data]\nset = \"synthetic\"\n")).unwrap();
    let mut asked = request(Path::new(FILE), &place.path().join("run"));
    asked.experiment = file.display().to_string();
    let (found, _, reason) = kind(import(&asked, &Silent).unwrap_err());
    assert!(found == "flow.kind" && reason.contains("mine.toml"), "{reason}");
    asked.set.push("flow.kind=coupling".into());
    import(&asked, &Silent).unwrap();
}

/// The fixture with some entries of its archive changed: `change` gets a name and its bytes.
fn changed(to: &Path, mut change: impl FnMut(&str, &mut Vec<u8>)) -> PathBuf {
    let mut old = ZipArchive::new(std::fs::File::open(FILE).unwrap()).unwrap();
    let mut new = ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..old.len() {
        let mut entry = old.by_index(i).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        change(&name, &mut bytes);
        let options = SimpleFileOptions::default();
        new.start_file(name, options.compression_method(zip::CompressionMethod::Stored)).unwrap();
        new.write_all(&bytes).unwrap();
    }
    std::fs::write(to, new.finish().unwrap().into_inner()).unwrap();
    to.into()
}

/// Replaces the first `from` in `bytes`.
fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    bytes.splice(at..at + from.len(), to.iter().copied());
}

#[test]
fn files_that_are_no_checkpoint() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(at(name), bytes).unwrap();
        at(name)
    };
    let whole = std::fs::read(FILE).unwrap();
    let in_pickle = |from: &'static [u8], to: &'static [u8]| {
        changed(&at("changed.pt"), |name, bytes| {
            if name.ends_with("data.pkl") {
                replace(bytes, from, to);
            }
        })
    };
    let none = |_: &mut ImportRequest| {};
    let cases: [(PathBuf, &str); 5] = [
        (write("text.pt", b"hello"), "no zip archive"),
        (write("old.pt", b"\x80\x02\x8a\x0a"), "before 1.6"),
        (write("half.pt", &whole[..whole.len() / 2]), "no whole file"),
        (write("empty.safetensors", b""), "safetensors"),
        (PathBuf::from("../losses/tests/fixtures/flow_for_losses.safetensors"), "has no `nfs.0"),
    ];
    for (file, word) in cases {
        let message = refusal(&file, none);
        assert!(message.contains(word), "`{word}` in: {message}");
    }
    // What a pickle would execute is data here, and no parameter.
    let message =
        refusal(&in_pickle(b"ctorch._utils\n_rebuild_tensor_v2\n", b"cos\nsystem\n"), none);
    assert!(message.contains("nfs.0.module_list.0.global_scale"), "{message}");
    let message = refusal(&in_pickle(b"X\x03\x00\x00\x00mus", b"X\x03\x00\x00\x00mis"), none);
    assert!(message.contains("`mus.0` is missing"), "{message}");
    let message = refusal(&in_pickle(b"FloatStorage", b"IntStorage"), none);
    assert!(message.contains("IntStorage"), "{message}");
    // (1, 69) with a length that no storage has.
    let message = refusal(&in_pickle(b"K\x01KE\x86", b"K\x01J\xff\xff\xff\x7f\x86"), none);
    assert!(message.contains("2147483647"), "{message}");
    let short = changed(&at("short.pt"), |name, bytes| {
        if name.ends_with("data/2") {
            bytes.truncate(100);
        }
    });
    let message = refusal(&short, none);
    assert!(message.contains("more numbers than its storage has (25)"), "{message}");
    let not_finite = changed(&at("nan.pt"), |name, bytes| {
        if name.ends_with("data/4") {
            bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
    });
    let message = refusal(&not_finite, none);
    assert!(message.contains("not finite") && message.contains("nfs.0"), "{message}");
    let swapped = changed(&at("big.pt"), |name, bytes| {
        if name.ends_with("byteorder") {
            *bytes = b"big".to_vec();
        }
    });
    assert!(refusal(&swapped, none).contains("little-endian"));
}

/// Whatever byte is changed: an error, or a model; never a panic.
#[test]
fn damage_is_told() {
    let place = tempfile::tempdir().unwrap();
    let whole = std::fs::read(FILE).unwrap();
    let pickle = whole.windows(4).position(|w| w == b"\x80\x02}q").unwrap();
    let file = place.path().join("damaged.pt");
    let mut told = 0;
    for i in 0..600 {
        let mut bytes = whole.clone();
        // Most in the pickle, with its checksum left wrong or mended by writing it anew.
        let at = pickle + i * 7 % 5000;
        bytes[at] = bytes[at].wrapping_add(1 + (i % 255) as u8);
        if i % 2 == 0 {
            std::fs::write(&file, &bytes).unwrap();
        } else {
            changed(&file, |name, entry| {
                if name.ends_with("data.pkl") {
                    *entry = bytes[pickle..pickle + entry.len()].to_vec();
                }
            });
        }
        let read = Checkpoint::open(&file).and_then(|mut c| {
            let order: Vec<usize> = (0..c.sizes.classes).collect();
            c.state(&order).map(|_| ())
        });
        told += usize::from(read.is_err());
    }
    assert!(told > 400, "only {told} of 600 damages were told");
}

#[test]
fn unknown_keys_are_named_and_ignored() {
    let place = tempfile::tempdir().unwrap();
    let file = changed(&place.path().join("more.pt"), |name, bytes| {
        if name.ends_with("data.pkl") {
            // The whole dictionary gets one more entry before its end.
            let end = bytes.len() - 1;
            bytes.splice(end..end, b"X\x09\x00\x00\x00optimizer}s".iter().copied());
        }
    });
    let checkpoint = Checkpoint::open(&file).unwrap();
    assert_eq!(checkpoint.ignored, ["optimizer"]);
    let run = place.path().join("run");
    let imported = import(&request(&file, &run), &Silent).unwrap();
    assert_eq!(imported.ignored, ["optimizer"]);
    let origin = std::fs::read_to_string(RunFolder::open(&run).unwrap().origin()).unwrap();
    assert!(origin.contains("optimizer") && origin.contains("more.pt"), "{origin}");
}
