//! fastText's idea of a word.

/// The token that stands for the end of a line.
pub(super) const END_OF_LINE: &str = "</s>";

/// The tokens of a text as `fasttext.tokenize` gives them.
///
/// Words end at the ASCII characters space, tab, vertical tab, form feed, carriage return, line
/// feed and NUL, and nowhere else: a no-break space (U+00A0), an ideographic space (U+3000) or a
/// file separator (U+001C) stays inside its word. Each line feed is a token of its own, `</s>`.
///
/// ```
/// use curate_text::fasttext::tokenize;
///
/// let tokens: Vec<_> = tokenize("cat\nand\u{a0}dog").collect();
/// assert_eq!(tokens, ["cat", "</s>", "and\u{a0}dog"]);
/// ```
pub fn tokenize(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || next_token(&mut rest))
}

/// The number of tokens in a text, `len(fasttext.tokenize(text))`.
pub fn count_tokens(text: &str) -> usize {
    tokenize(text).count()
}

pub(super) fn next_token<'t>(rest: &mut &'t str) -> Option<&'t str> {
    let start = rest.bytes().position(|b| b == b'\n' || !is_separator(b))?;
    let text = &rest[start..];
    if let Some(after) = text.strip_prefix('\n') {
        *rest = after;
        return Some(END_OF_LINE);
    }
    let end = text.bytes().position(is_separator).unwrap_or(text.len());
    let (token, after) = text.split_at(end);
    *rest = after;
    Some(token)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_ascii_and_newlines_count() {
        let all = |text| tokenize(text).collect::<Vec<_>>();
        assert_eq!(all(""), [""; 0]);
        assert_eq!(all(" \t\r\0\x0b\x0c"), [""; 0]);
        assert_eq!(all("a\tb\x0bc\x0cd\re\0f g"), ["a", "b", "c", "d", "e", "f", "g"]);
        assert_eq!(all("a\n\n b\n"), ["a", "</s>", "</s>", "b", "</s>"]);
        assert_eq!(all("a\u{2003}b\u{1c}c\u{85}d"), ["a\u{2003}b\u{1c}c\u{85}d"]);
        assert_eq!(all("é 犬"), ["é", "犬"]);
    }
}
