//! Text repair as open_clip does it: ftfy, `html.unescape` twice, single spaces, lower case.

use std::borrow::Cow;

/// A caption as the vocabulary expects it.
///
/// Python's `" ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split()).lower()`. ASCII
/// text without `&` and control characters needs no repair and takes a short way.
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    let repaired = repair(text);
    let words: Vec<&str> = repaired.split(is_python_space).filter(|w| !w.is_empty()).collect();
    Cow::Owned(words.join(" ").to_lowercase())
}

/// Lower-case ASCII words with one space between them.
fn is_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain =
        bytes.iter().all(|&b| matches!(b, b' '..=b'~') && b != b'&' && !b.is_ascii_uppercase());
    plain && !bytes.starts_with(b" ") && !bytes.ends_with(b" ") && !text.contains("  ")
}

fn repair(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~') && b != b'&') {
        return Cow::Borrowed(text);
    }
    let text = without_terminal_escapes(text);
    let fixed = if text.is_ascii() && !text.contains('&') {
        // Nothing is left to ftfy but to drop control characters.
        text.chars().filter(|&c| !is_dropped_control(c)).collect()
    } else {
        plsfix::fix_text(&text, None)
    };
    Cow::Owned(unescape(&unescape(&fixed)))
}

/// The control characters that ftfy removes, among ASCII.
fn is_dropped_control(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b' | '\x0e'..='\x1f' | '\x7f')
}

/// What `str.split()` of Python splits on.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// Without `ESC [ numbers letter`; plsfix leaves them, ftfy removes them.
fn without_terminal_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains("\x1b[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split("\x1b[");
    out.extend(parts.next());
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_numeric() || c == ';');
        if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            out.push_str(&rest[1..]);
        } else {
            out.push_str("\x1b[");
            out.push_str(part);
        }
    }
    Cow::Owned(out)
}

/// Python's `html.unescape`: named references as HTML 5 has them, numbers as Python does.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match number_reference(rest) {
            Some((len, replacement)) => {
                out.extend(replacement);
                len
            }
            None => {
                let end = rest[1..].find(['\t', '\n', '\x0c', ' ', '<', '&', '#', ';']);
                let end = end.map_or(rest.len(), |end| end + 1);
                let end = if rest[end..].starts_with(';') { end + 1 } else { end };
                out.push_str(&htmlize::unescape(&rest[..end]));
                end
            }
        };
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}

/// The length of `&#123;` or `&#x7b;` at the start of a text and the character it stands for;
/// Python drops what is no character.
fn number_reference(text: &str) -> Option<(usize, Option<char>)> {
    let body = text.strip_prefix("&#")?;
    let hex = body.strip_prefix(['x', 'X']);
    let (digits, radix) = hex.map_or((body, 10), |digits| (digits, 16));
    let count = digits.bytes().take_while(|&b| char::from(b).is_digit(radix)).count();
    if count == 0 {
        return None;
    }
    let number = u32::from_str_radix(&digits[..count], radix).unwrap_or(u32::MAX);
    let mut len = text.len() - digits.len() + count;
    len += usize::from(text[len..].starts_with(';'));
    Some((len, character(number)))
}

fn character(number: u32) -> Option<char> {
    /// What Windows-1252 has at 0x80 to 0x9f.
    const WINDOWS: [char; 32] = [
        '\u{20ac}', '\u{81}', '\u{201a}', '\u{0192}', '\u{201e}', '\u{2026}', '\u{2020}',
        '\u{2021}', '\u{02c6}', '\u{2030}', '\u{0160}', '\u{2039}', '\u{0152}', '\u{8d}',
        '\u{017d}', '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}',
        '\u{2013}', '\u{2014}', '\u{02dc}', '\u{2122}', '\u{0161}', '\u{203a}', '\u{0153}',
        '\u{9d}', '\u{017e}', '\u{0178}',
    ];
    match number {
        0 => Some('\u{fffd}'),
        0x0d => Some('\r'),
        0x80..=0x9f => Some(WINDOWS[number as usize - 0x80]),
        0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => None,
        n if n & 0xfffe == 0xfffe && n <= 0x10_ffff => None,
        n => Some(char::from_u32(n).unwrap_or('\u{fffd}')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_what_python_makes_of_them() {
        for (text, expected) in [
            ("&lt;3 &notit; &amp;amp;", "<3 ¬it; &amp;"),
            ("&#39;&#x27;&#65", "''A"),
            ("&#128;&#0;&#xD800;&#1;&#xFFFF;&#99999999999;", "€\u{fffd}\u{fffd}\u{fffd}"),
            ("&#x;&#;& &unknown; a&b", "&#x;&#;& &unknown; a&b"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }

    #[test]
    fn control_characters_and_terminal_escapes_go() {
        assert_eq!(clean("a\x0bb\x07 \x1b[1;31mRed\x1b[0m \x1b[?x"), "ab red [?x");
        assert_eq!(clean("A\u{a0}B \n C"), "a b c");
        assert!(matches!(clean("a cat"), Cow::Borrowed(_)));
    }
}
