//! The standardized rule: how unlikely a position is, in deviations of normal images.

use crate::ScoreError;
use crate::gaussian_filter::gaussian_filter;
use crate::rule::{Judged, LevelScores, MapConfig, ScoreRule};
use crate::term_map::{Evidence, TermLevel, nearness, terms};
use hgad_kernels::resize_bilinear_plane;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Positions from the edge that are told apart; all further in are alike.
const RINGS: usize = 3;

/// Which quantile over an image's positions tells what lifts all of it: a low one, so that an anomaly may cover
/// most of the image and not lift it.
const GROUND: f32 = 0.1;

/// The largest values of the filtered maps of normal images, in deviations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// Their median.
    pub median: f32,
    /// Their standard deviation, above 0.
    pub spread: f32,
}

/// What is usual at one level in normal images of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// Of the log-likelihood per dimension, in nats, by the position's distance to the edge: its mean, but
    /// not above that of the inner positions, and its standard deviation, but not below theirs.
    pub moments: Vec<(f32, f32)>,
    /// The same of the nearness of what the prior remembers; empty where it remembers nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearness: Vec<(f32, f32)>,
    /// Median of the largest values of filtered maps, in deviations.
    pub peak: f32,
    /// Their standard deviation, above 0.
    pub spread: f32,
    /// The largest values where nearness counts [`MapConfig::nearness`] times; none where it counts as
    /// likelihood does, or where the prior remembers nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Peaks>,
    /// Median over images of the lowest tenth's upper end over positions, in deviations; 0 in models of
    /// earlier versions.
    #[serde(default)]
    pub ground: f32,
    /// [`MapConfig::native`] of the class; 0 in models of earlier versions.
    #[serde(default)]
    pub native: usize,
    /// [`Normal::REVISION`] of the rule that scores made with it are of; 0 in models of earlier versions.
    #[serde(default)]
    pub revision: u32,
}

/// Which of a map's places a position is: by its distances to the nearest horizontal and vertical edge,
/// up to a quarter of the map and up to [`RINGS`], the smaller first. A network pads with zeros, so that
/// features near an edge, and most of all in a corner, are of their own kind.
fn place(row: usize, column: usize, height: usize, width: usize) -> usize {
    let rings = RINGS.min((height.min(width) - 1) / 4);
    let inside = |i: usize, n: usize| i.min(n - 1 - i).min(rings);
    let (a, b) = (inside(row, height), inside(column, width));
    // The inner place is the last: rings * (RINGS + 1) + rings, with rings = RINGS, or less.
    a.min(b) * (RINGS + 1) + a.max(b)
}

/// How many numbers [`place`] may give.
const PLACES: usize = (RINGS + 1) * (RINGS + 1);

/// The terms of one level: the likelihood, and the nearness of what is remembered, if anything is.
#[derive(Clone, Copy)]
struct Terms<'a> {
    likelihood: TermLevel<'a>,
    nearness: Option<TermLevel<'a>>,
}

impl<'a> Terms<'a> {
    /// Of `images` images, level by level.
    fn of_levels(images: usize, levels: &'a [LevelScores]) -> Result<Vec<Self>, ScoreError> {
        let likelihoods = terms(Evidence::Standardized, "standardized", images, levels, [1.0; 2])?;
        let pairs = likelihoods[0].iter().zip(nearness(images, levels)?);
        Ok(pairs.map(|(l, nearness)| Self { likelihood: *l, nearness }).collect())
    }

    /// Those of the `i`-th image.
    fn image(self, i: usize) -> Self {
        Self { likelihood: self.likelihood.image(i), nearness: self.nearness.map(|n| n.image(i)) }
    }
}

impl Normal {
    /// Counts the forms that the rule has had: scores of another do not compare with those of this one.
    pub const REVISION: u32 = 1;

