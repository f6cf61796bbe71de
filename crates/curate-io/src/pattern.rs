//! Paths that stand for several files, as the Python package webdataset expands them.
//!
//! `a.tar::b.tar` is two files. Braces are those of Python's `braceexpand`: `{train,val}`,
//! `{000..011}`, `{b..e}` and `{0..10..2}`, one in the other and in any number. A backslash before a
//! brace makes it part of a name.

use std::path::{Path, PathBuf};

use crate::error::{IoError, Kind};

/// A pattern of more files is a slip of the pen.
const MOST_FILES: usize = 1_000_000;

/// The files of a pattern, whether they exist or not; `None` for a plain path.
pub(crate) fn expand(path: &Path) -> Result<Option<Vec<PathBuf>>, IoError> {
    let Some(text) = path.to_str().filter(|text| is_pattern(text) && !path.exists()) else {
        return Ok(None);
    };
    let mut files = Vec::new();
    for part in text.split("::") {
        let names = braces(part, MOST_FILES).map_err(|problem| {
            let remedy = "write it as in {train,val}/{00000..00099}.tar";
            IoError::new(Kind::NotFound, path, problem, remedy)
        })?;
        files.extend(names.iter().map(|name| PathBuf::from(unescaped(name))));
    }
    Ok(Some(files))
}

/// True for a path that stands for several.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains("::") || text.contains(['{', '}'])
}

/// An error for what webdataset takes from a command.
pub(crate) fn check_no_pipe(path: &Path) -> Result<(), IoError> {
    // A recipe puts its folder before a path.
    let is_pipe = |part: &str| part.starts_with("pipe:") || part.contains("/pipe:");
    if !path.to_str().is_some_and(|text| text.split("::").any(is_pipe)) {
        return Ok(());
    }
    let problem = "is a command, of which only a stream can be read";
    let remedy = "save what it writes as files, or name the store's URL itself";
    Err(IoError::new(Kind::Unsupported, path, problem, remedy))
}

/// The names that braces stand for, escapes still in them. A brace that closes before one opens is a
/// part of the name, as in Python.
fn braces(pattern: &str, most: usize) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let (mut depth, mut start) = (0_i64, 0);
    for (at, c) in unescaped_chars(pattern) {
        if c == '{' {
            if depth == 0 {
                append(&mut names, &[pattern[start..at].to_owned()], most)?;
                start = at;
            }
            depth += 1;
        } else if c == '}' {
            depth -= 1;
            if depth == 0 {
                append(&mut names, &inside(&pattern[start + 1..at], most)?, most)?;
                start = at + 1;
            }
        }
    }
    if depth != 0 {
        return Err("has braces that do not match".to_owned());
    }
    append(&mut names, &[pattern[start..].to_owned()], most)?;
    Ok(names)
}

/// What stands between two braces: a range, a list, or neither, which stays as it is.
fn inside(text: &str, most: usize) -> Result<Vec<String>, String> {
    if let Some(range) = range(text, most)? {
        return Ok(range);
    }
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i64, 0);
    for (at, c) in unescaped_chars(text) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if parts.is_empty() || depth != 0 {
        return Ok(braces(text, most)?.into_iter().map(|inner| format!("{{{inner}}}")).collect());
    }
    parts.push(&text[start..]);
    let expanded: Result<Vec<_>, _> = parts.into_iter().map(|part| braces(part, most)).collect();
    Ok(expanded?.concat())
}

/// Every name with every ending.
fn append(names: &mut Vec<String>, endings: &[String], most: usize) -> Result<(), String> {
    if names.len().saturating_mul(endings.len()) > most {
        return Err("is a pattern of more than a million files".to_owned());
    }
    *names =
        names.iter().flat_map(|name| endings.iter().map(move |e| format!("{name}{e}"))).collect();
    Ok(())
}

