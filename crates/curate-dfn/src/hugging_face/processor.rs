//! `preprocessor_config.json`: what `transformers`' CLIP image processor does to an image.

use std::path::{Path, PathBuf};

use curate_io::{IoError, Kind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::{Interpolation, PreprocessConfig, ResizeMode};

/// Keys that change no pixel.
const HARMLESS: [&str; 14] = [
    "_auto_class",
    "_name_or_path",
    "_processor_class",
    "_valid_processor_keys",
    "auto_map",
    "data_format",
    "default_to_square",
    "device",
    "disable_grouping",
    "image_seq_length",
    "processor_class",
    "return_tensors",
    "torch_dtype",
    "transformers_version",
];
const KNOWN: [&str; 13] = [
    "do_resize",
    "size",
    "resample",
    "do_center_crop",
    "crop_size",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_convert_rgb",
    "image_processor_type",
    "feature_extractor_type",
];
/// What `transformers` takes for `size` and `crop_size` that are left out.
const USUAL_SIZE: usize = 224;

/// The largest side that an image is resized to.
const MOST_SIDE: usize = 1 << 20;

/// The size of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    /// That of the short side; proportions stay.
    Shortest(usize),
    /// Height and width.
    Both(usize, usize),
}

/// The file's keys and values.
pub(super) struct Processor {
    file: PathBuf,
    keys: Map<String, Value>,
}

/// Reads the transform of a network with inputs of `edge` pixels; CLIP's own where there is no file.
pub(super) fn read(folder: &Path, edge: usize) -> Result<PreprocessConfig, IoError> {
    let file = folder.join("preprocessor_config.json");
    match curate_io::files::read(&file) {
        Ok(text) => {
            let keys = serde_json::from_slice(&text).map_err(|e| {
                IoError::malformed(&file, "is not a config of an image processor").caused_by(e)
            })?;
            Processor { file, keys }.config(edge)
        }
        Err(e) if e.kind == Kind::NotFound => {
            Ok(PreprocessConfig { size: Some(edge), ..PreprocessConfig::default() })
        }
        Err(e) => Err(e),
    }
}

impl Processor {
    fn config(&self, edge: usize) -> Result<PreprocessConfig, IoError> {
        self.check_keys()?;
        for must in ["do_resize", "do_rescale", "do_convert_rgb"] {
            if !self.get(must, true)? {
                return Err(self.refused(must, "true"));
            }
        }
        let factor: f64 = self.get("rescale_factor", 1.0 / 255.0)?;
        // Python writes 1/255 with 16 digits or fewer.
        if (factor * 255.0 - 1.0).abs() > 1e-6 {
            return Err(self.refused("rescale_factor", "1/255"));
        }
        let usual = PreprocessConfig::default();
        let (mean, std) = if self.get("do_normalize", true)? {
            (self.color("image_mean", usual.mean)?, self.color("image_std", usual.std)?)
        } else {
            ([0.0; 3], [1.0; 3])
        };
        if std.iter().any(|&std| !(std.is_finite() && std > 0.0)) {
            return Err(self.refused("image_std", "above 0"));
        }
        let (resize_mode, side) = self.resize_mode(edge)?;
        Ok(PreprocessConfig {
            size: Some(edge),
            mean,
            std,
            interpolation: self.interpolation()?,
            resize_mode,
            resize_size: (side != edge).then_some(side),
            ..usual
        })
    }

    /// An error unless every key is understood, and the processor is CLIP's: with other processors the
    /// same keys mean something else.
    fn check_keys(&self) -> Result<(), IoError> {
        for (key, value) in &self.keys {
            let off = value.is_null() || (key.starts_with("do_") && value == &Value::Bool(false));
            if !(KNOWN.contains(&&**key) || HARMLESS.contains(&&**key) || off) {
                return Err(self.refused(key, "left out: its effect on images is not known"));
            }
        }
        for key in ["image_processor_type", "feature_extractor_type"] {
            let kind: String = self.get(key, "CLIPImageProcessor".to_owned())?;
            let stem = ["Fast", "Pil"].iter().find_map(|end| kind.strip_suffix(end));
            let stem = stem.unwrap_or(&kind);
            if !["CLIPImageProcessor", "CLIPFeatureExtractor"].contains(&stem) {
                return Err(self.refused(key, "CLIPImageProcessor"));
            }
        }
        Ok(())
    }

