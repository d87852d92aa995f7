//! Least-significant-digit radix sort on 32-bit keys, and the keys that order `f32`.

const DIGITS: [(u32, u32); 3] = [(0, 11), (11, 11), (22, 10)];
const BUCKETS: usize = 1 << 11;
/// Below this length three passes over the buckets cost more than comparing.
const COMPARISON_LIMIT: usize = 1024;

/// The key of a finite score: ascending keys are descending scores, equal scores have equal keys.
#[inline]
pub(crate) fn descending_key(score: f32) -> u32 {
    // Adding zero makes -0.0 the same key as 0.0, since the two compare equal.
    let bits = (score + 0.0).to_bits();
    let ascending = bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000);
    !ascending
}

/// The score of a key: the inverse of [`descending_key`].
#[inline]
pub(crate) fn score_of_key(key: u32) -> f32 {
    let ascending = !key;
    let mask = if ascending & 0x8000_0000 != 0 { 0x8000_0000 } else { 0xffff_ffff };
    f32::from_bits(ascending ^ mask)
}

/// Sorts `items` by ascending `key`.
pub(crate) fn radix_sort<T: Copy>(items: &mut Vec<T>, key: impl Fn(&T) -> u32) {
    if items.len() < COMPARISON_LIMIT || u32::try_from(items.len()).is_err() {
        items.sort_unstable_by_key(key);
        return;
    }
    // Counts of 32 bits keep the three tables in the first-level cache.
    let mut counts = [[0u32; BUCKETS]; DIGITS.len()];
    for item in items.iter() {
        let k = key(item);
        for (count, (shift, bits)) in counts.iter_mut().zip(DIGITS) {
            count[digit(k, shift, bits)] += 1;
        }
    }
    let mut scratch = items.clone();
    for (count, (shift, bits)) in counts.iter_mut().zip(DIGITS) {
        // A digit that all keys share leaves the order as it is.
        if count.contains(&(items.len() as u32)) {
            continue;
        }
        let mut start = 0;
        for c in count.iter_mut() {
            start += std::mem::replace(c, start);
        }
        for item in items.iter() {
            let place = &mut count[digit(key(item), shift, bits)];
            scratch[*place as usize] = *item;
            *place += 1;
        }
        std::mem::swap(items, &mut scratch);
    }
}

#[inline]
fn digit(key: u32, shift: u32, bits: u32) -> usize {
    ((key >> shift) & ((1 << bits) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_order_scores_downwards(a in any::<f32>(), b in any::<f32>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            prop_assert_eq!(a.partial_cmp(&b), descending_key(b).partial_cmp(&descending_key(a)));
            prop_assert_eq!(score_of_key(descending_key(a)), a);
        }

        #[test]
        fn sorts_like_the_standard_sort(seed in any::<u64>(), len in 0usize..5000, mask in any::<u32>()) {
            let mut x = seed;
            let mut keys: Vec<u32> = (0..len).map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (x >> 32) as u32 & mask
            }).collect();
            let mut expected = keys.clone();
            expected.sort_unstable();
            radix_sort(&mut keys, |&k| k);
            prop_assert_eq!(keys, expected);
        }
    }

    #[test]
    fn zeros_of_both_signs_tie() {
        assert_eq!(descending_key(0.0), descending_key(-0.0));
    }
}
