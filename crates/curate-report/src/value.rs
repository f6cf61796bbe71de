//! Values as markup.

use crate::html::{Html, put};
use crate::text::esc;
use crate::{Value, number};

/// A value as markup.
pub(crate) fn value(html: &mut Html, value: &Value) {
    match value {
        Value::Missing => put!(html, "<span class=\"missing\">–</span>"),
        Value::Code(code) => put!(html, "<code>{}</code>", esc(code)),
        Value::Text(text) => put!(html, "<bdi>{}</bdi>", esc(text)),
        other => put!(html, "{}", esc(&number::value(other))),
    }
}
