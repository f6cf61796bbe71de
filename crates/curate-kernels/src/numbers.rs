//! Numbers for the tests.

/// `n` numbers between -1 and 1, the same for a seed.
pub(crate) fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let step = |s: &mut u32| {
        *s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*s >> 8) as f32 / 8_388_608.0 - 1.0)
    };
    std::iter::repeat_n((), n).scan(seed, |s, ()| step(s)).collect()
}
