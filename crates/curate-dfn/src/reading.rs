//! By what captions and images are read before a network sees them.

use curate_text::repair::Ftfy;
use serde::{Deserialize, Serialize};

/// The decoders of images. Their versions are those that this crate is built with.
const IMAGES: &str = "libjpeg-turbo in mozjpeg-sys 2.2 for JPEG, image 0.25 for the others";

/// By what captions and images are read before a network sees them: with others the scores of broken
/// captions and of images in rare shapes differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Whose rules repair captions, such as `ftfy 6.3.1`.
    pub captions: String,
    /// Whose code decodes images.
    pub images: String,
}

impl Reading {
    /// With captions repaired as this version of ftfy does.
    pub fn of(repair: Ftfy) -> Self {
        Self { captions: format!("ftfy {}", repair.release()), images: IMAGES.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_names_the_decoders_that_are_built_in() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        for (name, version) in [("mozjpeg-sys", "2.2"), ("image", "0.25")] {
            assert!(IMAGES.contains(&format!("{name} {version}")), "{IMAGES}");
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}.")), "{name}");
        }
        assert_eq!(Reading::of(Ftfy::default()).captions, "ftfy 6.3.1");
    }
}
