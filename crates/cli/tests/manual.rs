//! Completions and manual pages.

mod common;

use common::{Place, fail, succeed};
use std::path::Path;
use std::process::Command;

/// The commands that `hgad --help` lists.
fn commands(place: &Place) -> Vec<String> {
    let help = succeed(place.command(&["--help"]));
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|l| l.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|n| !n.is_empty() && *n != "help");
    names.map(str::to_string).collect()
}

#[test]
fn every_shell_has_a_script() {
    let place = Place::new();
    let commands = commands(&place);
    assert!(commands.len() >= 18, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeed(place.command(&["completions", shell]));
        for command in &commands {
            assert!(script.contains(command.as_str()), "{command} for {shell}");
        }
        for option in ["log-format", "tensorboard"] {
            assert!(script.contains(option), "{option} for {shell}");
        }
    }
    let (code, printed) = fail(place.command(&["completions", "tcsh"]));
    assert!(code == 2 && printed.contains("elvish"), "{printed}");
    let help = succeed(place.command(&["completions", "--help"]));
    for place in ["bash-completion/completions/hgad", "_hgad", "hgad.fish", "$PROFILE", "hgad.elv"]
    {
        assert!(help.contains(place), "{place} in {help}");
    }
}

/// Bash itself completes with it.
#[test]
#[cfg(unix)]
fn bash_completes() {
    if !Command::new("bash").arg("--version").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: there is no bash");
        return;
    }
    let place = Place::new();
    let script = place.path().join("hgad.bash");
    std::fs::write(&script, succeed(place.command(&["completions", "bash"]))).unwrap();
    let completed = |words: &[&str]| {
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let code = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; _hgad hgad '{last}' '{before}'; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &code]).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", common::text(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    };
    assert_eq!(completed(&["hgad", "doc"]), "doctor");
    assert_eq!(completed(&["hgad", "experiment", "--tens"]), "--tensorboard");
    assert_eq!(completed(&["hgad", "runs", "--sort", "pix"]), "pixel");
}

#[test]
fn a_page_for_every_command() {
    let place = Place::new();
    let printed = succeed(place.command(&["man", "--out", "pages"]));
    let pages: Vec<_> = std::fs::read_dir(place.path().join("pages"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(printed.contains(&format!("{} pages", pages.len())), "{printed}");
    let read = |name: &str| std::fs::read_to_string(place.path().join("pages").join(name)).unwrap();
    for command in commands(&place) {
        let page = read(&format!("hgad-{command}.1"));
        let has = |part: &str| page.contains(part);
        assert!(has(".TH") && has(".SH NAME") && has(".SH SYNOPSIS"), "{command}");
        // What all commands take is in each page.
        assert!(has("log\\-format"), "{command}");
        assert_eq!(page, succeed(place.command(&["man", &command])), "{command}");
    }
    assert!(read("hgad.1").contains("hgad\\-doctor(1)"));
    assert!(read("hgad-datasets-check.1").contains("datasets check"));
    assert_eq!(
        read("hgad-datasets-check.1"),
        succeed(place.command(&["man", "datasets", "check"]))
    );
    assert!(read("hgad-runs.1").contains(".nf"), "examples keep their lines");
    assert!(pages.iter().all(|p| !p.contains("help")), "{pages:?}");
    let (code, printed) = fail(place.command(&["man", "experimnt"]));
    assert!(code == 2 && printed.contains("experiment, "), "{printed}");
    if Path::new("/usr/bin/groff").exists() {
        let page = place.path().join("pages/hgad-ablation.1");
        let output =
            Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(page).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", common::text(&output));
    }
}
