//! Pictures made worse, for shifted test sets: the corruptions of ImageNet-C (Hendrycks and Dietterich 2019,
//! arXiv 1903.12261) at five severities.

mod blur;
mod digital;
mod grid;
mod jpeg;
mod noise;
mod weather;

use curate_core::{ParamsError, params::Checker};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::{SelectError, draws::Draws};

/// The severities that there are: 1 to 5.
pub const SEVERITIES: std::ops::RangeInclusive<usize> = 1..=5;

/// What a corruption imitates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// The sensor.
    Noise,
    /// Lens and motion.
    Blur,
    /// Weather and light.
    Weather,
    /// Programs.
    Digital,
}

/// A way to make pictures worse.
///
/// Constants are those of CIFAR-10-C (`make_cifar_c.py` of the paper's code), which were chosen for pictures of 32
/// pixels and do as well for 28; ImageNet-C's own would leave nothing of so small a picture. Where a constant is a
/// share of the side (elastic, pixelate), it is that of the side at hand.
///
/// | | published code | this crate |
/// |---|---|---|
/// | values | bytes between steps (glass blur, snow, pixelate, motion blur) | numbers, rounded nowhere but in JPEG |
/// | random numbers | numpy's stream | hashes of the seed and a position: the same for any order of pictures |
/// | glass blur | a swap of array views that copies one pixel over the other | pixels change places |
/// | elastic: the whole's stretch | OpenCV, in 32nds of a pixel | exact |
/// | zoom blur: enlargements | up to 6, 11, 15, 20 and 25 %, because of how floats add up | the same |
/// | motion blur, snow | ImageMagick | its rule: half a Gaussian along a line of whole pixels |
/// | JPEG | a file | what a file loses, without writing one: 4:2:0 colors, the standard's tables |
///
/// Left out: frost, which pastes photographs of frost that the code ships, and spatter, whose edge finder and
/// histogram are tuned to a library's byte arithmetic and are undefined on so few pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Corruption {
    /// Normal noise.
    GaussianNoise,
    /// Poisson's noise of few photons.
    ShotNoise,
    /// Salt and pepper.
    ImpulseNoise,
    /// Normal noise that grows with the value.
    SpeckleNoise,
    /// A blur by a Gaussian.
    GaussianBlur,
    /// A blur by a disk.
    DefocusBlur,
    /// Neighbors that change places.
    GlassBlur,
    /// A streak in a random direction.
    MotionBlur,
    /// The mean of enlargements.
    ZoomBlur,
    /// A cloud.
    Fog,
    /// Flakes and a paler picture.
    Snow,
    /// More light.
    Brightness,
    /// Less contrast.
    Contrast,
    /// A picture on rubber.
    Elastic,
    /// Fewer pixels.
    Pixelate,
    /// A JPEG file of low quality.
    Jpeg,
    /// Other saturation: for three channels only.
    Saturate,
}

