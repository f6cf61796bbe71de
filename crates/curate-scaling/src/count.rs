//! Counts as people write them: one format for tables, flags and what is printed.

/// Powers of a thousand, with the letters that stand for them.
const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")];

/// Reads a count: plain, with an exponent, with underscores, or with a unit K, M, B (or G) or T in
/// either case. `None` for what is no finite number.
///
/// ```
/// use curate_scaling::parse_count;
///
/// let same = ["12.8e9", "12.8B", "12_800_000_000", "12800M", "0.0128T"];
/// assert!(same.iter().all(|text| parse_count(text) == Some(12.8e9)));
/// assert_eq!(parse_count("12.8 billion"), None);
/// ```
pub fn parse_count(text: &str) -> Option<f64> {
    let plain = text.trim().replace('_', "");
    let (digits, exponent) = match plain.char_indices().next_back()? {
        (at, 'k' | 'K') => (&plain[..at], 3),
        (at, 'm' | 'M') => (&plain[..at], 6),
        (at, 'b' | 'B' | 'g' | 'G') => (&plain[..at], 9),
        (at, 't' | 'T') => (&plain[..at], 12),
        _ => (&plain[..], 0),
    };
    // Words that Rust reads as numbers (inf, nan, infinity) are none here.
    if !digits.ends_with(|last: char| last.is_ascii_digit() || last == '.') {
        return None;
    }
    let number = match (exponent, digits.contains(['e', 'E'])) {
        (0, _) => digits.parse().ok()?,
        // The nearest number to the decimal that is meant, not a rounded product.
        (_, false) => format!("{digits}e{exponent}").parse().ok()?,
        (_, true) => return None,
    };
    f64::is_finite(number).then_some(number)
}

/// A count as [`parse_count`] reads it, to about three digits: 12.8M, 34B.
///
/// ```
/// assert_eq!(curate_scaling::show_count(12.8e6), "12.8M");
/// assert_eq!(curate_scaling::show_count(1.28e9), "1.28B");
/// assert_eq!(curate_scaling::show_count(950.0), "950");
/// ```
pub fn show_count(count: f64) -> String {
    let trimmed = |text: String| {
        let whole = !text.contains('.') || text.contains('e');
        if whole { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
    };
    match UNITS.iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) if count < 1e15 => trimmed(format!("{:.2}", count / unit)) + name,
        None if count >= 0.01 || count == 0.0 => trimmed(format!("{count:.2}")),
        _ => format!("{count:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_format_for_every_count() {
        for (text, count) in [
            ("100M", 1e8),
            ("1.28B", 1.28e9),
            ("1.28b", 1.28e9),
            ("2.56G", 2.56e9),
            ("2k", 2e3),
            ("34e9", 34e9),
            ("1E9", 1e9),
            (" 25_600_000 ", 25.6e6),
            ("5.", 5.0),
            ("-1", -1.0),
        ] {
            assert_eq!(parse_count(text), Some(count), "{text}");
        }
        let bad = [
            "",
            "M",
            "x",
            "nan",
            "inf",
            "-inf",
            "infinity",
            "1e400",
            "1e308T",
            "12.8 billion",
            "1e9M",
            "é",
            "1,000",
            "1MM",
            "0x10",
        ];
        for text in bad {
            assert_eq!(parse_count(text), None, "{text}");
        }
    }

    #[test]
    fn counts_are_shown_as_they_are_read() {
        for (count, text) in [(12.8e9, "12.8B"), (3.4e10, "34B"), (999.0, "999"), (1e21, "1.00e21")]
        {
            assert_eq!(show_count(count), text);
            assert_eq!(parse_count(text), Some(count));
        }
        assert_eq!((show_count(0.5), show_count(1e-7)), ("0.5".into(), "1.00e-7".into()));
    }
}
