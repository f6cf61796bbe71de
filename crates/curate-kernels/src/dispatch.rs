//! Chooses the widest instruction set of this machine at run time.

use std::sync::OnceLock;

use crate::tile::{PANEL, ROWS, Tile, part};

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

/// The instruction set that the kernels use on this machine.
pub fn instructions() -> Instructions {
    static FOUND: OnceLock<Instructions> = OnceLock::new();
    *FOUND.get_or_init(detect)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Instructions {
    if is_x86_feature_detected!("avx512f") {
        Instructions::Avx512
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        Instructions::Avx2
    } else {
        Instructions::Portable
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Instructions {
    Instructions::Portable
}

/// Inner products of the rows of a tile with one panel, on the instruction set given.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn tile(
    with: Instructions,
    rows: &[[f32; ROWS]],
    panel: &[[f32; PANEL]],
    out: &mut Tile,
) {
    match with {
        // SAFETY: `with` comes from `detect` (or from a test that asked the CPU in the same way),
        // so the CPU has the instructions the function was compiled for.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { tile_avx512(rows, panel, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { tile_avx2(rows, panel, out) },
        _ => tile_portable(rows, panel, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn tile_avx512(rows: &[[f32; ROWS]], panel: &[[f32; PANEL]], out: &mut Tile) {
    part::<ROWS, PANEL>(rows, panel, 0, 0, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn tile_avx2(rows: &[[f32; ROWS]], panel: &[[f32; PANEL]], out: &mut Tile) {
    part::<6, 16>(rows, panel, 0, 0, out);
    part::<6, 16>(rows, panel, 6, 0, out);
    part::<6, 16>(rows, panel, 0, 16, out);
    part::<6, 16>(rows, panel, 6, 16, out);
}

fn tile_portable(rows: &[[f32; ROWS]], panel: &[[f32; PANEL]], out: &mut Tile) {
    for first_column in [0, 8, 16, 24] {
        part::<6, 8>(rows, panel, 0, first_column, out);
        part::<6, 8>(rows, panel, 6, first_column, out);
    }
}

/// Every instruction set this machine can run, for tests that compare them.
#[cfg(test)]
pub(crate) fn available() -> Vec<Instructions> {
    let mut all = vec![Instructions::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            all.push(Instructions::Avx2);
        }
        if is_x86_feature_detected!("avx512f") {
            all.push(Instructions::Avx512);
        }
    }
    all
}
