//! What a user who asks for the wrong thing is told, and the exit code.

mod common;

use common::{Place, SMALL, fail, succeed};

#[track_caller]
fn refused(place: &Place, args: &[&str], code: i32, parts: &[&str]) {
    let (got, printed) = fail(place.command(args));
    for part in parts {
        assert!(printed.contains(part), "`{part}` in:\n{printed}");
    }
    assert_eq!(got, code, "{printed}");
    assert!(!printed.contains("panicked"), "{printed}");
}

#[test]
fn names_and_keys() {
    let place = Place::new();
    refused(&place, &["experiment", "hgad-mvtek"], 2, &["hgad-mvtek", "hgad-mvtec"]);
    refused(
        &place,
        &["experiment", "demo", "--set", "prior.centres=5"],
        2,
        &["centres", "centers"],
    );
    refused(
        &place,
        &["experiment", "demo", "--set", "train.batch=0"],
        2,
        &["train.batch", "at least 1"],
    );
    refused(
        &place,
        &["experiment", "demo", "--set", "prior.kind=double"],
        2,
        &["prior.kind", "hierarchical"],
    );
    refused(
        &place,
        &["experiment", "demo", "--set", "backbone.kind=resnet19"],
        2,
        &["resnet19", "resnet18"],
    );
    refused(&place, &["experiment", "demo", "--device", "gpu"], 2, &["device", "gpu", "cuda:1"]);
    refused(
        &place,
        &["experiment", "demo", "--set", "train.matmul=f16"],
        2,
        &["train.matmul", "tf32"],
    );
    // A build with the feature says that there is no such device.
    refused(&place, &["experiment", "demo", "--device", "cuda:99"], 2, &["cuda:99", "cpu"]);
    refused(&place, &["experiment", "demo", "--resume"], 2, &["no unfinished run"]);
    refused(&place, &["experiment", "demo", "--resume=nowhere"], 2, &["nowhere", "config.toml"]);
    refused(&place, &["evaluate", "nowhere"], 2, &["nowhere"]);
    refused(&place, &["datasets", "check", "imagenet"], 2, &["imagenet", "mvtec"]);
    std::fs::create_dir(place.path().join("experiments")).unwrap();
    std::fs::write(place.path().join("experiments/mine.toml"), "extends = [\"demo\"]\n[trian]\n")
        .unwrap();
    refused(&place, &["experiment", "mine"], 2, &["trian"]);
    std::fs::write(place.path().join("experiments/mine.toml"), "extends = [\"mine\"]").unwrap();
    refused(&place, &["experiment", "mine"], 2, &["extends itself"]);
}

#[test]
fn data_that_is_not_there() {
    let place = Place::new();
    for (name, words) in [
        ("hgad-mvtec", ["mvtec", "ground_truth", "https://", "licence"]),
        ("hgad-btad", ["btad", "ko", "https://", "licence"]),
        ("hgad-visa", ["visa", "1cls.csv", "https://", "licence"]),
        ("hgad-mvtec3d", ["mvtec3d", "rgb", "https://", "licence"]),
        ("hgad-union", ["mvtec", "data root", "https://", "licence"]),
        ("hgad-folder", ["folder", "train/good", "data", "data root"]),
    ] {
        refused(&place, &["experiment", name, "--set", "data.root=elsewhere"], 2, &words);
        refused(&place, &["experiment", name, "--set", "data.root=elsewhere"], 2, &["elsewhere"]);
    }
    refused(&place, &["datasets", "check", "mvtec", "--root", "elsewhere"], 2, &["elsewhere"]);
}

#[test]
fn a_diverged_run_says_so_and_stops() {
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    settings.extend(["train.rate=1e12", "train.warm_epochs=0", "train.epochs=4"]);
    let (code, printed) = fail(place.experiment("demo", &settings, &[]));
    assert_eq!(code, 1);
    assert!(printed.contains("the loss became") && printed.contains("train.rate="), "{printed}");
}

#[test]
fn too_few_images_for_a_batch() {
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    settings.push("train.batch=500");
    let (code, printed) = fail(place.experiment("demo", &settings, &[]));
    assert_eq!(code, 2);
    // Half of the 48 are held out.
    assert!(printed.contains("24 training images") && printed.contains("train.batch"), "{printed}");
}

#[test]
fn help_teaches() {
    let place = Place::new();
    let printed = succeed(place.command(&["--help"]));
    assert!(printed.contains("hgad experiment demo"), "{printed}");
    let printed = succeed(place.command(&["experiments"]));
    for name in [
        "demo",
        "hgad-mvtec",
        "hgad-btad",
        "hgad-visa",
        "hgad-mvtec3d",
        "hgad-union",
        "hgad-folder",
    ] {
        assert!(printed.contains(name), "{name}");
    }
    let printed = succeed(place.command(&["config", "hgad-mvtec", "--set", "seed=3"]));
    assert!(printed.contains("seed = 3") && printed.contains("img_size = 1024"), "{printed}");
    assert!(succeed(place.command(&["backbones"])).contains("tf_efficientnet_b6"));
    assert!(succeed(place.command(&["datasets", "list"])).contains("MVTec AD"));
}
