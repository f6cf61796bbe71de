//! Every public function of the crate that takes data: bad input is an error that names it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use common::path;
use curate_core::{NoProgress, SampleId};
use curate_dfn::{
    Network, NetworkError, OpenClipConfig, Tokenizer, Transform, Weights,
    config::Interpolation,
    filter::{
        FilterError,
        align::{NegClipLossParams, Norm, cosines, neg_clip_loss, norm_sim},
    },
    image::{Decoded, Mode, Region, Rgb, resize},
    network::{read_folder, write_folder},
    tokenizer::{Ftfy, SpecialText},
    weights::parameters,
};
use ndarray::{Array2, array};

fn tiny() -> (OpenClipConfig, Weights) {
    read_folder(&path("tiny")).unwrap()
}

#[test]
fn weights_that_are_not_finite_are_refused_at_loading_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (config, weights) = tiny();
    write_folder(folder.path(), &config, &weights).unwrap();
    let file = folder.path().join("open_clip_model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    // The last number of the file is one of the last array.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let error = Network::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("` holds NaN at element ") && error.contains("`visual."), "{error}");
    let blended = weights.blend(&weights, f32::NAN).unwrap_err();
    assert!(blended.to_string().starts_with("`share` is NaN"), "{blended}");
}

#[test]
fn a_network_takes_its_own_weights_and_inputs_only() {
    let (config, weights) = tiny();
    let mut other = config.clone();
    other.model_cfg.text_cfg.layers += 1;
    let error = Network::new(other.clone(), &weights).err().unwrap();
    assert!(matches!(&error, NetworkError::Weights(p) if p.contains("is missing")), "{error}");
    let more = Weights::random(&other.model_cfg, 1);
    let error = Network::new(config.clone(), &more).err().unwrap().to_string();
    assert!(error.contains("belongs to no such network"), "{error}");
    assert!(weights.blend(&more, 0.5).unwrap_err().to_string().contains("differ"));
    other.model_cfg.vision_cfg.patch_size = 0;
    let error = Network::new(other, &weights).err().unwrap();
    assert!(matches!(error, NetworkError::Config(_)), "{error}");
    assert!(weights.data("no such parameter").is_none());

    let network = Network::new(config.clone(), &weights).unwrap();
    let error = network.image_features(&[0.5; 7]).unwrap_err().to_string();
    assert!(error.starts_with("images: 7 numbers"), "{error}");
    let error = network.embed_images(&[0.5; 7]).unwrap_err().to_string();
    assert!(error.starts_with("images: 7 numbers"), "{error}");
    let error = network.text_features(&[1; 25]).unwrap_err().to_string();
    assert!(error.starts_with("tokens: 25 numbers"), "{error}");
    let context = config.model_cfg.text_cfg.context_length;
    let error = network.text_features(&vec![49_408; context]).unwrap_err().to_string();
    assert!(error.starts_with("tokens: 49408 is not in"), "{error}");
    assert!(network.image_features(&[]).unwrap().is_empty());
    assert!(network.text_features(&[]).unwrap().is_empty());
    let small = Transform::new(&config.preprocess_cfg, 16);
    let error = network.with_transform(small).err().unwrap();
    assert_eq!(error, NetworkError::ImageSize { found: 16, expected: 32 });
}

#[test]
fn what_decides_the_outputs_decides_the_fingerprint_and_nothing_else_does() {
    let (config, weights) = tiny();
    let network = || Network::new(config.clone(), &weights).unwrap();
    let print = network().fingerprint();
    assert_eq!(network().fingerprint(), print);
    let half = weights.rounded_to_half();
    assert_ne!(Network::new(config.clone(), &half).unwrap().fingerprint(), print);
    let plain = network().with_tokenizer(Tokenizer::new(SpecialText::Plain));
    assert_ne!(plain.fingerprint(), print);
    let older = network().with_tokenizer(Tokenizer::default().with_repair(Ftfy::V6_2));
    assert_ne!(older.fingerprint(), print);
    let same = network().with_tokenizer(Tokenizer::default());
    assert_eq!(same.fingerprint(), print);
    let few = curate_dfn::image::Limits { pixels: 9 };
    let transform = network().transform().clone().with_limits(few);
    assert_ne!(network().with_transform(transform).unwrap().fingerprint(), print);
    let mut colder = config.clone();
    colder.preprocess_cfg.mean = [0.0; 3];
    assert_ne!(Network::new(colder, &weights).unwrap().fingerprint(), print);
}

