//! Mojibake: UTF-8 that was read as an encoding of one byte.

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use regex::{Regex, bytes};

use super::{tables, version::Ftfy};

/// Encodings that are tried; the first is Latin-1.
const COUNT: usize = 10;
/// Windows-1252, the second.
const WINDOWS: usize = 1;
/// The encodings that give bytes without a character their Latin-1 character, and byte 1A to U+FFFD.
const SLOPPY: Range<usize> = 1..7;
/// Windows-1257, which ftfy tries from 6.3 on.
const BALTIC: usize = 6;
/// MacRoman, where a dash and a space look like a letter that lost a byte.
const MACROMAN: usize = 8;
/// How often a repaired part of a text may be repaired on its own inside another.
const DEEPEST: usize = 16;

/// Sequences that were UTF-8 before A0 became a space.
static ALTERED: LazyLock<bytes::Regex> = LazyLock::new(|| {
    of_bytes(concat!(
        r"[\xc2\xc3\xc5\xce\xd0\xd9] ",
        r"|[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]",
        r"|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] ",
        r"|\xf0 [\x80-\xbf][\x80-\xbf]|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf][\x80-\xbf] ",
    ))
});

/// Sequences that were UTF-8 before bytes became U+FFFD (1A here) or `?`.
static LOSSY: LazyLock<bytes::Regex> = LazyLock::new(|| {
    of_bytes(concat!(
        r"[\xc2-\xdf]\x1a|[\xc2-\xc3]\?",
        r"|\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]",
        r"|\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]",
        r"|[\xe0-\xef][\x1a?][\x1a\x80-\xbf]|[\xe0-\xef][\x1a\x80-\xbf][\x1a?]",
        r"|[\xf0-\xf4][\x1a?][\x1a\x80-\xbf][\x1a\x80-\xbf]",
        r"|[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]",
        r"|[\xf0-\xf4][\x1a\x80-\xbf][\x1a\x80-\xbf][\x1a?]|\x1a",
    ))
});

fn of_bytes(pattern: &str) -> bytes::Regex {
    let regex = bytes::RegexBuilder::new(pattern).unicode(false).build();
    regex.expect("the pattern is a regular expression")
}

/// What is known of the characters of mojibake.
struct Known {
    /// The byte of each character in each encoding; 0 where it has none.
    bytes: HashMap<char, [u8; COUNT]>,
    /// The characters of the bytes from 0x80 in Windows-1252.
    windows: Vec<char>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut bytes: HashMap<char, [u8; COUNT]> = HashMap::new();
    let encodings = tables::encodings();
    for (encoding, (_, high)) in encodings.iter().enumerate().take(COUNT) {
        for (byte, &c) in (0x80..=0xff).zip(high) {
            bytes.entry(c).or_default()[encoding] = byte;
        }
    }
    Known { bytes, windows: encodings[WINDOWS].1.clone() }
});

/// What versions of ftfy judge differently.
pub(super) struct Rules {
    ftfy: Ftfy,
    /// Finds mojibake.
    badness: Regex,
    /// For each character a bit for each set of clues.
    clues: HashMap<char, u8>,
}

impl Rules {
    /// Those of a version, built once.
    pub(super) fn of(ftfy: Ftfy) -> &'static Self {
        static ALL: [LazyLock<Rules>; 3] = [
            LazyLock::new(|| Rules::new(Ftfy::V6_1)),
            LazyLock::new(|| Rules::new(Ftfy::V6_2)),
            LazyLock::new(|| Rules::new(Ftfy::V6_3)),
        ];
        &ALL[ftfy as usize]
    }

    fn new(ftfy: Ftfy) -> Self {
        let alternatives: Vec<&str> = tables::badness(ftfy).lines().collect();
        let badness =
            Regex::new(&alternatives.join("|")).expect("the table is a regular expression");
        let mut clues = HashMap::new();
        for (bit, set) in tables::clues(ftfy).into_iter().enumerate() {
            for c in set.into_iter().flat_map(|(low, high)| low..=high) {
                *clues.entry(c).or_insert(0) |= 1 << bit;
            }
        }
        Self { ftfy, badness, clues }
    }

    fn is_bad(&self, text: &str) -> bool {
        !text.is_ascii() && self.badness.is_match(text)
    }

    /// The encodings that are tried, in order.
    fn encodings(&self) -> impl Iterator<Item = usize> + use<> {
        let baltic = self.ftfy == Ftfy::V6_3;
        (0..COUNT).filter(move |&encoding| baltic || encoding != BALTIC)
    }

    /// Whether a space in bytes of this encoding may have been A0. In MacRoman 6.1 took `— ` for it.
    fn restores_a0(&self, encoding: usize) -> bool {
        encoding != MACROMAN || self.ftfy == Ftfy::V6_1
    }

    fn clues(&self, c: char) -> u8 {
        if c.is_ascii() && c != ' ' { 0 } else { self.clues.get(&c).copied().unwrap_or(0) }
    }
}

/// A C1 control as the character that Windows-1252 has in its place; others as they are.
pub(super) fn without_c1(c: char) -> char {
    match c {
        '\u{80}'..='\u{9f}' => KNOWN.windows[c as usize - 0x80],
        c => c,
    }
}

/// ftfy's `fix_encoding`: steps until one changes nothing. Every step takes its length from `work`.
pub(super) fn fix_encoding(text: &str, rules: &Rules, work: &mut usize) -> String {
    fix_inside(text, rules, work, 0)
}

