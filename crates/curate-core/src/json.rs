//! Records as Python, JavaScript and Windows write them.
//!
//! What Python's `json.loads` takes is read as Python reads it: `NaN`, `Infinity` and `-Infinity`,
//! numbers beyond the range of f64 (infinities) and integers of any length; of a repeated key the last
//! value counts. Beyond that a byte-order mark is passed over. A surrogate that stands alone
//! (`"\ud83d"`), which no UTF-8 can hold, is read as U+FFFD.
//!
//! ```
//! use curate_core::json::{self, Record};
//!
//! let record = Record::parse(br#"{"id": 3, "score": NaN, "text": "cut \ud83d", "id": 4}"#)?;
//! assert_eq!(record.get("id").and_then(|id| id.name()).as_deref(), Some("4"));
//! assert!(record.get("score").and_then(|score| score.number()).is_some_and(f64::is_nan));
//! assert_eq!(record.get("text").and_then(|text| text.text()), Some("cut \u{fffd}"));
//! assert!(Record::parse(b"[1]").is_err());
//! # Ok::<(), json::BadRecord>(())
//! ```

use std::{borrow::Cow, sync::Arc};

use jiter::{JsonErrorType, JsonValue};

use crate::guard::guarded;

/// Fields of a record that is read. Each field is looked for among all, and by its name in every record.
pub const MOST_FIELDS: usize = 4096;

/// The mark that Windows programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A JSON object.
#[derive(Clone, Debug)]
pub struct Record<'a>(Arc<Vec<Field<'a>>>);

type Field<'a> = (Cow<'a, str>, JsonValue<'a>);

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// They break JSON.
    #[error("is not JSON: {0}")]
    Broken(String),
    /// They are JSON, but no object.
    #[error("is not a JSON object but {0}")]
    NoObject(&'static str),
    /// They are more than anyone writes.
    #[error("is longer than {mib} MiB")]
    TooLong {
        /// The limit.
        mib: u64,
    },
    /// They have more fields than anyone writes.
    #[error("has {fields} fields, more than {}", MOST_FIELDS)]
    TooWide {
        /// How many.
        fields: usize,
    },
    /// They are text in another encoding.
    #[error("is UTF-16; save it as UTF-8")]
    Utf16,
}

impl<'a> Record<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadRecord> {
        // The parser is another's; a fault of it costs the record alone.
        guarded(|| Self::parsed(without_mark(bytes))).unwrap_or_else(|message| {
            Err(BadRecord::Broken(format!("the parser failed inside: {message}")))
        })
    }

    fn parsed(bytes: &'a [u8]) -> Result<Self, BadRecord> {
        match JsonValue::parse(bytes, true) {
            Ok(value) => Self::of(value),
            Err(e) if is_surrogate(&e.error_type) => {
                let paired = paired(bytes);
                let value = JsonValue::parse(&paired, true).map(JsonValue::into_static);
                Self::of(value.map_err(|e| broken(&paired, e))?)
            }
            Err(e) => Err(broken(bytes, e)),
        }
    }

    fn of(value: JsonValue<'a>) -> Result<Self, BadRecord> {
        match value {
            JsonValue::Object(fields) if fields.len() > MOST_FIELDS => {
                Err(BadRecord::TooWide { fields: fields.len() })
            }
            JsonValue::Object(fields) => Ok(Self(fields)),
            other => Err(BadRecord::NoObject(Value(&other).kind())),
        }
    }

    /// The value under a name; of a repeated name the last.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| Value(value))
    }

    /// Names and values as they stand there; of a repeated name the last counts.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), Value(value)))
    }
}

/// A value of a record.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a>(&'a JsonValue<'a>);

impl<'a> Value<'a> {
    /// True for `null`.
    pub fn is_null(self) -> bool {
        matches!(self.0, JsonValue::Null)
    }

    /// The text of a string.
    pub fn text(self) -> Option<&'a str> {
        match self.0 {
            JsonValue::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The name that it stands for, in an id or a label: a string, or an integer in decimal digits.
    pub fn name(self) -> Option<Cow<'a, str>> {
        match self.0 {
            JsonValue::Str(text) => Some(Cow::Borrowed(text)),
            JsonValue::Int(number) => Some(Cow::Owned(number.to_string())),
            JsonValue::BigInt(number) => Some(Cow::Owned(number.to_string())),
            _ => None,
        }
    }

    /// The nearest f64 of a number; 0 and 1 for `false` and `true`, as in numpy.
    pub fn number(self) -> Option<f64> {
        match self.0 {
            JsonValue::Int(number) => Some(*number as f64),
            // An integer's digits are a float's too, the nearest one or an infinity.
            JsonValue::BigInt(number) => number.to_string().parse().ok(),
            JsonValue::Float(number) => Some(*number),
            JsonValue::Bool(flag) => Some(f64::from(*flag)),
            _ => None,
        }
    }

    /// A string, a number or a flag as text, as a person reads it.
    pub fn shown(self) -> Option<String> {
        match self.0 {
            JsonValue::Float(number) => Some(format!("{number:?}")),
            JsonValue::Bool(flag) => Some(flag.to_string()),
            _ => self.name().map(Cow::into_owned),
        }
    }