#[test]
fn every_wrong_key_is_named_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        r#"{"model_cfg": {"embed_dim": 8, "embed_dmi": 8, "vision_cfg": {"layers": "3",
        "timm_model_name": "convnext_base", "widht": 64}, "text_cfg": {"pool_type": "last",
        "heads": -1}}, "preprocess_cfg": {"interpolation": "nearest", "meen": [0, 0, 0]}}"#,
    )
    .unwrap();
    let error = OpenClipConfig::read(file.path()).unwrap_err().to_string();
    for expected in [
        "`model_cfg.vision_cfg.timm_model_name` is \"convnext_base\", but must be null",
        "`model_cfg.text_cfg.pool_type` is \"last\", but must be \"argmax\"",
        "`model_cfg.embed_dmi`: unknown field `embed_dmi`, expected one of `embed_dim`",
        "`model_cfg.vision_cfg.layers`: invalid type: string \"3\", expected usize",
        "`model_cfg.vision_cfg.widht`: unknown field `widht`",
        "`model_cfg.text_cfg.heads`: invalid value: integer `-1`, expected usize",
        "`preprocess_cfg.interpolation`: unknown variant `nearest`",
        "`preprocess_cfg.meen`: unknown field `meen`",
    ] {
        assert!(error.contains(expected), "{expected} is not in {error}");
    }
}

#[test]
fn images_and_sizes_that_do_not_fit_are_named() {
    let whole = |width, height| Region { left: 0, top: 0, width, height };
    let how = Interpolation::Bicubic;
    let error = resize::<3>(&[0; 11], (2, 2), (1, 1), whole(1, 1), how).unwrap_err().to_string();
    assert!(error.starts_with("`pixels`: 11 bytes"), "{error}");
    let error = resize::<3>(&[], (0, 2), (1, 1), whole(1, 1), how).unwrap_err().to_string();
    assert!(error.starts_with("`to`: 0 x 2 pixels cannot become 1 x 1: "), "{error}");
    let beyond = Region { left: usize::MAX, top: 0, width: 1, height: 1 };
    let error = resize::<1>(&[0; 4], (2, 2), (1, 1), beyond, how).unwrap_err().to_string();
    assert!(
        error.starts_with("`region`: 1 x 1 pixels from 18446744073709551615, 0 lie outside"),
        "{error}"
    );

    let (config, _) = tiny();
    let rgb = Rgb { width: 2, height: 2, bytes: vec![0; 12] };
    let image = Decoded { rgb, alpha: vec![], mode: Mode::Plain };
    let transform = |size| Transform::new(&config.preprocess_cfg, size);
    assert_eq!(transform(4).bytes(&image).unwrap().len(), 48);
    assert!(transform(0).bytes(&image).unwrap_err().to_string().starts_with("`image`"));
    let see_through = Decoded { mode: Mode::Alpha, ..image.clone() };
    let error = transform(4).bytes(&see_through).unwrap_err().to_string();
    assert!(error.contains("0 bytes of alpha"), "{error}");
    let short = Rgb { width: 2, height: 3, bytes: vec![0; 12] };
    assert!(transform(4).bytes(&Decoded { rgb: short, ..image }).is_err());
    assert!(transform(4).apply(b"no image").is_err());

    let mut broken = config.model_cfg.clone();
    (broken.vision_cfg.patch_size, broken.vision_cfg.head_width) = (0, 0);
    assert_eq!((broken.vision_cfg.grid(), broken.vision_cfg.heads()), (0, 0));
    assert!(broken.problem().is_some() && !parameters(&broken).is_empty());
}

