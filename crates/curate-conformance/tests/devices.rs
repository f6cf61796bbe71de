//! The suite on every device that was compiled in and is present.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use curate_conformance::{Check, Scope, run};
use curate_device::DeviceName;

fn checks(device: DeviceName, scope: Scope) -> Vec<Check> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-dfn/tests/fixtures");
    let mut checks = Vec::new();
    run(device, scope, &fixtures, &mut |check| checks.push(check)).unwrap();
    checks
}

#[test]
fn every_device_passes() {
    let devices = DeviceName::found();
    assert_eq!(devices[0], DeviceName::Cpu);
    for device in devices {
        let checks = checks(device, Scope::of(device));
        let failed: Vec<&Check> = checks.iter().filter(|check| !check.passes()).collect();
        assert!(failed.is_empty(), "{device}: {failed:#?}");
        assert!(checks.len() >= 18, "{device}: {} checks", checks.len());
    }
}

#[test]
fn the_whole_suite_has_more_than_its_operations() {
    let [part, whole] =
        [Scope::Operations, Scope::Everything].map(|scope| checks(DeviceName::Cpu, scope));
    assert_eq!(whole[..part.len()], part);
    let golden = |check: &Check| check.name.contains("network: gradients");
    assert_eq!(whole[part.len()..].iter().filter(|check| golden(check)).count(), 2);
}
