//! ROC and precision-recall curves against scikit-learn (`fixtures/curves.py`).

use hgad_metrics::{Curves, MetricError, RocPoint, auroc, average_precision, curves, f1_max};
use safetensors::SafeTensors;

const TOLERANCE: f64 = 1e-9;
const ALL: usize = usize::MAX;

struct Fixture(Vec<u8>);

impl Fixture {
    fn open(name: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
        Self(std::fs::read(format!("{folder}{name}.safetensors")).unwrap())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().data().to_vec()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.bytes(name)
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    fn doubles(&self, name: &str) -> Vec<f64> {
        self.bytes(name)
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    fn bools(&self, name: &str) -> Vec<bool> {
        self.bytes(name).iter().map(|&b| b != 0).collect()
    }
}

fn case(name: &str) -> (Vec<f32>, Vec<bool>) {
    let f = Fixture::open("metrics");
    (f.floats(&format!("{name}.scores")), f.bools(&format!("{name}.labels")))
}

/// Whether (x, y) is on the polyline.
fn is_on(line: &[RocPoint], x: f64, y: f64) -> bool {
    line.windows(2).any(|pair| {
        let ([x0, y0], [x1, y1]) = (xy(&pair[0]), xy(&pair[1]));
        let inside = x >= x0 - TOLERANCE && x <= x1 + TOLERANCE;
        inside
            && match x1 - x0 < TOLERANCE {
                true => y >= y0 - TOLERANCE && y <= y1 + TOLERANCE,
                false => (y0 + (x - x0) / (x1 - x0) * (y1 - y0) - y).abs() < TOLERANCE,
            }
    })
}

fn xy(p: &RocPoint) -> [f64; 2] {
    [p.false_positive_rate, p.true_positive_rate]
}

/// Area below the polyline.
fn area(c: &Curves) -> f64 {
    let of = |pair: &[RocPoint]| {
        let ([x0, y0], [x1, y1]) = (xy(&pair[0]), xy(&pair[1]));
        (x1 - x0) * (y0 + y1) / 2.0
    };
    c.roc.windows(2).map(of).sum()
}

/// Area below the steps.
fn steps(c: &Curves) -> f64 {
    let mut recall = 0.0;
    let of = |p: &hgad_metrics::PrecisionRecallPoint| {
        (p.recall - std::mem::replace(&mut recall, p.recall)) * p.precision
    };
    c.precision_recall.iter().map(of).sum()
}

#[test]
fn roc_is_scikit_learns() {
    let f = Fixture::open("curves");
    for name in ["small", "ties", "large"] {
        let (scores, labels) = case(name);
        let ours = curves(&scores, &labels, ALL).unwrap();
        let [fpr, tpr] = ["fpr", "tpr"].map(|k| f.doubles(&format!("{name}.{k}")));
        for (x, y) in fpr.iter().zip(&tpr) {
            assert!(is_on(&ours.roc, *x, *y), "{name}: ({x}, {y}) is not on the curve");
        }
        // Every vertex of ours is one of theirs, where theirs are all there.
        for p in ours.roc.iter().filter(|_| name != "large") {
            let same = |(x, y): (&f64, &f64)| {
                (x - p.false_positive_rate).abs() + (y - p.true_positive_rate).abs() < TOLERANCE
            };
            assert!(fpr.iter().zip(&tpr).any(same), "{name}: {p:?}");
        }
        assert!((area(&ours) - auroc(&scores, &labels).unwrap()).abs() < TOLERANCE, "{name}");
    }
}

#[test]
fn precision_and_recall_are_scikit_learns() {
    let f = Fixture::open("curves");
    for name in ["small", "ties", "large"] {
        let (scores, labels) = case(name);
        let ours = curves(&scores, &labels, ALL).unwrap();
        let of = |k: &str| f.doubles(&format!("{name}.{k}"));
        let (precision, recall) = (of("precision"), of("recall"));
        let mut found = 0;
        for (i, t) in f.floats(&format!("{name}.thresholds")).iter().enumerate() {
            // Only thresholds at anomalous scores are vertices of ours.
            let Some(p) = ours.precision_recall.iter().find(|p| p.threshold == *t) else {
                continue;
            };
            found += 1;
            assert!((p.precision - precision[i]).abs() < TOLERANCE, "{name}: {p:?}");
            assert!((p.recall - recall[i]).abs() < TOLERANCE, "{name}: {p:?}");
        }
        assert!(found == ours.precision_recall.len() || (name == "large" && found > 50), "{name}");
        let ap = average_precision(&scores, &labels).unwrap();
        assert!((steps(&ours) - ap).abs() < TOLERANCE, "{name}");
        assert_eq!(ours.best, f1_max(&scores, &labels).unwrap());
    }
}

#[test]
fn thinned_curves_keep_their_shape() {
    let (scores, labels) = case("large");
    let whole = curves(&scores, &labels, ALL).unwrap();
    for points in [20, 200] {
        let thin = curves(&scores, &labels, points).unwrap();
        assert!(thin.roc.len() <= points && thin.precision_recall.len() <= points);
        assert!(thin.roc.len() > points / 2, "{} of {points}", thin.roc.len());
        for p in &thin.roc {
            assert!(is_on(&whole.roc, p.false_positive_rate, p.true_positive_rate));
        }
        assert!(thin.precision_recall.iter().all(|p| whole.precision_recall.contains(p)));
        assert!((area(&thin) - area(&whole)).abs() < 2.0 / points as f64);
        assert!((steps(&thin) - steps(&whole)).abs() < 2.0 / points as f64);
        let ends = [thin.roc[0], thin.roc[thin.roc.len() - 1]].map(|p| xy(&p));
        assert_eq!(ends, [[0.0, 0.0], [1.0, 1.0]]);
        assert_eq!(thin.precision_recall.last(), whole.precision_recall.last());
    }
    let few = curves(&scores, &labels, 0).unwrap();
    assert!(few.roc.len() >= 2 && few.roc.len() <= 4, "{:?}", few.roc);
}

#[test]
fn known_by_hand() {
    let c = curves(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true], ALL).unwrap();
    let roc: Vec<[f64; 2]> = c.roc.iter().map(xy).collect();
    assert_eq!(roc, [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]);
    let pr: Vec<[f64; 2]> = c.precision_recall.iter().map(|p| [p.recall, p.precision]).collect();
    assert_eq!(pr, [[0.5, 1.0], [1.0, 2.0 / 3.0]]);
    assert_eq!(curves(&[1.0], &[true], 9), Err(MetricError::NoNegatives { count: 1 }));
}
