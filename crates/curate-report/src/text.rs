//! Makes hostile text harmless: escaping, shortening, anchors.

use std::fmt::{self, Display, Write};

/// Writes text so that it is inert between tags and inside quoted attributes, the only two places
/// where the page puts text. Quotes of both kinds are escaped everywhere, so that no one has to
/// know which of the two a place is.
pub(crate) fn esc(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// Text in which what stands between backticks is code, as in Markdown.
pub(crate) fn marked(text: &str) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, code, after)) = next_code(rest) {
        html += &format!("{}<code>{}</code>", esc(before), esc(code));
        rest = after;
    }
    html + &esc(rest).to_string()
}

/// What stands before, in and after the first pair of backticks.
fn next_code(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

pub(crate) struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => f.write_char(' '),
            // Embeddings, overrides and isolates can make a caption read as something else, and
            // their effect can reach the text after it. The plain marks (U+200E, U+200F, U+061C)
            // cannot do that, and Arabic and Hebrew need them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(f, "[U+{:04X}]", u32::from(c))
            }
            _ if c.is_control() || is_noncharacter(c) => f.write_char('\u{fffd}'),
            _ => f.write_char(c),
        })
    }
}

/// Code points that Unicode promises never to assign; neither HTML nor XML may hold them.
fn is_noncharacter(c: char) -> bool {
    matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe
}

/// The text with each run of white space as one space, cut off after `limit` characters; and
/// whether it was cut off. Cuts between characters, never inside the bytes of one.
pub(crate) fn shorten(text: &str, limit: usize) -> (String, bool) {
    let mut short = String::new();
    let mut left = limit;
    for word in text.split_whitespace() {
        let space = usize::from(!short.is_empty());
        if left <= space {
            return (short, true);
        }
        short.push_str(&" "[..space]);
        left -= space;
        match word.char_indices().nth(left) {
            Some((end, _)) => {
                short.push_str(&word[..end]);
                return (short, true);
            }
            None => short.push_str(word),
        }
        left -= word.chars().count();
    }
    (short, false)
}

/// Lowercase letters and digits joined by single hyphens; `section` if there are none.
pub(crate) fn slug(title: &str) -> String {
    let plain: String =
        title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    let words: Vec<_> = plain.split(' ').filter(|word| !word.is_empty()).collect();
    match words.join("-").to_ascii_lowercase() {
        slug if slug.is_empty() => "section".to_owned(),
        slug => slug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(marked("give `a < b` or"), "give <code>a &lt; b</code> or");
        assert_eq!(marked("one ` alone <"), "one ` alone &lt;");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            esc("<script>alert('x' && \"y\")</script>").to_string(),
            "&lt;script&gt;alert(&#39;x&#39; &amp;&amp; &quot;y&quot;)&lt;/script&gt;"
        );
    }

    #[test]
    fn control_characters_become_visible_or_space() {
        assert_eq!(
            esc("a\0b\x1b\u{9f}\u{ffff}\u{fdd0}").to_string(),
            "a\u{fffd}b".to_owned() + &"\u{fffd}".repeat(4)
        );
        assert_eq!(esc("a\r\nb\u{2028}c").to_string(), "a  b c");
        assert_eq!(esc("\u{202e}gnp.exe\u{2066}").to_string(), "[U+202E]gnp.exe[U+2066]");
        assert_eq!(esc("שלום\u{200f} 👩\u{200d}🔬").to_string(), "שלום\u{200f} 👩\u{200d}🔬");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shorten(" a \n\n b ", 3), ("a b".to_owned(), false));
        assert_eq!(shorten("aé b", 4), ("aé b".to_owned(), false));
        assert_eq!(shorten("aéb", 2), ("aé".to_owned(), true));
        assert_eq!(shorten("ab cd", 2), ("ab".to_owned(), true));
        assert_eq!(shorten("ab cd", 3), ("ab".to_owned(), true));
        assert_eq!(shorten("ab cd", 4), ("ab c".to_owned(), true));
        assert_eq!(shorten("", 4), (String::new(), false));
        assert_eq!(shorten("ab", 0), (String::new(), true));
    }

    #[test]
    fn anchors_are_plain() {
        assert_eq!(slug("Near-duplicates: <b>kept</b>"), "near-duplicates-b-kept-b");
        assert_eq!(slug("重複"), "section");
    }
}
