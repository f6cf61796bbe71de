//! Records that are measured on each class of processors.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::read;

/// The records in a folder, by class of processors, by name.
pub(super) fn records(root: &Path, folder: &str) -> Result<Vec<(String, Value)>> {
    let mut classes = std::fs::read_dir(root.join(folder))?
        .map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().display().to_string()))
        .collect::<Result<Vec<String>>>()?;
    classes.sort();
    let read = |class: String| {
        let record = read(root, &format!("{folder}/{class}.json"))?;
        Ok((class, record))
    };
    classes.into_iter().map(read).collect()
}

/// The least value that a ratio has in any of the records: a headline that no kind machine flatters.
pub(super) fn least(records: &[(String, Value)], ratio: &str) -> Value {
    let ratios = records.iter().filter_map(|(_, record)| record["ratios"][ratio].as_f64());
    ratios.min_by(f64::total_cmp).map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_least_of_all_classes_is_the_headline() {
        let record = |ratio: f64| (String::new(), json!({ "ratios": { "r": ratio } }));
        let records = [record(3.0), record(2.0), (String::new(), json!({ "ratios": {} }))];
        assert_eq!(least(&records, "r"), json!(2.0));
        assert_eq!(least(&records, "other"), Value::Null);
    }
}
