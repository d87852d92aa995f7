//! Whole pages of hostile, empty and compared reports.

use hgad_report::*;

const HOSTILE: &str = "a<script>alert(1)</script>\"'&";
const SECTIONS: [&str; 8] =
    ["classes", "likelihoods", "scores", "curves", "gallery", "latents", "training", "settings"];

/// A report with something in every part, all its texts `text`.
fn report(text: &str) -> Report {
    let t = || text.to_string();
    let row = |name: String, v: f64| ScoreRow {
        name,
        values: vec![Some(v), None],
        published: vec![Some(0.875)],
        undefined: Some(t()),
    };
    let pass = |pass: usize| Pass {
        pass,
        loss: 3.0 / pass as f64,
        terms: vec![(t(), 1.0)],
        rate: 0.1,
        image_auroc: (pass == 2).then_some(0.75),
        pixel_auroc: None,
    };
    let pair = || CurvePair {
        roc: vec![[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
        precision_recall: vec![[0.5, 1.0], [1.0, 0.5]],
    };
    let image = GalleryImage {
        id: format!("{text}/x.png"),
        defect: Some(t()),
        score: 0.5,
        f1: Some(0.25),
        input: Picture::jpeg(b"\xff\xd8\xff picture"),
        map: Picture::jpeg(b"\xff\xd8\xff map"),
        mask: outline(&[1.0; 4], 2, 0.5),
        ..Default::default()
    };
    let histogram = Histogram { class: t(), normal: vec![1, 2], anomalous: vec![2, 1] };
    let latent = LatentClass {
        class: t(),
        normal: vec![[0.0, 1.0]],
        anomalous: vec![[1.0, 0.0]],
        center: Some([0.5, 0.5]),
    };
    let level = |level: &str| LevelLikelihoods {
        level: level.into(),
        low: -1.0,
        high: 0.0,
        classes: vec![histogram.clone()],
    };
    Report {
        schema: SCHEMA,
        name: t(),
        id: t(),
        about: t(),
        data_set: t(),
        facts: vec![(t(), t())],
        scores: ScoreTable {
            metrics: ["image AUROC", text].map(|m| Metric { title: m.into(), about: t() }).into(),
            classes: vec![row(t(), 0.625), row("second".into(), 0.5)],
            mean: row("mean".into(), 0.5625),
            best: Some(BestPass { pass: 2, values: vec![Some(0.75), None] }),
        },
        training: Training { passes: vec![pass(1), pass(2)], second_stage: Some(2) },
        likelihoods: vec![level(text), level("8 × 8")],
        image_scores: vec![ImageScores {
            counts: histogram.clone(),
            threshold: calibrated(text),
            false_alarms: Some(0.125),
            found: None,
        }],
        curves: vec![ClassCurves { class: t(), image: pair(), pixel: pair() }],
        latents: vec![LatentLevel { level: t(), classes: vec![latent], ..Default::default() }],
        gallery: vec![GalleryClass {
            class: t(),
            threshold: Some(calibrated(text)),
            images: vec![image],
        }],
        map_size: 2,
        settings: vec![(t(), t())],
        versions: vec![(t(), t())],
        seconds: vec![("total".into(), 3.0)],
    }
}

fn calibrated(text: &str) -> Threshold {
    Threshold { value: 0.5, origin: text.into(), calibrated: true }
}

/// What stands in tags, and the text between them, styles and scripts left out.
fn split(html: &str) -> (Vec<&str>, String) {
    let (mut tags, mut text, mut rest) = (Vec::new(), String::new(), html);
    while let Some((before, after)) = rest.split_once('<') {
        text += before;
        let (tag, after) = after.split_once('>').expect("every tag ends");
        tags.push(tag);
        rest = match tag {
            "style" => after.split_once("</style>").unwrap().1,
            "script" => after.split_once("</script>").unwrap().1,
            _ => after,
        };
    }
    (tags, text + rest)
}

/// Every element is closed in its turn.
#[track_caller]
fn is_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in split(html).0 {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        let is_void = ["!DOCTYPE", "meta", "link", "img", "input"].contains(&name);
        if is_void || tag.ends_with('/') || ["style", "script"].contains(&name) {
            continue;
        }
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "closed by </{name}>"),
            false => open.push(name),
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

/// All that a browser would load is in the page.
#[track_caller]
fn is_alone(html: &str) {
    for start in ["src=\"", "href=\"", "url("] {
        for (i, part) in html.split(start).enumerate().skip(1) {
            let here = part.starts_with("data:") || part.starts_with('#');
            assert!(here, "{start} number {i}: {}", &part[..part.len().min(60)]);
        }
    }
    for word in ["@import", "fetch(", "XMLHttpRequest", "import(", "srcset", "<iframe", "<base"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn a_page_has_all_parts_and_needs_nothing_else() {
    let html = page(&report("plain https://example.org"));
    for id in SECTIONS {
        assert!(html.contains(&format!("<section id=\"{id}\"")), "{id}");
        assert!(html.contains(&format!("<a href=\"#{id}\">")), "a link to {id}");
    }
    is_well_formed(&html);
    is_alone(&html);
    for part in
        ["0.5625", "paper 0.875", "best pass 0.7500", "second stage", "0.500, plain", "fit 0.25"]
    {
        assert!(html.contains(part), "{part}");
    }
    for part in ["false alarms 12.5 %", "<g class=\"mark limit\">", "The threshold is plain"] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("prefers-color-scheme: dark"));
    // An address is a picture once, whatever the number of panels that show it.
    assert_eq!(html.matches("data:image/jpeg").count(), 2);
}

#[test]
fn a_gallery_says_which_threshold_it_is() {
    let mut r = report("plain");
    let says = |r: &Report, words: [bool; 3]| {
        let html = page(r);
        let all = ["is the calibrated one", "no calibrated threshold", "elsewhere the score rule"];
        assert_eq!(all.map(|w| html.contains(w)), words);
    };
    says(&r, [true, false, false]);
    let mut other = r.gallery[0].clone();
    other.threshold = Some(Threshold { calibrated: false, ..calibrated("best") });
    r.gallery.push(other);
    says(&r, [false, false, true]);
    r.gallery.remove(0);
    r.image_scores.clear();
    says(&r, [false, true, false]);
    assert!(!page(&r).contains("<section id=\"scores\""), "there is no threshold to show");
    r.gallery[0].threshold = None;
    says(&r, [false; 3]);
    // A report of an earlier version knows nothing of it.
    let mut old = serde_json::to_value(report("plain")).unwrap();
    old.as_object_mut().unwrap().remove("image_scores");
    old["gallery"][0]["threshold"].as_object_mut().unwrap().remove("calibrated");
    says(&serde_json::from_value(old).unwrap(), [false, true, false]);
}

#[test]
fn what_comes_from_outside_is_text() {
    let plain = page(&report("plain"));
    let hostile = report(HOSTILE);
    let html = page(&hostile);
    is_well_formed(&html);
    is_alone(&html);
    assert!(!html.contains("<script>alert"), "a script came in");
    assert_eq!(split(&html).0.len(), split(&plain).0.len(), "a tag came in or was lost");
    assert!(html.contains("a&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
    // Attributes stay in their quotes: what is outside of them has none of the text.
    for tag in split(&html).0 {
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(!outside.contains("alert"), "<{tag}>");
    }
    let both = comparison(&[hostile.clone(), hostile]);
    is_well_formed(&both);
    is_alone(&both);
    assert!(!both.contains("<script>alert"));
    // A damaged file cannot bring an address of its own.
    let json = serde_json::to_string(&report("plain")).unwrap();
    let damaged = json.replace(&json_of_picture(), "\"x) url(//evil\"");
    let html = page(&serde_json::from_str(&damaged).unwrap());
    assert!(!html.contains("evil"));
    is_alone(&html);
}

fn json_of_picture() -> String {
    serde_json::to_string(&Picture::jpeg(b"\xff\xd8\xff picture")).unwrap()
}

#[test]
fn an_empty_report_has_only_what_there_is() {
    let html = page(&Report::default());
    is_well_formed(&html);
    for id in ["likelihoods", "scores", "curves", "gallery", "latents"] {
        assert!(!html.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(html.contains("taken over from another run"));
    is_well_formed(&comparison(&[]));
    is_well_formed(&comparison(&[Report::default(), Report::default()]));
}

#[test]
fn stored_and_read_again_it_is_the_same() {
    let r = report(HOSTILE);
    let again: Report = serde_json::from_slice(&serde_json::to_vec(&r).unwrap()).unwrap();
    assert_eq!(again, r);
}

#[test]
fn a_comparison_tells_what_differs() {
    let a = report("plain");
    let mut b = a.clone();
    b.name = "other".into();
    b.scores.mean.values[0] = Some(0.9375);
    b.settings = vec![("plain".into(), "changed".into())];
    let html = comparison(&[a.clone(), b.clone()]);
    is_well_formed(&html);
    is_alone(&html);
    for part in ["0.5625", "0.9375", ">other<", "changed", "plain/x.png"] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html.matches("class=\"panels\"").count(), 2, "the image from each run");
    // Equal settings are not listed, and other images are not put beside each other.
    b.settings = a.settings.clone();
    b.gallery[0].images[0].id = "elsewhere".into();
    let html = comparison(&[a.clone(), b]);
    assert!(html.contains("All settings are equal") && !html.contains("class=\"panels\""));
    // Runs of one experiment are told apart by their names, or by numbers.
    let html = comparison(&[a.clone(), Report { id: "late".into(), ..a.clone() }]);
    assert!(html.contains(">late<"));
    assert!(comparison(&[a.clone(), a]).contains(">2 plain<"));
}