    fn interpolation(&self) -> Result<Interpolation, IoError> {
        // PIL's numbers of the filters.
        match self.get::<u8>("resample", 3)? {
            3 => Ok(Interpolation::Bicubic),
            2 => Ok(Interpolation::Bilinear),
            _ => Err(self.refused("resample", "3 (bicubic) or 2 (bilinear)")),
        }
    }

    /// How the image becomes a square of the network's size, where it does, and its side, or short side,
    /// before the center is cut out.
    fn resize_mode(&self, edge: usize) -> Result<(ResizeMode, usize), IoError> {
        let square = Size::Both(edge, edge);
        let crops = self.get("do_center_crop", true)?;
        let size = self.size("size", Size::Shortest(USUAL_SIZE))?;
        if crops && self.size("crop_size", Size::Both(USUAL_SIZE, USUAL_SIZE))? != square {
            return Err(self.refused("crop_size", &format!("the network's image_size {edge}")));
        }
        match size {
            _ if size == square => Ok((ResizeMode::Squash, edge)),
            // Of a smaller image the rest would be filled.
            Size::Shortest(short) if crops && (edge..=MOST_SIDE).contains(&short) => {
                Ok((ResizeMode::Shortest, short))
            }
            Size::Both(height, width)
                if crops && height == width && (edge..=MOST_SIDE).contains(&width) =>
            {
                Ok((ResizeMode::Squash, width))
            }
            Size::Shortest(short) if short == edge => {
                Err(self.refused("do_center_crop", "true where only the short side has a size"))
            }
            _ if crops => {
                let must = format!("one side of {edge} or more, from which {edge} are cut out");
                Err(self.refused("size", &must))
            }
            _ => Err(self.refused("size", &format!("the network's image_size {edge}"))),
        }
    }