fn fix_inside(text: &str, rules: &Rules, work: &mut usize, depth: usize) -> String {
    let mut text = text.to_owned();
    while let Some(left) = work.checked_sub(text.len()) {
        *work = left;
        match step(&text, rules, work, depth) {
            Some(fixed) if fixed != text => text = fixed,
            _ => break,
        }
    }
    text
}

/// One step; `None` where there is nothing to mend.
fn step(text: &str, rules: &Rules, work: &mut usize, depth: usize) -> Option<String> {
    if !rules.is_bad(text) {
        return None;
    }
    for encoding in rules.encodings() {
        let bytes = encode(text, encoding);
        if let Some(fixed) = bytes.and_then(|bytes| decode(bytes, rules, encoding)) {
            return Some(fixed);
        }
    }
    let fixed = decode_parts(text, rules, work, depth);
    if fixed != text {
        return Some(fixed);
    }
    // Latin-1 that was meant as Windows-1252 ends here, too.
    Some(text.chars().map(without_c1).collect())
}

/// The bytes of a text in an encoding; `None` where it lacks a character.
fn encode(text: &str, encoding: usize) -> Option<Vec<u8>> {
    let sloppy = SLOPPY.contains(&encoding);
    let byte = |c: char| match c {
        '\x1a' if sloppy => None,
        '\u{fffd}' if sloppy => Some(0x1a),
        '\0'..='\x7f' => Some(c as u8),
        _ => KNOWN.bytes.get(&c).map(|all| all[encoding]).filter(|&byte| byte != 0),
    };
    text.chars().map(byte).collect()
}

/// Bytes that are UTF-8 or nearly.
fn decode(bytes: Vec<u8>, rules: &Rules, encoding: usize) -> Option<String> {
    let mut bytes = bytes;
    if rules.restores_a0(encoding) && ALTERED.is_match(&bytes) {
        bytes = restore_a0(&bytes);
    }
    if SLOPPY.contains(&encoding) {
        bytes = LOSSY.replace_all(&bytes, "\u{fffd}".as_bytes()).into_owned();
    }
    if bytes.contains(&0xed) || bytes.contains(&0xc0) {
        bytes = without_variants(&bytes);
    }
    String::from_utf8(bytes).ok()
}

/// A0 where it became a space inside of what was UTF-8.
fn restore_a0(bytes: &[u8]) -> Vec<u8> {
    // À before these is a word of its own, or the start of a Portuguese one.
    const NOT_AFTER: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        out.push(first);
        let space = after.strip_prefix(b" ").filter(|_| first == 0xc3);
        if let Some(word) = space.filter(|word| !NOT_AFTER.iter().any(|no| word.starts_with(no))) {
            out.extend(b"\xa0 ");
            rest = word;
        }
    }
    let restored = |found: &bytes::Captures<'_>| -> Vec<u8> {
        found[0].iter().map(|&byte| if byte == b' ' { 0xa0 } else { byte }).collect()
    };
    ALTERED.replace_all(&out, restored).into_owned()
}

/// UTF-8 of what Java and CESU-8 write: zero as two bytes, characters as surrogate pairs.
fn without_variants(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if let [0xc0, 0x80, after @ ..] = rest {
            out.push(0);
            rest = after;
        } else if let Some(c) = surrogate_pair(rest) {
            out.extend(c.encode_utf8(&mut [0; 4]).bytes());
            rest = &rest[6..];
        } else {
            out.push(first);
            rest = after;
        }
    }
    out
}

fn surrogate_pair(bytes: &[u8]) -> Option<char> {
    let &[0xed, a @ 0xa0..=0xaf, b @ 0x80..=0xbf, 0xed, c @ 0xb0..=0xbf, d @ 0x80..=0xbf, ..] =
        bytes
    else {
        return None;
    };
    let bits = |byte: u8, mask: u8, shift: u32| u32::from(byte & mask) << shift;
    let low = bits(a, 0x0f, 16) + bits(b, 0x3f, 10) + bits(c, 0x0f, 6) + bits(d, 0x3f, 0);
    char::from_u32(low + 0x1_0000)
}

/// Mends the parts that look like UTF-8 in a text whose other parts do not.
fn decode_parts(text: &str, rules: &Rules, work: &mut usize, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        // Never a few characters out of a garble: that makes it worse.
        let inside = before.is_some_and(|c| rules.clues(c) & CONTINUATION_STRICT != 0);
        let len = if inside { 0 } else { sequences(rest, rules) };
        let (part, after) = rest.split_at(if len == 0 { c.len_utf8() } else { len });
        if len > 0 && len < text.len() && depth < DEEPEST && rules.is_bad(part) {
            out.push_str(&fix_inside(part, rules, work, depth + 1));
        } else {
            out.push_str(part);
        }
        before = part.chars().next_back();
        rest = after;
    }
    out
}

const CONTINUATION: u8 = 1 << 3;
const CONTINUATION_STRICT: u8 = 1 << 4;

/// The length of the sequences at the start of a text that look like UTF-8, one after the other.
fn sequences(text: &str, rules: &Rules) -> usize {
    let mut end = 0;
    while let Some(len) = sequence(&text[end..], rules) {
        end += len;
    }
    end
}

fn sequence(text: &str, rules: &Rules) -> Option<usize> {
    let mut chars = text.char_indices();
    // A bit for each number of characters that may follow: 1, 2, 3.
    let mut open = rules.clues(chars.next()?.1) & 0b111;
    while open != 0 {
        let (at, c) = chars.next().filter(|&(_, c)| rules.clues(c) & CONTINUATION != 0)?;
        if open & 1 != 0 {
            return Some(at + c.len_utf8());
        }
        open >>= 1;
    }
    None
}
