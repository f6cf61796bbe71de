//! Chooses the widest instruction set of this machine at run time.

use std::sync::OnceLock;

use crate::tile::{Ahead, Lanes, PANEL, PackedRows, ROWS, Tile, part};

/// An instruction set the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// x86-64 with 512-bit vectors.
    Avx512,
    /// x86-64 with 256-bit vectors and fused multiply-add.
    Avx2,
    /// Whatever the compiler's target offers (NEON on 64-bit ARM).
    Portable,
}

/// The instruction set that the kernels use on this machine: the widest that it has, or the one
/// that the environment variable `CURATE_INSTRUCTIONS` names (`avx512`, `avx2`, `portable`), if the
/// machine has it. Results do not depend on it; it is there to measure and to test.
pub fn instructions() -> Instructions {
    static FOUND: OnceLock<Instructions> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let asked = std::env::var("CURATE_INSTRUCTIONS").unwrap_or_default();
        let available = available();
        let named = available.iter().find(|with| format!("{with:?}").eq_ignore_ascii_case(&asked));
        *named.or(available.last()).unwrap_or(&Instructions::Portable)
    })
}

/// Compiles a function for every instruction set. The one it defines takes the set to use first;
/// the body has to be `#[inline(always)]`, or it stays compiled for the baseline.
macro_rules! dispatched {
    ($(#[$meta:meta])* fn $name:ident = $body:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)?) => {
        $(#[$meta])*
        #[inline]
        #[allow(unsafe_code)]
        pub(crate) fn $name(with: $crate::Instructions, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                $body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                $body($($arg),*)
            }
            match with {
                // SAFETY: an `Instructions` other than `Portable` comes from `available`, which
                // asked the CPU for all that the function was compiled for.
                #[cfg(target_arch = "x86_64")]
                $crate::Instructions::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Instructions::Avx2 => unsafe { avx2($($arg),*) },
                _ => $body($($arg),*),
            }
        }
    };
}
pub(crate) use dispatched;

/// Every instruction set this machine can run, the widest last.
pub(crate) fn available() -> Vec<Instructions> {
    let mut all = vec![Instructions::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            all.push(Instructions::Avx2);
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            all.push(Instructions::Avx512);
        }
    }
    all
}

/// Elements of a panel that are multiplied with all tiles of a block before the next ones: 24 KiB
/// of the panel and 9 KiB of a tile stay in the first-level cache.
const CHUNK: usize = 192;

/// Inner products of packed rows with one panel, into one tile for each tile of `rows`;
/// the first `skip` tiles are left out.
///
/// Chains carry on from chunk to chunk, so the chunks do not show in the results. Meanwhile the
/// next chunk is fetched, a little with each tile.
pub(crate) fn tiles(
    with: Instructions,
    panel: &[Lanes],
    rows: &PackedRows,
    skip: usize,
    out: &mut [Tile],
) {
    let out = &mut out[skip..];
    out.fill([[0.0; PANEL]; ROWS]);
    let length = panel.len().div_ceil(panel.len().div_ceil(CHUNK).max(1)).max(1);
    for (c, chunk) in panel.chunks(length).enumerate() {
        let mut ahead = Ahead::of(chunk, out.len());
        for (rows, out) in rows.tiles().skip(skip).zip(&mut *out) {
            onto(with, &rows[c * length..][..chunk.len()], chunk, ahead, out);
            ahead.advance(chunk.len());
        }
    }
}

/// As many zeroed tiles as the rows have.
pub(crate) fn room(rows: &PackedRows) -> Vec<Tile> {
    vec![[[0.0; PANEL]; ROWS]; rows.tiles().count()]
}

/// Carries on the inner products in `out` with more elements.
#[inline]
#[allow(unsafe_code)]
fn onto(with: Instructions, rows: &[[f32; ROWS]], panel: &[Lanes], ahead: Ahead, out: &mut Tile) {
    match with {
        // SAFETY: an `Instructions` other than `Portable` comes from `available`, which asked the
        // CPU for all that the function was compiled for.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { onto_avx512(rows, panel, ahead, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { onto_avx2(rows, panel, ahead, out) },
        _ => onto_portable(rows, panel, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn onto_avx512(rows: &[[f32; ROWS]], panel: &[Lanes], ahead: Ahead, out: &mut Tile) {
    part::<ROWS, PANEL>(rows, panel, (0, 0), |k| ahead.fetch(k), out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn onto_avx2(rows: &[[f32; ROWS]], panel: &[Lanes], ahead: Ahead, out: &mut Tile) {
    part::<6, 16>(rows, panel, (0, 0), |k| ahead.fetch(k), out);
    part::<6, 16>(rows, panel, (6, 0), |_| (), out);
    part::<6, 16>(rows, panel, (0, 16), |_| (), out);
    part::<6, 16>(rows, panel, (6, 16), |_| (), out);
}

fn onto_portable(rows: &[[f32; ROWS]], panel: &[Lanes], out: &mut Tile) {
    for column in [0, 8, 16, 24] {
        part::<6, 8>(rows, panel, (0, column), |_| (), out);
        part::<6, 8>(rows, panel, (6, column), |_| (), out);
    }
}
