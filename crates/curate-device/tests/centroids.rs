//! Nearest centroids on every device that was compiled in and is present.

#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::Device;
use curate_device::{Centroids, DeviceEngine, DeviceError, DeviceName};
use curate_kernels::{Engine, Nearest};

fn on_every_device(check: impl Fn(&Device)) {
    DeviceName::found().into_iter().for_each(|name| check(&name.open().unwrap()));
}

#[test]
fn values_are_inner_products_and_ties_go_to_the_lowest_index() {
    on_every_device(|device| {
        let centroids = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
        let loaded = Centroids::new(device, &centroids, 2, None).unwrap();
        let found = loaded.nearest(&[0.5, 0.25, 0.0, 2.0]).unwrap();
        assert_eq!(found[0], Nearest { index: 1, value: 0.5 });
        assert_eq!(found[1], Nearest { index: 0, value: 2.0 });
        assert!(loaded.nearest(&[]).unwrap().is_empty());
    });
}

#[test]
fn a_bias_is_added_before_the_choice() {
    on_every_device(|device| {
        let bias = Some(&[-2.0, 0.5][..]);
        let loaded = Centroids::new(device, &[1.0, 0.0, 0.0, 1.0], 2, bias).unwrap();
        let found = loaded.nearest(&[2.0, 0.0, 3.0, 0.25]).unwrap();
        assert_eq!(found[0], Nearest { index: 1, value: 0.5 });
        assert_eq!(found[1], Nearest { index: 0, value: 1.0 });
    });
}

#[test]
fn more_rows_than_fit_at_once_are_searched_in_parts() {
    let engine = DeviceEngine::new(DeviceName::Cpu).unwrap();
    let k = (1 << 24) / 3;
    let centroids: Vec<f32> = (0..k).map(|i| if i == k - 2 { 2.0 } else { 1.0 }).collect();
    let loaded = engine.load(&centroids, 1, None).unwrap();
    let mut found = [0; 8];
    loaded.nearest(&[1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0], &mut found).unwrap();
    let far = u32::try_from(k - 2).unwrap();
    assert_eq!(found, [far, 0, far, far, 0, far, far, far]);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let device = DeviceName::Cpu.open().unwrap();
    let error =
        |numbers: &[f32], dim, bias| Centroids::new(&device, numbers, dim, bias).err().unwrap();
    assert_eq!(error(&[1.0; 3], 2, None), DeviceError::Shape { numbers: 3, dim: 2 });
    assert_eq!(error(&[], 0, None), DeviceError::Shape { numbers: 0, dim: 0 });
    let bias = Some(&[0.0; 3][..]);
    assert_eq!(error(&[1.0; 4], 2, bias), DeviceError::Shape { numbers: 3, dim: 2 });
    assert_eq!(error(&[], 2, None), DeviceError::NoCentroids);
    assert_eq!(error(&[], 2, Some(&[])), DeviceError::NoCentroids);
    let loaded = Centroids::new(&device, &[1.0; 4], 2, None).unwrap();
    assert_eq!(loaded.nearest(&[1.0; 5]), Err(DeviceError::Shape { numbers: 5, dim: 2 }));
}

#[test]
fn an_engine_refuses_rows_and_answers_that_do_not_fit() {
    let engine = DeviceEngine::new(DeviceName::Cpu).unwrap();
    let loaded = engine.load(&[1.0, 0.0, 0.0, 1.0], 2, None).unwrap();
    for (rows, room) in [(2, 1), (2, 3), (0, 1)] {
        let error = loaded.nearest(&vec![1.0; rows * 2], &mut vec![0; room]).unwrap_err();
        let expected = format!("room for {room} answers, but there are {rows} rows");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    assert!(loaded.nearest(&[1.0; 3], &mut [0]).is_err());
    assert!(engine.load(&[], 2, None).is_err());
}
