//! Text as [ftfy](https://pypi.org/project/ftfy/) 6.3.1 repairs it: mojibake, HTML entities, widths,
//! ligatures, quotation marks, line breaks, terminal escapes, control characters, composition. For scores
//! of their time [`Ftfy`] also has what 6.1 and 6.2 made of texts.
//!
//! A port of `ftfy.fix_text` with its default settings (Robyn Speer, Apache License 2.0; its license
//! and the script that writes the tables lie in `src/repair/data`). The same text comes out, but
//! for one deliberate difference: [`fix_text`] ends after a bounded amount of work, where ftfy takes
//! time that grows with the square of the length on entities nested thousands of times.

mod encoding;
mod html;
mod tables;
mod version;

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

pub use html::unescape;
pub use version::Ftfy;

use encoding::Rules;
use tables::Mapping;

impl Ftfy {
    /// A text without the glitches that this version mends.
    ///
    /// ```
    /// use curate_text::repair::Ftfy;
    ///
    /// // The older version takes these two characters alone for what was meant.
    /// assert_eq!(Ftfy::V6_2.fix_text("Ä°stanbul"), "Ä°stanbul");
    /// assert_eq!(Ftfy::V6_3.fix_text("Ä°stanbul"), "İstanbul");
    /// ```
    pub fn fix_text(self, text: &str) -> String {
        let rules = Rules::of(self);
        let mut out = String::with_capacity(text.len());
        let mut entities = true;
        let mut rest = text;
        // Shared by all lines: a thousand of them would each take what one may.
        let mut work = text.len().saturating_mul(WORK.1).saturating_add(WORK.0);
        while !rest.is_empty() {
            let (segment, after) = rest.split_at(segment_end(rest));
            // Once a text has a tag, its entities are HTML and stay, in later lines, too.
            entities = entities && !segment.contains('<');
            out.push_str(&fix_segment(segment, entities, rules, &mut work));
            rest = after;
        }
        out
    }
}

/// Characters that are repaired together at most, as in ftfy.
const SEGMENT: usize = 1_000_000;

/// Bytes that are looked through before the repair of a text ends as it is, and how often a longer text
/// may be looked through beyond those. Only texts made for it reach that: 64 KB may be looked through a
/// thousand times, and what people broke is whole after ten.
const WORK: (usize, usize) = (1 << 26, 64);

/// A text without the glitches that ftfy 6.3.1 mends.
///
/// ```
/// use curate_text::repair::fix_text;
///
/// assert_eq!(fix_text("Ä°stanbul, RÄ«ga"), "İstanbul, Rīga");
/// assert_eq!(fix_text("Broken text&hellip; it&#x2019;s ﬂubberiﬁc!"), "Broken text… it's flubberific!");
/// ```
pub fn fix_text(text: &str) -> String {
    Ftfy::default().fix_text(text)
}

/// Where the first segment ends: behind a line feed, but not behind too many characters.
fn segment_end(text: &str) -> usize {
    let line = text.find('\n').map_or(text.len(), |at| at + 1);
    text[..line].char_indices().nth(SEGMENT).map_or(line, |(at, _)| at)
}

fn fix_segment<'a>(
    segment: &'a str,
    entities: bool,
    rules: &Rules,
    work: &mut usize,
) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(segment);
    loop {
        let fixed = fix_once(&text, entities, rules, work);
        if fixed == text {
            return text;
        }
        text = Cow::Owned(fixed);
        let Some(left) = work.checked_sub(text.len()) else { return text };
        *work = left;
    }
}

/// Every repair once, in ftfy's order.
fn fix_once(text: &str, entities: bool, rules: &Rules, work: &mut usize) -> String {
    let text = if entities { html::unescape_safe(text) } else { Cow::Borrowed(text) };
    let text = encoding::fix_encoding(&text, rules, work);
    if text.is_ascii() {
        return without_controls(&lines_and_escapes(&text));
    }
    let mut replaced = String::with_capacity(text.len());
    text.chars().for_each(|c| replace(c, &mut replaced));
    let text = without_controls(&lines_and_escapes(&replaced));
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text,
        _ => text.nfc().collect(),
    }
}

/// C1 controls as Windows-1252 has them, then ligatures, widths and quotation marks.
fn replace(c: char, out: &mut String) {
    static LIGATURES: LazyLock<Mapping> = LazyLock::new(tables::ligatures);
    static WIDTHS: LazyLock<Mapping> = LazyLock::new(tables::widths);
    match encoding::without_c1(c) {
        c @ '\0'..='\u{131}' => out.push(c),
        c @ ('\u{132}'..='\u{1f3}' | '\u{fb00}'..='\u{fb06}') => match LIGATURES.get(&c) {
            // ŉ becomes an apostrophe of its own and n; the quotation marks come after ligatures.
            Some(letters) => out.extend(letters.chars().map(straight)),
            None => out.push(c),
        },
        c @ ('\u{3000}' | '\u{ff01}'..='\u{ffef}') => match WIDTHS.get(&c) {
            Some(usual) => out.push_str(usual),
            None => out.push(c),
        },
        c => out.push(straight(c)),
    }
}

fn straight(c: char) -> char {
    match c {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        c => c,
    }
}

/// Line breaks of one kind, and no terminal escapes.
fn lines_and_escapes(text: &str) -> String {
    static ESCAPE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\x1b\[[\d;]*[a-zA-Z]").ok());
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{85}'], "\n");
    match &*ESCAPE {
        Some(escape) if text.contains('\x1b') => escape.replace_all(&text, "").into_owned(),
        _ => text,
    }
}

fn without_controls(text: &str) -> String {
    text.chars().filter(|&c| !is_dropped_control(c)).collect()
}

/// The control characters that ftfy removes.
fn is_dropped_control(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x08'
            | '\x0b'
            | '\x0e'..='\x1f'
            | '\x7f'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}'
    )
}
