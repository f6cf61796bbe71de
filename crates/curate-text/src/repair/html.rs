//! References of HTML: names and numbers of characters.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

/// The longest reference that ftfy looks at, between `&` and `;` and without `#`.
const LONGEST: usize = 24;

/// References that end in a semicolon, as ftfy replaces them: the names of HTML 5, and those of
/// letters in capitals (`&EACUTE;`).
pub(super) fn unescape_safe(text: &str) -> Cow<'_, str> {
    static NAMES: LazyLock<HashMap<&str, String>> = LazyLock::new(super::tables::entities);
    let Some(mut at) = text.find('&') else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = safe_reference(rest).unwrap_or(0);
        let reference = &rest[..len];
        match (
            number_reference(reference),
            NAMES.get(reference.get(1..len.max(2) - 1).unwrap_or("")),
        ) {
            // What is left of a number with letters behind it has a semicolon, and so has `&#59;`.
            (Some((whole, c)), _) if whole == len && c != Some(';') => out.extend(c),
            (None, Some(characters)) => out.push_str(characters),
            _ => out.push_str(reference),
        }
        rest = &rest[len..];
        if len == 0 {
            out.push('&');
            rest = &rest[1..];
        }
        match rest.find('&') {
            Some(next) => at = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of `&name;`, `&#1;` or the like at the start of a text.
fn safe_reference(text: &str) -> Option<usize> {
    let body = text.strip_prefix('&')?;
    let body = body.strip_prefix('#').unwrap_or(body);
    let len = body.bytes().take(LONGEST + 1).take_while(u8::is_ascii_alphanumeric).count();
    let whole = (1..=LONGEST).contains(&len) && body[len..].starts_with(';');
    whole.then(|| text.len() - body.len() + len + 1)
}

/// Python's `html.unescape`: named references as HTML 5 has them, numbers as Python does.
pub fn unescape(text: &str) -> String {
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
}
