//! One row of the pool.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::captions::{Caption, Kind};
use crate::digest;
use crate::render::{Picture, SIDE};
use crate::sources::Item;

/// Everything known about a sample but its picture; the `.json` member of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) uid: String,
    /// Of the PNG bytes.
    pub(crate) sha256: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) original_width: u32,
    pub(crate) original_height: u32,
    pub(crate) url: String,
    pub(crate) caption: String,
    pub(crate) caption_kind: Kind,
    pub(crate) label: String,
    pub(crate) source: String,
    pub(crate) license: String,
    pub(crate) name: String,
    pub(crate) concept: String,
    pub(crate) category: String,
    pub(crate) subcategory: String,
    pub(crate) variant: bool,
    /// Height by width of the art.
    pub(crate) aspect: f32,
    /// Standard deviation of the pixels; 0 for a blank picture.
    pub(crate) std: f32,
    pub(crate) keywords: Vec<String>,
    pub(crate) i18n: BTreeMap<String, String>,
}

/// A row and its PNG.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) row: Row,
    pub(crate) png: Vec<u8>,
}

impl Sample {
    pub(crate) fn new(uid: String, item: Item, caption: Caption, picture: Picture) -> Self {
        let (width, height) = picture.original;
        let row = Row {
            uid,
            sha256: digest::hex(&picture.png),
            width: SIDE,
            height: SIDE,
            original_width: width.round().max(1.0) as u32,
            original_height: height.round().max(1.0) as u32,
            url: item.url,
            caption: caption.text,
            caption_kind: caption.kind,
            label: caption.label,
            source: item.source,
            license: item.license,
            name: item.name,
            concept: item.concept,
            category: item.category,
            subcategory: item.subcategory,
            variant: item.variant,
            aspect: height / width,
            std: picture.std as f32,
            keywords: item.keywords,
            i18n: item.i18n,
        };
        Self { row, png: picture.png }
    }
}
