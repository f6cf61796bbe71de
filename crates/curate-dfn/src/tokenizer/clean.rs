//! Text repair as open_clip does it: ftfy 6.3.1, `html.unescape` twice, single spaces, lower case.

use std::borrow::Cow;

use curate_text::repair::{Ftfy, unescape};

/// A caption as the vocabulary expects it.
///
/// Python's `" ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split()).lower()`, with ftfy
/// 6.3.1. ASCII text without `&` and control characters needs no repair and takes a short way.
pub fn clean(text: &str) -> Cow<'_, str> {
    clean_as(text, Ftfy::default())
}

/// [`clean`], with this version of ftfy.
pub(super) fn clean_as(text: &str, ftfy: Ftfy) -> Cow<'_, str> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    let repaired = repair(text, ftfy);
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

fn repair(text: &str, ftfy: Ftfy) -> Cow<'_, str> {
    if text.bytes().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~') && b != b'&') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(unescape(&unescape(&ftfy.fix_text(text))))
}

/// What `str.split()` of Python splits on.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_terminal_escapes_go() {
        assert_eq!(clean("a\x0bb\x07 \x1b[1;31mRed\x1b[0m \x1b[?x"), "ab red [?x");
        assert_eq!(clean("A\u{a0}B \n C"), "a b c");
        assert!(matches!(clean("a cat"), Cow::Borrowed(_)));
    }
}
