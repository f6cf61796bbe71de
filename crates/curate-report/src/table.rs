//! Draws tables of values.

use crate::html::{Html, put};
use crate::number::{count, decimals, fixed};
use crate::page::value;
use crate::text::esc;
use crate::{Column, Table, Value};

pub(crate) fn draw(html: &mut Html, table: &Table) {
    if table.rows.is_empty() || table.columns.is_empty() {
        html.heading(3, &table.title);
        html.paragraph("text", &table.note);
        return html.empty(&table.when_empty, "There are no rows to show.");
    }
    let long = table.rows.len() > Table::LONG;
    let title = if table.title.is_empty() { "Table" } else { &table.title };
    if long {
        let rows = count(table.rows.len() as u64);
        put!(html, "<details class=\"long\"><summary><span class=\"h3\">{}</span>", esc(title));
        put!(html, " <span class=\"length\">{rows} rows</span></summary>\n");
    } else {
        html.heading(3, &table.title);
    }
    html.paragraph("text", &table.note);
    scroll(html, table);
    html.omitted(table.omitted, "rows");
    if long {
        put!(html, "</details>\n");
    }
}

/// The table in a box of its own: a wide one scrolls, with the keyboard too, since it takes the
/// focus.
pub(crate) fn scroll(html: &mut Html, table: &Table) {
    let title = if table.title.is_empty() { "Table" } else { &table.title };
    put!(
        html,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">\n",
        esc(title)
    );
    grid(html, table);
    put!(html, "</div>\n");
}

fn grid(html: &mut Html, table: &Table) {
    let formats: Vec<_> = (0..table.columns.len()).map(|at| Format::of(table, at)).collect();
    put!(html, "<table>\n<thead><tr>");
    for (column, format) in table.columns.iter().zip(&formats) {
        put!(html, "<th scope=\"col\"{}>{}</th>", format.class(), esc(&column.heading));
    }
    put!(html, "</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        put!(html, "<tr>");
        for (at, (column, format)) in table.columns.iter().zip(&formats).enumerate() {
            let (tag, scope) = if at == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
            put!(html, "<{tag}{scope}{}>", format.class());
            cell(html, row.get(at).unwrap_or(&Value::Missing), column, format);
            put!(html, "</{tag}>");
        }
        put!(html, "</tr>\n");
    }
    put!(html, "</tbody>\n</table>\n");
}

/// What the cells of a column have in common.
struct Format {
    numeric: bool,
    decimals: usize,
    largest: f64,
}

impl Format {
    fn of(table: &Table, at: usize) -> Self {
        let cells = || table.rows.iter().filter_map(|row| row.get(at));
        let known = cells().filter(|cell| **cell != Value::Missing).count();
        let amounts: Vec<f64> = cells().filter_map(amount).collect();
        let numbers = cells().filter_map(|cell| match cell {
            Value::Number(x) => decimals(*x),
            _ => None,
        });
        Self {
            numeric: known > 0 && amounts.len() == known,
            // Equal decimals make the digits of a column line up.
            decimals: numbers.max().unwrap_or(0),
            largest: amounts.into_iter().filter(|x| x.is_finite()).fold(0.0, f64::max),
        }
    }

    fn class(&self) -> &'static str {
        if self.numeric { " class=\"num\"" } else { "" }
    }
}

fn amount(value: &Value) -> Option<f64> {
    match value {
        Value::Number(x) | Value::Share(x) | Value::Seconds(x) => Some(*x),
        Value::Count(n) | Value::Bytes(n) => Some(*n as f64),
        Value::Missing | Value::Text(_) | Value::Code(_) => None,
    }
}

fn cell(html: &mut Html, content: &Value, column: &Column, format: &Format) {
    match content {
        Value::Number(x) if decimals(*x).is_some() => put!(html, "{}", fixed(*x, format.decimals)),
        other => value(html, other),
    }
    if column.bar && format.numeric {
        let share = amount(content).filter(|x| x.is_finite() && format.largest > 0.0);
        let percent = share.map_or(0.0, |x| (100.0 * x / format.largest).clamp(0.0, 100.0));
        put!(html, "<span class=\"meter\"><i style=\"width:{percent:.1}%\"></i></span>");
    }
}
