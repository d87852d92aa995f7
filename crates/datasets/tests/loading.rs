//! Order, bounds and early ends of loading ahead.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hgad_datasets::{
    Dataset, SyntheticConfig, SyntheticSet, Transform, find_unreadable, load_ahead, load_sample,
};

#[test]
fn results_come_in_order_whatever_they_take() {
    let items: Vec<usize> = (0..200).collect();
    let got: Vec<(usize, usize)> = std::thread::scope(|scope| {
        load_ahead(scope, &items, 16, |&i| {
            std::thread::sleep(Duration::from_micros(((i * 7919) % 13) as u64 * 50));
            i * i
        })
        .collect()
    });
    let expected: Vec<(usize, usize)> = items.iter().map(|&i| (i, i * i)).collect();
    assert_eq!(got, expected);
}

#[test]
fn no_more_than_the_bound_is_ahead() {
    let items: Vec<usize> = (0..100).collect();
    let (started, furthest, taken) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let stream = load_ahead(scope, &items, 5, |_| {
            let ahead = started.fetch_add(1, Ordering::SeqCst) + 1 - taken.load(Ordering::SeqCst);
            furthest.fetch_max(ahead, Ordering::SeqCst);
        });
        for _ in stream {
            std::thread::sleep(Duration::from_micros(300));
            taken.fetch_add(1, Ordering::SeqCst);
        }
    });
    let furthest = furthest.into_inner();
    // One more than the bound: this test counts an item as taken a moment after the iterator does.
    assert!((2..=6).contains(&furthest), "{furthest} ahead");
    assert_eq!(started.into_inner(), 100);
}

#[test]
fn dropping_early_stops_the_workers() {
    let items: Vec<usize> = (0..10_000).collect();
    let loaded = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let mut stream = load_ahead(scope, &items, 8, |_| loaded.fetch_add(1, Ordering::SeqCst));
        assert_eq!(stream.len(), 10_000);
        assert_eq!(stream.next().map(|(i, _)| i), Some(0));
        assert_eq!(stream.len(), 9_999);
    });
    assert!(loaded.into_inner() <= 9);
}

#[test]
fn nothing_to_load_is_nothing() {
    let none: [u8; 0] = [];
    let count = std::thread::scope(|scope| load_ahead(scope, &none, 0, |_| ()).count());
    assert_eq!(count, 0);
}

#[test]
fn a_panic_comes_out_of_the_iterator() {
    let items = [1, 2, 3];
    let seen = Mutex::new(HashSet::new());
    let result = std::panic::catch_unwind(|| {
        std::thread::scope(|scope| {
            for (i, _) in load_ahead(scope, &items, 2, |&n| assert_ne!(n, 2, "two")) {
                seen.lock().unwrap().insert(i);
            }
        });
    });
    assert!(result.is_err());
    assert_eq!(*seen.lock().unwrap(), HashSet::from([0]));
}

#[test]
fn samples_are_loaded_with_their_masks() {
    let set = SyntheticSet::new(SyntheticConfig {
        size: 48,
        train_per_class: 1,
        test_good_per_class: 1,
        test_anomalous_per_class: 2,
        ..Default::default()
    })
    .unwrap();
    let transform = Transform::imagenet(32);
    let samples = set.samples();
    std::thread::scope(|scope| {
        let load = |sample| load_sample(&set, sample, &transform, 24);
        for (index, loaded) in load_ahead(scope, samples, 4, load) {
            let loaded = loaded.unwrap();
            assert_eq!(loaded.image.len(), 32 * 32 * 3);
            assert_eq!(loaded.mask.len(), 24 * 24);
            assert_eq!(loaded.mask.contains(&true), samples[index].is_anomalous());
        }
    });
    let done = AtomicUsize::new(0);
    let bad = find_unreadable(&set, samples, |n| {
        done.fetch_max(n, Ordering::SeqCst);
    });
    assert!(bad.is_empty());
    assert_eq!(done.into_inner(), samples.len());
}
