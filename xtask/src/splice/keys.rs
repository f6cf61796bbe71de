//! Every key of a recipe, from the JSON Schema that the program prints.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::read;

/// The keys of a recipe: those of its own, of `[pool]`, `[output]` and `[evaluate]`, of each kind of stage, and of the
/// tables that stages have in them.
pub(super) fn recipe_keys(root: &Path) -> Result<String> {
    let schema = read(root, "docs/recipe.schema.json")?;
    let all = Schema(&schema);
    let mut page = String::new();
    all.section(&mut page, "The recipe", &schema)?;
    all.section(&mut page, "`[pool]`", all.definition("PoolRecipe")?)?;
    all.section(&mut page, "`[output]`", all.definition("OutputRecipe")?)?;
    all.section(&mut page, "`[evaluate]`", all.definition("EvaluateRecipe")?)?;
    let stages = all.definition("Stage")?["oneOf"].as_array().context("no kinds of stages")?;
    for stage in stages {
        let kind = stage["properties"]["kind"]["const"].as_str().context("a stage has no kind")?;
        all.section(&mut page, &format!("`kind = \"{kind}\"`"), stage)?;
    }
    all.section(&mut page, "`k-means = { … }`", all.definition("KMeansRecipe")?)?;
    all.section(&mut page, "`of = [{ … }]` of `rank`", all.definition("RankedScore")?)?;
    Ok(page)
}

struct Schema<'a>(&'a Value);

impl<'a> Schema<'a> {
    fn definition(&self, name: &str) -> Result<&'a Value> {
        self.0["$defs"].get(name).with_context(|| format!("the schema does not define {name}"))
    }

    fn section(&self, page: &mut String, title: &str, of: &Value) -> Result<()> {
        *page += &format!("## {title}\n\n");
        if let Some(text) = of["description"].as_str() {
            *page += &format!("{}\n\n", one_line(text));
        }
        *page += "| key | values | left out | |\n|---|---|---|---|\n";
        let keys = of["properties"].as_object().context("no keys")?;
        let needed: Vec<&str> =
            of["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, value) in keys.iter().filter(|(key, _)| *key != "kind" && *key != "stage") {
            *page += &format!(
                "| `{key}` | {} | {} | {} |\n",
                self.values(value)?,
                left_out(value, needed.contains(&key.as_str())),
                value["description"].as_str().map(one_line).unwrap_or_default(),
            );
        }
        page.push('\n');
        Ok(())
    }

    /// What a key takes, in words.
    fn values(&self, value: &Value) -> Result<String> {
        if let Some(name) = value["$ref"].as_str() {
            return self.named(name.rsplit('/').next().unwrap_or_default());
        }
        if let Some(choices) = value["anyOf"].as_array() {
            let some = choices.iter().find(|choice| choice["type"] != "null");
            return self.values(some.context("a key that takes nothing")?);
        }
        let kind = match &value["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|k| *k != "null"),
            kind => kind.as_str(),
        };
        Ok(match kind {
            Some("string") => "text".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("number") => "number".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            Some("array") => format!("list of {}", self.values(&value["items"])?),
            Some("object") => "table".to_owned(),
            _ => "text".to_owned(),
        })
    }

    /// What a key of a named type takes: the values of a choice, or a table.
    fn named(&self, name: &str) -> Result<String> {
        let definition = self.definition(name)?;
        let choices = choices(definition);
        if choices.is_empty() {
            return if definition["properties"].is_object() {
                Ok("table".to_owned())
            } else {
                self.values(definition)
            };
        }
        let said = choices.into_iter().map(|(value, text)| match text {
            Some(text) => format!("`\"{value}\"`: {}", one_line(text)),
            None => format!("`\"{value}\"`"),
        });
        Ok(said.collect::<Vec<_>>().join("<br>"))
    }
}

/// The values of a choice, each with what it means.
fn choices(definition: &Value) -> Vec<(&str, Option<&str>)> {
    let plain = definition["enum"].as_array().into_iter().flatten();
    let told = definition["oneOf"].as_array().into_iter().flatten().flat_map(|one| {
        let text = one["description"].as_str();
        let list = one["enum"].as_array().into_iter().flatten().chain(one.get("const"));
        list.filter_map(move |value| Some((value.as_str()?, text)))
    });
    plain.filter_map(|value| Some((value.as_str()?, None))).chain(told).collect()
}

fn left_out(value: &Value, needed: bool) -> String {
    match value.get("default") {
        _ if needed => "must be given".to_owned(),
        Some(Value::Object(_) | Value::Null) | None => String::new(),
        Some(Value::Bool(false)) => "`false`".to_owned(),
        Some(default) => format!("`{default}`"),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_choice_is_told_value_by_value() {
        let schema: Map<String, Value> = serde_json::from_str(
            r#"{"$defs": {"Mode": {"oneOf": [
                {"const": "greedy", "description": "One\nof each."}, {"enum": ["other"]}]}}}"#,
        )
        .unwrap();
        let schema = Value::Object(schema);
        let said = Schema(&schema).named("Mode").unwrap();
        assert_eq!(said, "`\"greedy\"`: One of each.<br>`\"other\"`");
        assert!(Schema(&schema).named("Other").is_err());
    }
}
