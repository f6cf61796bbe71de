//! Text as a terminal may show it. Names of files, members, columns and samples come from others: an
//! escape character among them could clear the screen, or write what looks like the program's own words.

use std::borrow::Cow;

/// The text with every character that a terminal obeys or that hides another written out, as
/// `\u{1b}`; line breaks stay.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| out.extend(c.escape_unicode()))
}

/// The same for JSON, in which such characters stand in strings alone.
pub(crate) fn plain_json(json: &str) -> Cow<'_, str> {
    escaped(json, |c, out| out.push_str(&format!("\\u{:04x}", u32::from(c))))
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_obeyed(c) { escape(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Control characters, and those that turn the direction of what follows.
fn is_obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(plain("a\u{1b}[2Jb\r\u{9b}\u{7f}\n"), "a\\u{1b}[2Jb\\u{d}\\u{9b}\\u{7f}\n");
        assert_eq!(plain("\u{202e}gnp\u{2069}"), "\\u{202e}gnp\\u{2069}");
        assert!(matches!(plain("café 日本\tx"), Cow::Borrowed("café 日本\tx")));
        assert_eq!(plain_json("{\"a\": \"\u{9b}\u{7f}\"}"), "{\"a\": \"\\u009b\\u007f\"}");
    }
}