    /// Of the `images` normal images of one class at each of `levels`.
    ///
    /// # Errors
    /// No images; levels of other sizes than they say; values that are not finite.
    pub fn fit(
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Vec<Self>, ScoreError> {
        if images == 0 {
            return Err(ScoreError::NothingToCalibrate);
        }
        let all = Terms::of_levels(images, levels)?;
        Ok(all.into_iter().map(|level| Self::of(images, level, config)).collect())
    }

    fn of(images: usize, level: Terms, config: &MapConfig) -> Self {
        let mut normal = Self {
            moments: moments(level.likelihood),
            nearness: level.nearness.map(moments).unwrap_or_default(),
            peak: 0.0,
            spread: 1.0,
            whole: None,
            ground: 0.0,
            native: config.native,
            revision: Self::REVISION,
        };
        let grounds = (0..images).map(|i| ground(&normal.distances(level.image(i), 1.0))).collect();
        normal.ground = quantile(grounds, 0.5);
        let Peaks { median, spread } = normal.peaks(images, level, 1.0, config);
        (normal.peak, normal.spread) = (median, spread);
        if judged_apart(level.nearness.is_some(), config) {
            normal.whole = Some(normal.peaks(images, level, config.nearness as f32, config));
        }
        normal
    }

    /// Of the filtered maps of `images` normal images, with nearness counted `times`.
    fn peaks(&self, images: usize, level: Terms, times: f32, config: &MapConfig) -> Peaks {
        let of = |i: usize| {
            let level = level.image(i);
            config.image_score(&filtered(&self.distances(level, times), level, config))
        };
        let mut peaks: Vec<f32> = (0..images).into_par_iter().map(of).collect();
        peaks.sort_unstable_by(f32::total_cmp);
        let mean = peaks.iter().sum::<f32>() / images as f32;
        let square = peaks.iter().map(|p| (p - mean).powi(2)).sum::<f32>() / images as f32;
        // Of few images, or all alike, the deviation may be next to nothing.
        Peaks { median: peaks[(images - 1) / 2], spread: square.sqrt().max(0.1) }
    }

    /// `(mean - L) / deviation` at each position of one image, and the same of the nearness added, `times` as much.
    fn distances(&self, level: Terms, times: f32) -> Vec<f32> {
        let mut distance = deviations(level.likelihood, &self.moments);
        if let Some(nearness) = level.nearness {
            let further = deviations(nearness, &self.nearness);
            distance.iter_mut().zip(further).for_each(|(d, f)| *d += times * f);
        }
        distance
    }

    /// Whether it is of this rule and has the moments and peaks of every term of `level`.
    fn fits(&self, level: &LevelScores, config: &MapConfig) -> bool {
        let nearness = if level.nearness.is_some() { PLACES } else { 0 };
        self.revision == Self::REVISION
            && self.moments.len() == PLACES
            && self.nearness.len() == nearness
            && self.whole.is_some() == judged_apart(level.nearness.is_some(), config)
    }
}

/// Whether an image is judged by other distances than its pixels.
fn judged_apart(remembered: bool, config: &MapConfig) -> bool {
    remembered && config.nearness != 1.0
}

/// `distances` at the positions of a level upsampled (bilinear, aligned corners) and filtered.
fn filtered(distances: &[f32], level: Terms, config: &MapConfig) -> Vec<f32> {
    let TermLevel { height, width, .. } = level.likelihood;
    let up = resize_bilinear_plane(distances, height, width, config.size, config.size);
    gaussian_filter(&up, config.size, config.size, config.sigma)
}

/// The level from which the distances of an image's positions rise.
fn ground(distances: &[f32]) -> f32 {
    quantile(distances.to_vec(), GROUND)
}

/// The value that a share of the others lies below, the lower of two; 0 of none.
fn quantile(mut values: Vec<f32>, share: f32) -> f32 {
    let at = (values.len().saturating_sub(1) as f32 * share) as usize;
    match values.is_empty() {
        true => 0.0,
        false => *values.select_nth_unstable_by(at, f32::total_cmp).1,
    }
}

/// Mean and standard deviation by [`place`]; the mean not above that of the inner positions, the deviation not
/// below theirs.
fn moments(level: TermLevel) -> Vec<(f32, f32)> {
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); PLACES];
    for (i, v) in level.values.iter().enumerate() {
        let position = i % (level.height * level.width);
        let (row, column) = (position / level.width, position % level.width);
        values[place(row, column, level.height, level.width)].push(f64::from(*v));
    }
    let of = |values: &Vec<f64>| {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        (mean, square.sqrt().max(1e-6))
    };
    let inner = values.iter().rposition(|v| !v.is_empty()).unwrap_or(0);
    let (mean, deviation) = of(&values[inner]);
    let all = values.iter().map(|v| match v.is_empty() {
        true => (mean as f32, deviation as f32),
        false => {
            let (m, d) = of(v);
            (m.min(mean) as f32, d.max(deviation) as f32)
        }
    });
    all.collect()
}