impl Corruption {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::SpeckleNoise,
        Self::GaussianBlur,
        Self::DefocusBlur,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Fog,
        Self::Snow,
        Self::Brightness,
        Self::Contrast,
        Self::Elastic,
        Self::Pixelate,
        Self::Jpeg,
        Self::Saturate,
    ];

    /// What it imitates.
    pub fn family(self) -> Family {
        use Corruption as C;
        match self {
            C::GaussianNoise | C::ShotNoise | C::ImpulseNoise | C::SpeckleNoise => Family::Noise,
            C::GaussianBlur | C::DefocusBlur | C::GlassBlur | C::MotionBlur | C::ZoomBlur => {
                Family::Blur
            }
            C::Fog | C::Snow | C::Brightness => Family::Weather,
            C::Contrast | C::Elastic | C::Pixelate | C::Jpeg | C::Saturate => Family::Digital,
        }
    }

    /// Whether it means something for pictures of one channel: all but [`Self::Saturate`].
    pub fn fits_gray(self) -> bool {
        self != Self::Saturate
    }

    /// A picture made worse: `height x width x channels` values from 0 to 1, one channel or red, green and blue.
    /// Values come back from 0 to 1. The same `seed` gives the same picture; give each picture its own, such as
    /// [`curate_core::random::hash`] of the run's seed and the picture's id.
    ///
    /// ```
    /// use curate_select::corrupt::Corruption;
    /// use ndarray::Array3;
    ///
    /// let picture = Array3::from_shape_fn((28, 28, 1), |(y, x, _)| if y > x { 0.8_f32 } else { 0.2 });
    /// let pale = Corruption::Contrast.apply(picture.view(), 5, 0)?;
    /// assert!((pale[[27, 0, 0]] - pale[[0, 27, 0]] - 0.6 * 0.15).abs() < 1e-6);
    /// assert!(Corruption::Fog.apply(picture.view(), 6, 0).is_err());
    /// # Ok::<(), curate_select::SelectError>(())
    /// ```
    ///
    /// # Errors
    /// For a severity that is not from 1 to 5, a picture without pixels or of another number of channels, values that
    /// are not from 0 to 1, and [`Self::Saturate`] of one channel.
    pub fn apply(
        self,
        picture: ArrayView3<'_, f32>,
        severity: usize,
        seed: u64,
    ) -> Result<Array3<f32>, SelectError> {
        check_severity(severity)?;
        self.check(&picture)?;
        // In standard layout, so that draws go by row, column and channel however the picture lies in memory.
        let numbers = picture.as_standard_layout().mapv(f64::from);
        let changed = self.changed(&numbers, severity - 1, &mut Draws::new(seed));
        Ok(changed.mapv(|value| value.clamp(0.0, 1.0) as f32))
    }

    fn changed(self, picture: &grid::Picture, severity: usize, draws: &mut Draws) -> grid::Picture {
        match self {
            Self::GaussianNoise => noise::gaussian(picture, severity, draws),
            Self::ShotNoise => noise::shot(picture, severity, draws),
            Self::ImpulseNoise => noise::impulse(picture, severity, draws),
            Self::SpeckleNoise => noise::speckle(picture, severity, draws),
            Self::GaussianBlur => blur::gaussian(picture, severity),
            Self::DefocusBlur => blur::defocus(picture, severity),
            Self::GlassBlur => blur::glass(picture, severity, draws),
            Self::MotionBlur => blur::motion(picture, severity, draws),
            Self::ZoomBlur => blur::zoom(picture, severity),
            Self::Fog => weather::fog(picture, severity, draws),
            Self::Snow => weather::snow(picture, severity, draws),
            Self::Brightness => weather::brightness(picture, severity),
            Self::Contrast => digital::contrast(picture, severity),
            Self::Elastic => digital::elastic(picture, severity, draws),
            Self::Pixelate => digital::pixelate(picture, severity),
            Self::Jpeg => jpeg::jpeg(picture, severity),
            Self::Saturate => digital::saturate(picture, severity),
        }
    }

    fn check(self, picture: &ArrayView3<'_, f32>) -> Result<(), SelectError> {
        let (height, width, channels) = picture.dim();
        let problem = if picture.is_empty() || ![1, 3].contains(&channels) {
            format!("is {height} x {width} x {channels}, but must have pixels of 1 or 3 channels")
        } else if channels == 1 && !self.fits_gray() {
            "has one channel: there is no saturation to change".to_owned()
        } else if let Some((at, value)) =
            picture.indexed_iter().find(|(_, value)| !(0.0..=1.0).contains(*value))
        {
            format!("holds {value} at row {}, column {}: values must be from 0 to 1", at.0, at.1)
        } else {
            return Ok(());
        };
        Err(SelectError::Picture { problem })
    }
}

fn check_severity(severity: usize) -> Result<(), ParamsError> {
    let mut check = Checker::default();
    check.that(SEVERITIES.contains(&severity), "severity", severity, "from 1 to 5");
    check.finish()
}