    /// A number is the short side of `size` and both sides of `crop_size`.
    fn size(&self, key: &str, usual: Size) -> Result<Size, IoError> {
        let wrong = || self.refused(key, "a number, a height and width, or a shortest_edge");
        let number =
            |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong);
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(usual),
            Some(Value::Array(both)) if both.len() == 2 => {
                Ok(Size::Both(number(&both[0])?, number(&both[1])?))
            }
            Some(Value::Object(named)) => {
                let set: Vec<(&str, &Value)> =
                    named.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (&**k, v)).collect();
                match set[..] {
                    [("shortest_edge", n)] if key == "size" => Ok(Size::Shortest(number(n)?)),
                    [("height", h), ("width", w)] | [("width", w), ("height", h)] => {
                        Ok(Size::Both(number(h)?, number(w)?))
                    }
                    _ => Err(wrong()),
                }
            }
            Some(value) => {
                let n = number(value)?;
                let square = key == "crop_size" || self.get("default_to_square", false)?;
                Ok(if square { Size::Both(n, n) } else { Size::Shortest(n) })
            }
        }
    }

    fn color(&self, key: &str, usual: [f32; 3]) -> Result<[f32; 3], IoError> {
        match self.keys.get(key) {
            Some(Value::Null) => Ok(usual),
            _ => self.get(key, usual),
        }
    }

    fn get<T: DeserializeOwned>(&self, key: &str, usual: T) -> Result<T, IoError> {
        match self.keys.get(key) {
            None => Ok(usual),
            Some(value) => T::deserialize(value)
                .map_err(|e| self.refused(key, "a value of another type").caused_by(e)),
        }
    }

    fn refused(&self, key: &str, must: &str) -> IoError {
        let problem = match self.keys.get(key) {
            Some(value) => format!("`{key}` is {value}, but must be {must}"),
            None => {
                format!("`{key}` is left out (its default is {USUAL_SIZE}), but must be {must}")
            }
        };
        let remedy = "prepare images as the network was trained, or use open_clip's files of it";
        IoError::new(Kind::Unsupported, &self.file, problem, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transform of a network of 64 pixels, or the error.
    fn config(json: &str) -> Result<PreprocessConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("preprocessor_config.json"), json).unwrap();
        read(folder.path(), 64).map_err(|e| e.to_string())
    }

    #[test]
    fn sizes_are_obeyed_in_every_spelling() {
        for (keys, mode) in [
            (r#""size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}"#, 0),
            (r#""size": 64, "crop_size": 64, "do_center_crop": true"#, 0),
            (r#""size": 64, "default_to_square": true, "crop_size": 64"#, 1),
            (r#""size": {"height": 64, "width": 64}, "crop_size": 64"#, 1),
            (r#""size": {"width": 64, "height": 64}, "do_center_crop": false"#, 1),
            (r#""size": [64, 64], "do_center_crop": false"#, 1),
        ] {
            let found = config(&format!("{{{keys}}}")).unwrap();
            let expected = [ResizeMode::Shortest, ResizeMode::Squash][mode];
            assert_eq!((found.resize_mode, found.size), (expected, Some(64)), "{keys}");
        }
    }

    #[test]
    fn what_would_give_other_pixels_is_refused_by_name() {
        for (keys, why) in [
            (r#""size": {"shortest_edge": 60}"#, "`size` is {\"shortest_edge\":60}"),
            (r#""size": 60"#, "`size` is 60"),
            (r#""size": 1048577"#, "`size` is 1048577"),
            (r#""size": {"height": 60, "width": 60}"#, "`size` is {"),
            (r#""size": {"height": 72, "width": 80}"#, "`size` is {"),
            (r#""size": 72, "do_center_crop": false"#, "`size` is 72"),
            (r#""size": {"height": 64, "width": 48}"#, "`size` is {"),
            (r#""size": {"longest_edge": 64}"#, "`size` is {"),
            (r#""size": {"shortest_edge": 64, "longest_edge": 90}"#, "`size` is {"),
            (r#""crop_size": {"height": 64, "width": 48}"#, "`crop_size` is {"),
            (r#""crop_size": null"#, "`crop_size` is null"),
            (r#""do_center_crop": false"#, "`do_center_crop` is false"),
            (r#""do_resize": false"#, "`do_resize` is false"),
            (r#""do_rescale": false"#, "`do_rescale` is false"),
            (r#""do_rescale": null"#, "`do_rescale` is null"),
            (r#""do_convert_rgb": false"#, "`do_convert_rgb` is false"),
            (r#""rescale_factor": 0.0078431"#, "`rescale_factor` is 0.0078431"),
            (r#""resample": 0"#, "`resample` is 0"),
            (r#""image_std": [0, 1, 1]"#, "`image_std` is [0,1,1]"),
            (r#""image_mean": "imagenet""#, "`image_mean` is \"imagenet\""),
            (r#""image_processor_type": "ViTImageProcessor""#, "`image_processor_type` is"),
            (r#""do_pad": true"#, "`do_pad` is true"),
            (r#""do_thumbnail": 1"#, "`do_thumbnail` is 1"),
        ] {
            let mut json: Map<String, Value> =
                serde_json::from_str(r#"{"size": 64, "crop_size": 64}"#).unwrap();
            json.extend(serde_json::from_str::<Map<_, _>>(&format!("{{{keys}}}")).unwrap());
            let error = config(&Value::Object(json).to_string()).unwrap_err();
            assert!(error.contains(why) && error.contains("preprocessor_config.json"), "{error}");
        }
        let error = config("{}").unwrap_err();
        assert!(error.contains("`crop_size` is left out (its default is 224)"), "{error}");
    }

    #[test]
    fn a_larger_side_before_the_crop_is_obeyed() {
        for (keys, mode) in [
            (r#""size": {"shortest_edge": 72}"#, ResizeMode::Shortest),
            (r#""size": 72"#, ResizeMode::Shortest),
            (r#""size": {"height": 72, "width": 72}"#, ResizeMode::Squash),
        ] {
            let found = config(&format!("{{{keys}, \"crop_size\": 64}}")).unwrap();
            assert_eq!((found.resize_mode, found.size), (mode, Some(64)), "{keys}");
            assert_eq!(found.resize_size, Some(72), "{keys}");
        }
    }

    #[test]
    fn values_are_obeyed_and_harmless_keys_pass() {
        let keys = r#"{"size": 64, "crop_size": 64, "resample": 2, "do_normalize": false,
            "image_mean": [0.5, 0.5, 0.5], "rescale_factor": 0.00392156862745098, "do_pad": false,
            "image_processor_type": "CLIPImageProcessorFast", "pad_size": null, "device": null,
            "feature_extractor_type": "CLIPFeatureExtractor", "processor_class": "CLIPProcessor"}"#;
        let found = config(keys).unwrap();
        assert_eq!((found.mean, found.std), ([0.0; 3], [1.0; 3]));
        assert_eq!(found.interpolation, Interpolation::Bilinear);
        let keys = r#"{"size": 64, "crop_size": 64, "image_mean": [0.5, 0.4, 0.3]}"#;
        assert_eq!(config(keys).unwrap().mean, [0.5, 0.4, 0.3]);
    }
}