/// `(mean - v) / deviation` at each position of one image, by the `moments` of its [`place`].
fn deviations(level: TermLevel, moments: &[(f32, f32)]) -> Vec<f32> {
    let (height, width) = (level.height, level.width);
    let of = |(i, v): (usize, &f32)| {
        let (mean, deviation) = moments[place(i / width, i % width, height, width)];
        (mean - v) / deviation
    };
    level.values.iter().enumerate().map(of).collect()
}

/// At each position `d = (mean - L) / deviation` a level, by the place on the map, and where the prior remembers
/// latents the same of their nearness added; upsampled and filtered;
/// then in deviations of the largest values that normal images have, `e = (d - peak) / spread`, and over
/// levels `sum_l w_l ln(1 + exp e_l)`, the excess of each above them added up, with the weights of
/// [`MapConfig::weight`]: a coarse level that is far off does not blur what a fine one tells.
///
/// Its constants come from normal images alone, so that a map does not depend on the images beside it,
/// and a level counts by how far it is from what normal images ever show there.
///
/// An image whose texture or light is a little off is less likely everywhere. That says something of the image
/// and nothing of where in it: with [`MapConfig::relative`] `r` above 0 its pixels are judged by
/// `e - r (g - ground) / spread` with the upper end `g` of the lowest tenth of its positions, the image by `e`.
/// And an image may be judged more by what was never seen than its pixels are: with [`MapConfig::nearness`] `n` its
/// `e` has `n` times the nearness, with peaks of their own.
pub struct StandardizedRule;

