//! Values, and lists of facts, as markup.

use crate::html::{Html, put};
use crate::text::esc;
use crate::{Fact, Value, number};

/// A value as markup.
pub(crate) fn value(html: &mut Html, value: &Value) {
    match value {
        Value::Missing => put!(html, "<span class=\"missing\">–</span>"),
        Value::Code(code) => put!(html, "<code>{}</code>", esc(code)),
        Value::Text(text) => put!(html, "<bdi>{}</bdi>", esc(text)),
        other => put!(html, "{}", esc(&number::value(other))),
    }
}

pub(crate) fn facts(html: &mut Html, facts: &[Fact], class: &str) {
    if facts.is_empty() {
        return;
    }
    put!(html, "<dl class=\"{class}\">\n");
    for fact in facts {
        put!(html, "<div><dt>{}</dt><dd>", esc(&fact.label));
        value(html, &fact.value);
        put!(html, "</dd></div>\n");
    }
    put!(html, "</dl>\n");
}
