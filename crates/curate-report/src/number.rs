//! Numbers as people read them.

use crate::Value;

/// A count with commas.
///
/// ```
/// assert_eq!(curate_report::count(1_234_567), "1,234,567");
/// ```
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something, in the plural unless it is one.
///
/// ```
/// assert_eq!(curate_report::counted(1, "row"), "1 row");
/// assert_eq!(curate_report::counted(2400, "row"), "2,400 rows");
/// ```
pub fn counted(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(n))
}

/// Four significant digits, without trailing zeros.
pub(crate) fn number(x: f64) -> String {
    match decimals(x) {
        Some(decimals) => fixed(x, decimals),
        None if x.is_nan() => "not a number".to_owned(),
        None if x.is_infinite() => signed(x, "∞"),
        None => signed(x, &format!("{:.2e}", x.abs())),
    }
}

/// The number of decimals that [`number`] writes; `None` where it writes no plain decimal number.
pub(crate) fn decimals(x: f64) -> Option<usize> {
    if x == 0.0 {
        return Some(0);
    }
    if !(1e-4..1e15).contains(&x.abs()) {
        return None;
    }
    let decimals = (3.0 - x.abs().log10().floor()).clamp(0.0, 7.0) as usize;
    let digits = format!("{:.decimals$}", x.abs());
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    Some(decimals - zeros.min(decimals))
}

pub(crate) fn fixed(x: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", x.abs());
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let grouped = whole.parse().map_or_else(|_| whole.to_owned(), count);
    // What rounds to zero gets no sign.
    let zero = digits.chars().all(|c| matches!(c, '0' | '.'));
    signed(if zero { 0.0 } else { x }, &(grouped + fraction))
}

fn signed(x: f64, digits: &str) -> String {
    if x < 0.0 { format!("−{digits}") } else { digits.to_owned() }
}

/// One decimal, but never "0.0%" for more than nothing or "100.0%" for less than all.
pub(crate) fn share(x: f64) -> String {
    let percent = x * 100.0;
    if !percent.is_finite() {
        number(percent)
    } else if percent != 0.0 && percent.abs() < 0.05 {
        if percent > 0.0 { "<0.1%".to_owned() } else { ">−0.1%".to_owned() }
    } else if (99.95..100.0).contains(&percent) {
        ">99.9%".to_owned()
    } else {
        let decimals = usize::from(percent != 0.0 && percent != 100.0);
        fixed(percent, decimals) + "%"
    }
}

pub(crate) fn share_of(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { share(part as f64 / whole as f64) }
}

pub(crate) fn seconds(x: f64) -> String {
    if !x.is_finite() || x < 0.0 {
        return number(x) + " s";
    }
    let whole = x.round() as u64;
    if x == 0.0 || x >= 1e15 {
        number(x) + " s"
    } else if x < 0.9995 {
        number((x * 1e4).round() / 10.0).replace("0 ms", "0") + " ms"
    } else if x < 59.95 {
        format!("{x:.1} s")
    } else if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        let minutes = (whole + 30) / 60;
        format!("{} h {:02} min", count(minutes / 60), minutes % 60)
    }
}

pub(crate) fn bytes(n: u64) -> String {
    let mut size = n as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1023.95 {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    let decimals = usize::from(unit != "B");
    format!("{} {unit}", fixed(size, decimals))
}

/// Plain text of a value, not yet escaped.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Missing => "–".to_owned(),
        Value::Text(text) | Value::Code(text) => text.clone(),
        Value::Count(n) => count(*n),
        Value::Number(x) => number(*x),
        Value::Share(x) => share(*x),
        Value::Seconds(x) => seconds(*x),
        Value::Bytes(n) => bytes(*n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn numbers_have_four_digits() {
        let written = [0.0, -0.0, 0.97312, 0.5, 12345.678, -2.0, 1e15, -1.234e-7, 0.00012346];
        let expected =
            ["0", "0", "0.9731", "0.5", "12,346", "−2", "1.00e15", "−1.23e-7", "0.0001235"];
        assert_eq!(written.map(number), expected);
        assert_eq!(number(f64::NAN), "not a number");
        assert_eq!(number(f64::NEG_INFINITY), "−∞");
        assert_eq!(fixed(-0.001, 2), "0.00");
    }

    #[test]
    fn shares_never_round_to_nothing_or_all() {
        let written = [0.0, 1e-9, 0.289, 0.5, 0.99999, 1.0, 1.5];
        assert_eq!(
            written.map(share),
            ["0%", "<0.1%", "28.9%", "50.0%", ">99.9%", "100%", "150.0%"]
        );
        assert_eq!(share_of(1, 0), "–");
        assert_eq!(share(f64::NAN), "not a number");
    }

    #[test]
    fn durations_and_sizes_choose_a_unit() {
        let written = [0.0, 0.0004, 0.34, 0.9999, 12.44, 59.97, 125.0, 3599.7, 11_550.0];
        let expected = [
            "0 s",
            "0.4 ms",
            "340 ms",
            "1.0 s",
            "12.4 s",
            "1 min 00 s",
            "2 min 05 s",
            "1 h 00 min",
            "3 h 13 min",
        ];
        assert_eq!(written.map(seconds), expected);
        assert_eq!(seconds(f64::NAN), "not a number s");
        assert_eq!([0, 1023, 1536, 1 << 40].map(bytes), ["0 B", "1,023 B", "1.5 KiB", "1.0 TiB"]);
    }
}