    /// What it is, with its article, for an error.
    pub fn kind(self) -> &'static str {
        match self.0 {
            JsonValue::Null => "null",
            JsonValue::Bool(_) => "a flag",
            JsonValue::Int(_) | JsonValue::BigInt(_) | JsonValue::Float(_) => "a number",
            JsonValue::Str(_) => "a text",
            JsonValue::Array(_) => "a list",
            JsonValue::Object(_) => "an object",
        }
    }
}

/// UTF-8 without the mark before it.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// True for bytes that begin as UTF-16 does: with its mark, or with a character of two bytes, one of
/// them 0.
pub fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{', ..] | [b'{', 0, ..])
}

fn is_surrogate(error: &JsonErrorType) -> bool {
    matches!(
        error,
        JsonErrorType::UnexpectedEndOfHexEscape | JsonErrorType::LoneLeadingSurrogateInHexEscape
    )
}

fn broken(bytes: &[u8], error: jiter::JsonError) -> BadRecord {
    if is_utf16(bytes) {
        return BadRecord::Utf16;
    }
    BadRecord::Broken(error.description(bytes))
}

/// The same JSON with `\ufffd` for every escaped surrogate that has no partner.
fn paired(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let escape = &bytes[at..];
        let taken = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.extend(b"\\ufffd");
                at += 6;
                continue;
            }
            // The character after a backslash begins no escape of its own.
            _ if escape[0] == b'\\' => escape.len().min(2),
            _ => 1,
        };
        out.extend(&escape[..taken]);
        at += taken;
    }
    out
}

/// The number in an escape `\uXXXX` at the front.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        let record = Record::parse(json.as_bytes()).ok()?;
        record.get("a").and_then(|value| value.shown())
    }

    /// As Python 3.11: `str(json.loads(line)["a"].encode("utf-8", "replace"), "utf-8")`, where a
    /// question mark stands for U+FFFD.
    #[test]
    fn surrogates_without_a_partner_are_replaced_and_nothing_else() {
        let cases = [
            (r#"{"a": "\ud83d"}"#, "\u{fffd}"),
            (r#"{"a": "\ud83dx"}"#, "\u{fffd}x"),
            (r#"{"a": "\ude00\ud83d"}"#, "\u{fffd}\u{fffd}"),
            (r#"{"a": "\uD83D\uDE00"}"#, "😀"),
            (r#"{"a": "\ud83d\ud83d\ude00"}"#, "\u{fffd}😀"),
            (r#"{"a": "\\ud83d \ud83d"}"#, "\\ud83d \u{fffd}"),
            (r#"{"a": "\\\ud83d\n"}"#, "\\\u{fffd}\n"),
        ];
        for (json, expected) in cases {
            assert_eq!(text(json).as_deref(), Some(expected), "{json}");
        }
        assert_eq!(text(r#"{"a": "\ud8"}"#), None);
        assert_eq!(text(r#"{"a": "\ud83d"#), None);
        assert_eq!(text(r#"{"a": "\ud83d\"#), None);
    }

    #[test]
    fn numbers_are_pythons() {
        let number = |json: &str| {
            let line = format!("{{\"a\": {json}}}");
            Record::parse(line.as_bytes()).ok()?.get("a")?.number()
        };
        assert_eq!(number("1e999"), Some(f64::INFINITY));
        assert_eq!(number("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(number("NaN").is_some_and(f64::is_nan));
        assert_eq!(number("true"), Some(1.0));
        assert_eq!(number("0.30000000000000004"), Some(0.30000000000000004));
        assert_eq!(number("9007199254740993"), Some(9007199254740992.0));
        assert_eq!(number("123456789012345678901234567890"), Some(1.2345678901234568e29));
        assert_eq!(text("{\"a\": 123456789012345678901234567890}").unwrap().len(), 30);
        for wrong in ["nan", "-NaN", "+1", "01", "1.", ".5", "1_0", "inf", "0x1", ""] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_object_says_what_it_is() {
        let said = |bytes: &[u8]| Record::parse(bytes).unwrap_err().to_string();
        assert_eq!(said(b"[1]"), "is not a JSON object but a list");
        assert_eq!(said(b"null"), "is not a JSON object but null");
        assert_eq!(said(b"\xff\xfe{\0}\0"), "is UTF-16; save it as UTF-8");
        assert!(said(b"{\"a\": \"\xff\"}").starts_with("is not JSON: "));
        let wide = |n: usize| {
            let fields: Vec<String> = (0..n).map(|i| format!("\"{i}\":0")).collect();
            Record::parse(format!("{{{}}}", fields.join(",")).as_bytes()).map(drop)
        };
        assert_eq!(wide(MOST_FIELDS), Ok(()));
        let error = wide(MOST_FIELDS + 1).unwrap_err().to_string();
        assert_eq!(error, "has 4097 fields, more than 4096");
        assert!(said("[".repeat(100_000).as_bytes()).starts_with("is not JSON: "));
        let record = Record::parse(b"\xef\xbb\xbf{\"a\": 1, \"a\": 2}\r\n").unwrap();
        assert_eq!(record.get("a").and_then(Value::number), Some(2.0));
    }
}
