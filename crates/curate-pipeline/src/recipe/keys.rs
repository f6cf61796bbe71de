//! Everything that a table says wrong, where serde stops at the first key that it does not take.

use toml::{Table, Value, de::Error};

/// Keys that are looked at after the first; a table with more wrong ones is told these.
const MOST: usize = 64;

/// Reads a table, or says all that is wrong with its keys: each that is refused is taken out, each that is
/// missing put in, and the rest read again.
pub(super) fn read_all<T>(
    mut table: Value,
    read: impl Fn(Value) -> Result<T, Error>,
) -> Result<T, Vec<String>> {
    let mut problems = Vec::new();
    // That a key is missing once it was taken out is no news.
    let mut told: Vec<Vec<String>> = Vec::new();
    for _ in 0..MOST {
        let error = match read(table.clone()) {
            Ok(found) if problems.is_empty() => return Ok(found),
            Ok(_) => break,
            Err(error) => error,
        };
        let refused = Refused::of(&error);
        if !told.contains(&refused.key) {
            problems.push(refused.text.clone());
        }
        let goes_on = match refused.is_missing {
            true => put_in(&mut table, &refused.key, &read),
            false => take_out(&mut table, &refused.key),
        };
        told.push(refused.key);
        if !goes_on {
            break;
        }
    }
    Err(problems)
}

/// A key that serde did not take.
struct Refused {
    /// Where it is: the names of the tables around it, and its own. Lists have no names.
    key: Vec<String>,
    is_missing: bool,
    text: String,
}

impl Refused {
    fn of(error: &Error) -> Self {
        let text = one_line(&error.to_string());
        let path = text.rsplit_once(" in `").and_then(|(_, path)| path.strip_suffix('`'));
        let mut key: Vec<String> =
            path.map(|path| path.split('.').map(str::to_owned).collect()).unwrap_or_default();
        let named = |start: &str| error.message().strip_prefix(start)?.split('`').next();
        let missing = named("missing field `");
        if let Some(name) = missing.or_else(|| named("unknown field `"))
            && key.last().is_none_or(|last| last != name)
        {
            key.push(name.to_owned());
        }
        Self { key, is_missing: missing.is_some(), text }
    }
}

/// Takes a key out, or the list that it is in; false where it is not found.
fn take_out(table: &mut Value, key: &[String]) -> bool {
    let (Some(table), Some((first, rest))) = (table.as_table_mut(), key.split_first()) else {
        return false;
    };
    match table.get_mut(first) {
        Some(inner @ Value::Table(_)) if !rest.is_empty() => take_out(inner, rest),
        Some(_) => table.remove(first).is_some(),
        None => false,
    }
}

/// Puts in something that is read in the place of a missing key; false where nothing is.
fn put_in<T>(table: &mut Value, key: &[String], read: impl Fn(Value) -> Result<T, Error>) -> bool {
    let mut left = vec![
        Value::Table(Table::new()),
        Value::Array(vec![Value::String("x".to_owned()); 2]),
        Value::Array(vec![]),
        Value::Boolean(false),
        Value::Float(0.5),
        Value::Integer(1),
        Value::String("x".to_owned()),
    ];
    while let Some(value) = left.pop() {
        if !insert(table, key, value) {
            return false;
        }
        let Err(error) = read(table.clone()) else { return true };
        if !Refused::of(&error).key.starts_with(key) {
            return true;
        }
        // Of a few names one is read: the first.
        let names = error.message().strip_prefix("unknown variant `x`, expected ");
        left.extend(names.and_then(|names| names.split('`').nth(1)).map(Value::from));
    }
    false
}

fn insert(table: &mut Value, key: &[String], value: Value) -> bool {
    let Some((name, around)) = key.split_last() else { return false };
    let inner = around.iter().try_fold(table, |inner, name| inner.get_mut(name));
    let Some(inner) = inner.and_then(Value::as_table_mut) else { return false };
    inner.insert(name.clone(), value);
    true
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        count: usize,
        names: Vec<String>,
        inner: Inner,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        kind: Kind,
        share: f64,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[default]
        One,
    }

    fn wrong(text: &str) -> Vec<String> {
        let table: Value = toml::from_str(text).unwrap();
        read_all(table, |table| table.try_into::<Outer>()).err().unwrap_or_default()
    }

    #[test]
    fn every_wrong_key_is_told_at_once() {
        assert!(wrong("count = 1\nnames = []\ninner = {kind = 'one', share = 1.0}").is_empty());
        let found = wrong(
            "count = '3'\nnaems = 4\ncuont = 1\nlist = [{kind = 'one', shar = 2}]\n\
             [inner]\nkind = 'two'\nshare = 'x'\nmore = 1",
        );
        let starts = [
            "invalid type: string \"3\", expected usize in `count`",
            "unknown field `naems`, expected one of `count`",
            "unknown field `cuont`",
            "unknown field `shar`",
            "unknown variant `two`",
            "invalid type: string \"x\", expected f64 in `inner.share`",
            "unknown field `more`, expected `kind` or `share` in `inner`",
            "missing field `names`",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found}, but expected {start}");
        }
    }

    #[test]
    fn everything_that_is_missing_is_told() {
        let found = wrong("[inner]");
        let names = ["count", "names", "kind", "share"];
        let missing = names.map(|name| format!("missing field `{name}`"));
        assert!(missing.iter().all(|m| found.iter().any(|f| f.starts_with(m))), "{found:#?}");
    }
}