impl ScoreRule for StandardizedRule {
    fn name(&self) -> &'static str {
        Evidence::Standardized.name()
    }

    fn needs_normal(&self) -> bool {
        true
    }

    fn maps(
        &self,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Vec<f32>, ScoreError> {
        Ok(self.judge(images, levels, config)?.maps)
    }

    fn judge(
        &self,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Judged, ScoreError> {
        for (level, l) in levels.iter().enumerate() {
            let found = l.normal.iter().filter(|n| n.fits(l, config)).count();
            if found != images || found != l.normal.len() {
                return Err(ScoreError::Normal { level, images, found });
            }
        }
        let terms = Terms::of_levels(images, levels)?;
        let pixels = config.size * config.size;
        let mut maps = vec![0.0; images * pixels];
        let of_images = maps.par_chunks_mut(pixels.max(1)).enumerate();
        let scores = of_images.map(|(image, map)| {
            let normal: Vec<&Normal> = levels.iter().map(|l| &l.normal[image]).collect();
            let terms: Vec<Terms> = terms.iter().map(|t| t.image(image)).collect();
            of_image(&terms, &normal, config, map)
        });
        Ok(Judged { scores: scores.collect(), maps })
    }
}

/// The score of one image, and its map in `map`, which holds zeros.
fn of_image(terms: &[Terms], normal: &[&Normal], config: &MapConfig, map: &mut [f32]) -> f32 {
    let apart = config.relative > 0.0 || normal.iter().any(|n| n.whole.is_some());
    let mut whole = if apart { map.to_vec() } else { Vec::new() };
    for (i, (term, normal)) in terms.iter().zip(normal).enumerate() {
        let weight = config.weight(i, terms.len(), normal.native) as f32;
        let add = |to: &mut [f32], of: &[f32], peak: f32, spread: f32| {
            let excess = |d: &f32| weight * softplus((d - peak) / spread);
            to.iter_mut().zip(of).for_each(|(m, d)| *m += excess(d));
        };
        let distances = normal.distances(*term, 1.0);
        let up = filtered(&distances, *term, config);
        let off = config.relative as f32 * (ground(&distances) - normal.ground);
        add(map, &up, normal.peak + off, normal.spread);
        if let Some(Peaks { median, spread }) = normal.whole {
            let distances = normal.distances(*term, config.nearness as f32);
            add(&mut whole, &filtered(&distances, *term, config), median, spread);
        } else if apart {
            add(&mut whole, &up, normal.peak, normal.spread);
        }
    }
    config.image_score(if apart { &whole } else { map })
}

/// `ln(1 + exp x)` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 8;
    const CONFIG: MapConfig = MapConfig {
        size: SIDE,
        sigma: 0.0,
        top: 0.0,
        soft: 0.0,
        temperatures: [1.0; 2],
        sizes: 1,
        coarser: 1.0,
        relative: 0.0,
        nearness: 1.0,
        native: 0,
    };

    /// Images whose inner values alternate around `mean`, and whose edges lie `lower` below.
    fn level(images: usize, mean: f32, deviation: f32, lower: f32) -> LevelScores {
        let value = |i: usize| {
            let (row, column) = (i / SIDE % SIDE, i % SIDE);
            let edge = place(row, column, SIDE, SIDE) != RINGS + 2;
            mean + if i.is_multiple_of(2) { deviation } else { -deviation }
                - if edge { lower } else { 0.0 }
        };
        LevelScores {
            height: SIDE,
            width: SIDE,
            likelihood: (0..images * SIDE * SIDE).map(value).collect(),
            ..Default::default()
        }
    }

    fn maps(levels: Vec<LevelScores>, of: &[LevelScores]) -> Vec<f32> {
        let normal = Normal::fit(4, of, &CONFIG).unwrap();
        let with = |(l, n): (LevelScores, Normal)| LevelScores { normal: vec![n], ..l };
        let levels: Vec<LevelScores> = levels.into_iter().zip(normal).map(with).collect();
        StandardizedRule.maps(1, &levels, &CONFIG).unwrap()
    }

    #[test]
    fn places_are_counted_from_the_edge() {
        assert_eq!(place(0, 0, 32, 32), 0);
        assert_eq!(place(31, 15, 32, 32), place(15, 0, 32, 32));
        assert_eq!(place(3, 28, 32, 32), place(16, 16, 32, 32));
        assert_eq!(place(2, 2, 4, 4), place(0, 0, 4, 4));
        assert!((0..900).all(|i| place(i / 30, i % 30, 30, 30) < PLACES));
    }

    #[test]
    fn the_edge_of_a_normal_image_is_no_anomaly_and_a_deviation_is_one_everywhere() {
        let normal = [level(4, -2.0, 1.0, 5.0)];
        let usual = maps(vec![level(1, -2.0, 1.0, 5.0)], &normal);
        for at in [0, 3, SIDE * 4 + 4] {
            let mut one = level(1, -2.0, 1.0, 5.0);
            one.likelihood[at] -= 20.0;
            let map = maps(vec![one], &normal);
            let largest = map.iter().copied().fold(0.0, f32::max);
            assert!(map[at] == largest && largest > 5.0 * usual[0].max(1.0), "{at}: {map:?}");
        }
        // Edges 5 lower than the rest do not stand out where they are always so.
        assert!((usual[0] - usual[SIDE * 4 + 4]).abs() < 1e-3, "{usual:?}");
    }

    #[test]
    fn levels_of_other_scales_count_alike() {
        let normal = [level(4, -2.0, 1.0, 0.0), level(4, -200.0, 100.0, 0.0)];
        let (mut a, mut b) = (level(1, -2.0, 1.0, 0.0), level(1, -200.0, 100.0, 0.0));
        a.likelihood[10] -= 10.0;
        b.likelihood[44] -= 1000.0;
        let map = maps(vec![a, b], &normal);
        assert!((map[10] - map[44]).abs() < 1e-3 * map[10] && map[10] > 3.0 * map[0], "{map:?}");
    }

    #[test]
    fn a_coarser_size_counts_as_much_as_it_is_told_to() {
        let config = MapConfig { sizes: 2, coarser: 0.25, ..CONFIG };
        assert_eq!([0, 1, 2, 3].map(|l| config.weight(l, 4, 0)), [1.0, 1.0, 0.25, 0.25]);
        assert_eq!([0, 1, 2, 3].map(|l| config.weight(l, 4, 1)), [0.25, 0.25, 1.0, 1.0]);
        let normal = [level(4, -2.0, 1.0, 0.0), level(4, -2.0, 1.0, 0.0)];
        let fitted = Normal::fit(4, &normal, &config).unwrap();
        let (mut a, mut b) = (level(1, -2.0, 1.0, 0.0), level(1, -2.0, 1.0, 0.0));
        a.likelihood[10] -= 10.0;
        b.likelihood[44] -= 10.0;
        let deviations = |l: &LevelScores, n: &Normal| -> Vec<f64> {
            let own = Terms::of_levels(1, std::slice::from_ref(l)).unwrap();
            let all = filtered(&n.distances(own[0], 1.0), own[0], &config);
            all.iter().map(|d| f64::from((d - n.peak) / n.spread)).collect()
        };
        let (fine, coarse) = (deviations(&a, &fitted[0]), deviations(&b, &fitted[1]));
        let with = |(l, n): (LevelScores, &Normal)| LevelScores { normal: vec![n.clone()], ..l };
        let levels: Vec<LevelScores> = [a, b].into_iter().zip(&fitted).map(with).collect();
        let weighed = |levels: &[LevelScores], weights: [f64; 2]| {
            let map = StandardizedRule.maps(1, levels, &config).unwrap();
            for (i, m) in map.iter().enumerate() {
                let (m, excess) = (f64::from(*m), |e: f64| e.exp().ln_1p());
                let expected = weights[0] * excess(fine[i]) + weights[1] * excess(coarse[i]);
                assert!((m - expected).abs() < 1e-4 * expected.max(1.0), "{i}: {m} {expected}");
            }
            map
        };
        let map = weighed(&levels, [1.0, 0.25]);
        assert!(map[10] > map[44]);
        // Of a class with small photographs the smaller size counts most.
        let small = MapConfig { native: 1, ..config.clone() };
        let fitted = Normal::fit(4, &normal, &small).unwrap();
        let levels: Vec<LevelScores> = levels.into_iter().zip(&fitted).map(with).collect();
        let map = weighed(&levels, [0.25, 1.0]);
        assert!(map[10] < map[44]);
        // The image's score has the same weights where its map is made apart.
        let judge = |relative: f64| {
            let config = MapConfig { relative, top: 1.0, ..config.clone() };
            StandardizedRule.judge(1, &levels, &config).unwrap().scores
        };
        assert_eq!(judge(0.5), judge(0.0));
    }

    #[test]
    fn what_was_never_seen_adds_to_what_is_unlikely() {
        let near = |l: LevelScores, offset: f32| {
            let nearness = l.likelihood.iter().map(|v| 100.0 * v - offset).collect();
            LevelScores { nearness: Some(nearness), ..l }
        };
        let normal = [near(level(4, -2.0, 1.0, 0.0), 7.0)];
        let fitted = Normal::fit(4, &normal, &CONFIG).unwrap();
        let mut one = near(level(1, -2.0, 1.0, 0.0), 7.0);
        // Three deviations unlikely at one place; at another five too far.
        one.likelihood[20] = -5.0;
        one.nearness.as_mut().unwrap()[20] = -207.0;
        one.likelihood[43] = -2.0;
        one.nearness.as_mut().unwrap()[43] = -707.0;
        let own = Terms::of_levels(1, std::slice::from_ref(&one)).unwrap();
        let d = fitted[0].distances(own[0], 1.0);
        assert!((d[20] - 3.0).abs() < 1e-3 && (d[43] - 5.0).abs() < 1e-3, "{} {}", d[20], d[43]);
        // Both deviate by one, together, everywhere else.
        assert!((d[0].abs() - 2.0).abs() < 1e-3, "{}", d[0]);
        // Constants of another model, without a memory, are refused.
        let bare = Normal::fit(4, &[level(4, -2.0, 1.0, 0.0)], &CONFIG).unwrap();
        let levels = [LevelScores { normal: bare, ..one }];
        assert!(StandardizedRule.maps(1, &levels, &CONFIG).is_err());
    }

    #[test]
    fn an_image_may_be_judged_more_by_what_was_never_seen_than_its_pixels() {
        let near = |mut l: LevelScores| {
            // Likelihoods alternate by column, nearness by row.
            let row = |i: usize| if (i / SIDE).is_multiple_of(2) { 1.0 } else { -1.0 };
            l.nearness = Some((0..l.likelihood.len()).map(row).collect());
            l
        };
        let normal = [near(level(4, 0.0, 1.0, 0.0))];
        let thrice = MapConfig { nearness: 3.0, ..CONFIG };
        let judge = |one: &LevelScores, config: &MapConfig| {
            let fitted = Normal::fit(4, &normal, config).unwrap();
            let levels = [LevelScores { normal: fitted, ..one.clone() }];
            let judged = StandardizedRule.judge(1, &levels, config).unwrap();
            (judged.scores[0], judged.maps)
        };
        let usual = near(level(1, 0.0, 1.0, 0.0));
        let (mut unlikely, mut unseen) = (usual.clone(), usual.clone());
        unlikely.likelihood[27] -= 9.0;
        unseen.nearness.as_mut().unwrap()[27] -= 9.0;
        // Distances of 8 and 1, or 9 and -1; the peaks of normal images are at 1 + n, their spread at its least.
        let excess = |likelihood: f32, nearness: f32, times: f32| {
            softplus((likelihood + times * nearness - 1.0 - times) / 0.1)
        };
        let d = |one: &LevelScores| (-one.likelihood[27], -one.nearness.as_ref().unwrap()[27]);
        for one in [&unlikely, &unseen] {
            let (l, n) = d(one);
            let (alike, map) = judge(one, &CONFIG);
            assert!((alike - excess(l, n, 1.0)).abs() < 1e-2, "{alike} {l} {n}");
            for relative in [0.0, 0.5] {
                let (score, same) = judge(one, &MapConfig { relative, ..thrice.clone() });
                assert!((score - excess(l, n, 3.0)).abs() < 1e-2, "{score} {l} {n}");
                assert_eq!(map, same);
            }
        }
        assert!(judge(&unseen, &thrice).0 > 2.0 * judge(&unlikely, &thrice).0);
        // Constants that were fitted without it are refused, and the other way round.
        for (of, with) in [(&CONFIG, &thrice), (&thrice, &CONFIG)] {
            let levels =
                [LevelScores { normal: Normal::fit(4, &normal, of).unwrap(), ..usual.clone() }];
            assert!(StandardizedRule.judge(1, &levels, with).is_err());
        }
    }

    #[test]
    fn what_lifts_a_whole_image_is_told_of_the_image_and_not_of_its_pixels() {
        let fitted = Normal::fit(4, &[level(4, -2.0, 1.0, 0.0)], &CONFIG).unwrap();
        let judge = |offset: f32, relative: f64| {
            let mut one = level(1, -2.0, 1.0, 0.0);
            one.likelihood[27] -= 9.0;
            one.likelihood.iter_mut().for_each(|v| *v -= offset);
            let levels = [LevelScores { normal: fitted.clone(), ..one }];
            let judged = StandardizedRule.judge(1, &levels, &MapConfig { relative, ..CONFIG });
            let judged = judged.unwrap();
            (judged.scores[0], judged.maps)
        };
        let (score, map) = judge(0.0, 0.0);
        let (same_score, same_map) = judge(0.0, 1.0);
        assert_eq!((score, &map), (same_score, &same_map));
        let (lifted, lifted_map) = judge(3.0, 1.0);
        assert!(lifted > score + 2.0, "{lifted} {score}");
        let off = map.iter().zip(&lifted_map).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-4 * score, "{off}");
        // Half of it is between the two.
        let (half, half_map) = judge(3.0, 0.5);
        assert_eq!(half, lifted);
        let (_, whole) = judge(3.0, 0.0);
        assert!(half_map[27] > lifted_map[27] + 1.0 && half_map[27] < whole[27] - 1.0);
        assert_eq!(whole.iter().copied().fold(0.0, f32::max), lifted);
    }

    #[test]
    fn an_anomaly_over_most_of_an_image_does_not_hide_itself() {
        let fitted = Normal::fit(4, &[level(4, -2.0, 1.0, 0.0)], &CONFIG).unwrap();
        let mut one = level(1, -2.0, 1.0, 0.0);
        one.likelihood[..SIDE * SIDE * 3 / 4].iter_mut().for_each(|v| *v -= 9.0);
        let levels = [LevelScores { normal: fitted, ..one }];
        let maps = [0.0, 1.0].map(|relative| {
            StandardizedRule.maps(1, &levels, &MapConfig { relative, ..CONFIG }).unwrap()
        });
        assert_eq!(maps[0], maps[1]);
    }

    #[test]
    fn normal_images_are_asked_for() {
        let none = [level(1, 0.0, 1.0, 0.0)];
        let error = StandardizedRule.maps(1, &none, &CONFIG).unwrap_err().to_string();
        assert!(error.contains("level 0") && error.contains("normal"), "{error}");
        assert!(Normal::fit(0, &none, &CONFIG).is_err());
    }
}
