//! Against scikit-learn, and for AUPRO against its definition evaluated threshold by threshold.

use hgad_metrics::{MetricError, aupro, auroc, average_precision, binary_metrics, f1_max};
use safetensors::SafeTensors;

const TOLERANCE: f64 = 1e-9;

struct Fixture(Vec<u8>);

impl Fixture {
    fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metrics.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        file.tensor(name).unwrap().data().to_vec()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let to_float = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
        self.bytes(name).chunks_exact(4).map(to_float).collect()
    }

    fn bools(&self, name: &str) -> Vec<bool> {
        self.bytes(name).iter().map(|&b| b != 0).collect()
    }

    fn number(&self, name: &str) -> f64 {
        f64::from_le_bytes(self.bytes(name).try_into().unwrap())
    }
}

fn assert_near(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= TOLERANCE, "{what}: {got} is not {expected}");
}

#[test]
fn binary_metrics_equal_scikit_learn() {
    let f = Fixture::open();
    for case in ["small", "ties", "large"] {
        let scores = f.floats(&format!("{case}.scores"));
        let labels = f.bools(&format!("{case}.labels"));
        let [a, p, m] = ["auroc", "ap", "f1max"].map(|k| f.number(&format!("{case}.{k}")));
        assert_near(case, auroc(&scores, &labels).unwrap(), a);
        assert_near(case, average_precision(&scores, &labels).unwrap(), p);
        assert_near(case, f1_max(&scores, &labels).unwrap().f1, m);
        let all = binary_metrics(&scores, &labels).unwrap();
        assert_near(case, all.auroc, a);
        assert_near(case, all.ap, p);
        assert_near(case, all.f1_max, m);
        let called = |s: &f32| *s >= all.f1_threshold;
        let hits = scores.iter().zip(&labels).filter(|(s, l)| called(s) && **l).count();
        let calls = scores.iter().filter(|s| called(s)).count();
        let truths = labels.iter().filter(|l| **l).count();
        assert_near("f1 at its threshold", 2.0 * hits as f64 / (calls + truths) as f64, m);
    }
}

#[test]
fn aupro_equals_its_definition() {
    let f = Fixture::open();
    let (maps, masks) = (f.floats("pixel.scores"), f.bools("pixel.masks"));
    assert_near("auroc", auroc(&maps, &masks).unwrap(), f.number("pixel.auroc"));
    for (limit, key) in [(0.3, "pixel.aupro_0.3"), (0.05, "pixel.aupro_0.05")] {
        assert_near(key, aupro(&maps, &masks, 48, 48, limit).unwrap(), f.number(key));
    }
}

#[test]
fn errors_say_what_is_wrong() {
    use MetricError::*;
    let cases: [(&[f32], &[bool], MetricError); 4] = [
        (&[0.5], &[true, false], LengthMismatch { scores: 1, labels: 2 }),
        (&[0.5, 0.6], &[false, false], NoPositives { count: 2 }),
        (&[0.5, 0.6], &[true, true], NoNegatives { count: 2 }),
        (&[0.5, f32::INFINITY], &[true, false], NotFinite { index: 1, value: f32::INFINITY }),
    ];
    for (scores, labels, error) in cases {
        assert_eq!(auroc(scores, labels), Err(error.clone()));
        assert_eq!(binary_metrics(scores, labels), Err(error));
    }
    let nan = auroc(&[f32::NAN, 0.0], &[true, false]);
    assert!(matches!(nan, Err(NotFinite { index: 0, .. })), "{nan:?}");
    assert_eq!(auroc(&[], &[]), Err(NoPositives { count: 0 }));
    assert_eq!(average_precision(&[0.5], &[true]), Ok(1.0));

    let shape = aupro(&[0.0; 5], &[true; 5], 2, 2, 0.3);
    assert_eq!(shape, Err(ShapeMismatch { len: 5, height: 2, width: 2 }));
    let empty = aupro(&[], &[], 0, 2, 0.3);
    assert_eq!(empty, Err(ShapeMismatch { len: 0, height: 0, width: 2 }));
    for limit in [0.0, 1.5, -1.0] {
        assert_eq!(aupro(&[0.0; 4], &[true; 4], 2, 2, limit), Err(InvalidLimit { limit }));
    }
    assert!(aupro(&[0.0; 4], &[true; 4], 2, 2, f64::NAN).is_err());
    assert_eq!(aupro(&[0.0; 4], &[true; 4], 2, 2, 0.3), Err(NoNegatives { count: 4 }));
    assert_eq!(aupro(&[0.0; 4], &[false; 4], 2, 2, 0.3), Err(NoPositives { count: 4 }));
}
