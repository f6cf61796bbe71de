//! One suite that every device has to pass: nearest centroids, k-means, and a CLIP network's
//! features, losses and gradients.
//!
//! Each check is a largest difference and the bar that it must not exceed. A device is never
//! compared with itself: nearest centroids are compared with the native kernels, networks with
//! arrays that open_clip 3.3.0 computed, and a tower of one block with this project's CPU path.
//!
//! The tests of this crate run the suite on every device that was compiled in and is present;
//! `cargo run --package curate-conformance --features wgpu` prints it as a table.

mod clusters;
mod golden;
mod networks;

use std::path::Path;

use anyhow::Result;
pub use clusters::clustered_directions;
use curate_device::DeviceName;

/// How far a device's answer is from the expected one.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// The largest difference, as a rule relative to the largest expected value.
    pub difference: f64,
    /// How large it may be.
    pub bar: f64,
}

impl Check {
    fn new(name: impl Into<String>, difference: f64, bar: f64) -> Self {
        Self { name: name.into(), difference, bar }
    }

    /// The largest difference of two arrays relative to the largest expected value.
    fn relative(name: impl Into<String>, found: &[f32], expected: &[f32], bar: f64) -> Self {
        let largest = expected.iter().fold(1e-6_f32, |m, x| m.max(x.abs()));
        let wrong_length = found.len() != expected.len();
        let difference = |(a, b): (&f32, &f32)| f64::from((a - b).abs() / largest);
        let differences = found.iter().zip(expected).map(difference);
        let start = if wrong_length { f64::INFINITY } else { 0.0 };
        // A NaN stays, whatever comes after it.
        let largest = |m: f64, d: f64| if m.is_nan() || m >= d { m } else { d };
        Self::new(name, differences.fold(start, largest), bar)
    }

    /// True if the difference is within the bar; a NaN never is.
    pub fn passes(&self) -> bool {
        self.difference <= self.bar
    }
}

/// How much of the suite to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Centroids, losses and a tower of one block. For software renderers, which take minutes to
    /// compile the shaders of a whole network.
    Operations,
    /// Also both golden networks.
    Everything,
}

impl Scope {
    /// The scope that suits a device.
    pub fn of(device: DeviceName) -> Self {
        if device.is_software() { Self::Operations } else { Self::Everything }
    }
}

/// Runs the suite on a device and passes each check to `each` as it is made. `fixtures` is the
/// folder of the golden networks, `crates/curate-dfn/tests/fixtures`.
///
/// # Errors
/// If the device is missing or fails, or a fixture cannot be read.
pub fn run(
    device: DeviceName,
    scope: Scope,
    fixtures: &Path,
    each: &mut dyn FnMut(Check),
) -> Result<()> {
    clusters::check(device, each)?;
    networks::losses(device, fixtures, each)?;
    networks::one_block(device, fixtures, each)?;
    if scope == Scope::Everything {
        networks::tiny(device, fixtures, each)?;
        networks::full(device, fixtures, each)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_fails_on_what_is_too_far_missing_or_not_a_number() {
        let check = |found: &[f32]| Check::relative("", found, &[1.0, -4.0], 1e-2);
        assert!(check(&[1.0, -4.0]).passes() && check(&[1.02, -4.0]).passes());
        assert!((check(&[1.02, -4.0]).difference - 0.005).abs() < 1e-6);
        for bad in [&[1.0, -4.1][..], &[1.0], &[1.0, f32::NAN], &[f32::NAN, -4.0], &[]] {
            assert!(!check(bad).passes(), "{bad:?}");
        }
    }
}