#[test]
fn embeddings_that_do_not_go_together_are_named() {
    let (two, three) = (array![[1.0_f32, 0.0], [0.0, 1.0]], array![[1.0_f32, 0.0, 0.0]]);
    let ids = [SampleId(1), SampleId(2)];
    let said = |found: Result<Vec<f32>, FilterError>| found.unwrap_err().to_string();
    let error = said(cosines(&two, &three, &NoProgress));
    assert!(error.starts_with("`texts`: vectors of 3 numbers, but 2"), "{error}");
    let one = array![[1.0_f32, 0.0]];
    assert!(said(cosines(&two, &one, &NoProgress)).starts_with("`texts`: 1 rows, but 2"));
    let params = NegClipLossParams::default();
    let error = said(neg_clip_loss(&two, &two, &ids[..1], &params, &NoProgress));
    assert!(error.starts_with("`ids`: 1 rows, but 2"), "{error}");
    let wrong = NegClipLossParams { temperature: 0.0, batch: 0, ..params };
    let error = neg_clip_loss(&two, &two, &ids, &wrong, &NoProgress).unwrap_err();
    assert!(matches!(&error, FilterError::Params(e) if e.violations.len() == 2), "{error}");
    for norm in [Norm::Infinity, Norm::Two] {
        assert!(said(norm_sim(&two, &[], norm, &NoProgress)).starts_with("`target` is empty"));
        let error = said(norm_sim(&two, &[1.0; 3], norm, &NoProgress));
        assert!(error.starts_with("target: 3 numbers, but every one has 2"), "{error}");
    }
    let none = array![[], []] as Array2<f32>;
    assert!(said(cosines(&none, &none, &NoProgress)).starts_with("`images`: vectors of 0"));
    assert!(said(norm_sim(&none, &[1.0], Norm::Two, &NoProgress)).starts_with("target: 1"));
}

#[cfg(feature = "train")]
mod train {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use curate_dfn::train::{Batch, DeviceNetwork, Loss, TrainParams, Trainer};

    #[test]
    fn training_takes_its_own_weights_and_whole_pairs_only() {
        let (config, weights) = tiny();
        let mut other = config.model_cfg.clone();
        other.embed_dim += 1;
        let device = Device::flex();
        assert!(DeviceNetwork::new(&other, &weights, &device).is_err());
        assert!(Trainer::new(&other, &weights, TrainParams::default(), device.clone()).is_err());
        let network = DeviceNetwork::new(&config.model_cfg, &weights, &device).unwrap();
        let error = network.image_features(&[0.5; 7]).unwrap_err().to_string();
        assert!(error.starts_with("images: 7 numbers"), "{error}");
        assert!(
            network.image_features(&[]).unwrap_err().to_string().starts_with("`images` is empty")
        );
        assert!(
            network.text_features(&[]).unwrap_err().to_string().starts_with("`tokens` is empty")
        );
        let context = config.model_cfg.text_cfg.context_length;
        let error = network.text_features(&vec![99_999; context]).unwrap_err().to_string();
        assert!(error.starts_with("tokens: 99999 is not in"), "{error}");

        let params = TrainParams { batch: 2, micro_batch: 1, ..TrainParams::default() };
        let mut trainer = Trainer::new(&config.model_cfg, &weights, params, device).unwrap();
        let size = 3 * 32 * 32;
        let batch = |ids: u64, images: usize, texts: usize| Batch {
            ids: (0..ids).map(SampleId::from).collect(),
            pixels: vec![0.5; images * size],
            tokens: vec![1; texts * context],
            bad: 0,
        };
        for (ids, images, texts) in [(2, 1, 2), (2, 2, 3), (0, 0, 0), (1, 2, 2)] {
            assert!(trainer.step(&batch(ids, images, texts)).is_err(), "{ids} {images} {texts}");
        }
    }

    #[test]
    fn a_loss_is_one_of_pairs() {
        let device = Device::flex();
        let zeros = |rows| Tensor::<2>::zeros([rows, 4], &device);
        let one = || Tensor::<2>::ones([1, 1], &device);
        let error = Loss::Clip.apply(zeros(2), zeros(3), one(), one()).unwrap_err().to_string();
        assert!(error.contains("[3, 4] for images of [2, 4]"), "{error}");
    }
}
