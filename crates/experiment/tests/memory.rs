//! A training step's memory depends on its chunk, on neither the map nor the batch.

use candle_core::Device;
use hgad_experiment::step::{LevelBatch, Maps, Step};
use hgad_experiment::{Adam, AdamSettings, Config, LevelShape, Model};
use hgad_losses::{LossConfig, StagedLoss};
use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counting what is held and the most that ever was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes that a step holds beyond what there was before it and its trainer.
fn peak(images: usize, side: usize) -> usize {
    let mut config = Config::default();
    config.flow.blocks = 8;
    config.flow.condition = 16;
    let shape = LevelShape { height: side, width: side, channels: 48 };
    let model = Model::new(&config, &[shape], &["a".into(), "b".into()], &Device::Cpu).unwrap();
    model.track(true);
    let level = &model.levels[0];
    let maps: Vec<Vec<f32>> = (0..images)
        .map(|b| (0..shape.len()).map(|i| ((i + b) as f32 * 0.37).sin()).collect())
        .collect();
    let labels: Vec<u32> = (0..images).map(|b| (b % 2) as u32).collect();
    let loss = StagedLoss::new(&LossConfig::default(), level.prior.as_ref()).unwrap();
    let mut adam =
        Adam::new(level.flow_parameters.trainable_vars(), level.prior_parameters.trainable_vars())
            .unwrap();
    let settings = AdamSettings { betas: [0.95, 0.99], epsilon: 1e-8, decay: 1e-4 };
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let mut trainer = level.flow.trainer(level.position.as_ref()).unwrap();
    for _ in 0..2 {
        let batch = LevelBatch {
            maps: Maps::Host(maps.iter().map(|m| Cow::Borrowed(m.as_slice())).collect()),
            labels: &labels,
        };
        let trainer = trainer.as_deref_mut();
        assert!(trainer.is_some(), "the fused step");
        let (epoch, chunk) = (2, 1024);
        let mut step = Step { level, loss: &loss, trainer, epoch, chunk };
        let losses = step.run(&batch, 0..shape.positions(), &mut adam, 1e-4, &settings).unwrap();
        assert!(losses.read().unwrap().total.is_finite());
    }
    MOST.load(Relaxed) - before
}

#[test]
fn a_step_is_flat_in_the_map_and_the_batch() {
    // 1,024 vectors, then 16 times as many, by larger maps and by more images.
    let small = peak(4, 16);
    for (images, side) in [(4, 64), (64, 16)] {
        let large = peak(images, side);
        // Beyond the chunk there are the centres of every image, and the code of rows and columns.
        assert!(
            (large as f64) < 1.1 * small as f64,
            "{large} bytes for {images} maps of {side}x{side}, {small} for 4 of 16x16"
        );
    }
}