/// `first..last` or `first..last..step`, of numbers or letters, in either direction.
fn range(text: &str, most: usize) -> Result<Option<Vec<String>>, String> {
    let parts: Vec<&str> = text.split("..").collect();
    let (first, last, step) = match parts[..] {
        [first, last] => (first, last, "1"),
        [first, last, step] => (first, last, step.trim_start_matches('-')),
        _ => return Ok(None),
    };
    let is_number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    if !is_number(step) {
        return Ok(None);
    }
    let letters: Option<(u8, u8)> = letter(first).zip(letter(last));
    let (from, to) = match letters {
        Some((first, last)) => (i64::from(first), i64::from(last)),
        None if is_number(first) && is_number(last) => {
            let number =
                |text: &str| text.parse::<i64>().map_err(|_| "has a number beyond 64 bits");
            (number(first)?, number(last)?)
        }
        None => return Ok(None),
    };
    let step = step.parse::<u64>().unwrap_or(u64::MAX).max(1);
    let count = from.abs_diff(to) / step + 1;
    if count > most as u64 {
        return Err("is a pattern of more than a million files".to_owned());
    }
    // Every step stays between the two ends, so nothing overflows.
    let moved = |i: u64| (i * step).cast_signed();
    let at = |i: u64| if from < to { from + moved(i) } else { from - moved(i) };
    let padded = [first, last].into_iter().any(|text| {
        text.len() > 1 && (text.starts_with('0') || (text.starts_with("-0") && text.len() > 2))
    });
    let width = if padded { first.len().max(last.len()) } else { 0 };
    let name = |number: i64| match letters {
        Some(_) => char::from(LETTERS[number as usize]).to_string(),
        None => format!("{number:0width$}"),
    };
    Ok(Some((0..count).map(|i| name(at(i))).collect()))
}

/// The order of `braceexpand`: capitals first.
const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn letter(text: &str) -> Option<u8> {
    let [byte] = text.as_bytes() else { return None };
    LETTERS.iter().position(|other| other == byte).and_then(|at| u8::try_from(at).ok())
}

/// The characters that no backslash stands before, and where.
fn unescaped_chars(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut escaped = false;
    text.char_indices().filter(move |&(_, c)| {
        let plain = !escaped && c != '\\';
        escaped = !escaped && c == '\\';
        plain
    })
}

fn unescaped(name: &str) -> String {
    let (mut out, mut chars) = (String::with_capacity(name.len()), name.chars());
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a pattern and its names, a tab between them, as Python's `braceexpand` tells them
    /// (`tests/data/make_patterns.py`); `!` where it refuses one.
    #[test]
    fn braces_are_those_of_braceexpand() {
        let table = include_str!("../tests/data/patterns.txt");
        for line in table.lines() {
            let mut cells = line.split('\t');
            let pattern = cells.next().unwrap();
            let expected: Vec<&str> = cells.collect();
            match braces(pattern, 10_000) {
                Ok(names) => {
                    let names: Vec<String> = names.iter().map(|name| unescaped(name)).collect();
                    assert_eq!(names, expected, "{pattern}");
                }
                Err(_) => assert_eq!(expected, ["!"], "{pattern}"),
            }
        }
        assert!(table.lines().count() > 300);
    }

    #[test]
    fn several_files_commands_and_far_too_many() {
        let names = expand(Path::new("a.tar::s/{1..2}.tar")).unwrap().unwrap();
        assert_eq!(names, ["a.tar", "s/1.tar", "s/2.tar"].map(PathBuf::from));
        assert_eq!(expand(Path::new("plain.tar")).unwrap(), None);
        let said = |path: &str| expand(Path::new(path)).unwrap_err().to_string();
        assert!(said("{0..9999999}.tar").contains("more than a million files"));
        assert!(said("{0..9999}{0..9999}.tar").contains("more than a million files"));
        assert!(said("{0..1.tar").contains("do not match"));
        for command in ["pipe:cat a.tar", "recipes/pipe:aws s3 cp s3://b/a.tar -", "a.tar::pipe:x"]
        {
            assert!(check_no_pipe(Path::new(command)).is_err(), "{command}");
        }
        assert!(check_no_pipe(Path::new("pipes/a.tar")).is_ok());
    }
}
