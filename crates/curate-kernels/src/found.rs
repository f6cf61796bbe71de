//! What a search finds.

/// A row's best centroid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nearest {
    /// Its index; ties go to the lowest.
    pub index: u32,
    /// The row's inner product with it, plus its bias; `-inf` when there is no centroid or the row
    /// has a NaN.
    pub value: f32,
}
