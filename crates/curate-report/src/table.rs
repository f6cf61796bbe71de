//! Draws tables of values.

use crate::html::{Html, put};
use crate::number::{counted, decimals, fixed};
use crate::text::{esc, slug};
use crate::value::value;
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
        let rows = counted(table.rows.len() as u64, "row");
        put!(html, "<details class=\"long\"><summary><span class=\"h3\">{}</span>", esc(title));
        put!(html, " <span class=\"length\">{rows}</span></summary>\n");
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
    let orders = Orders::of(table);
    orders.choices(html, title);
    put!(
        html,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">\n",
        esc(title)
    );
    grid(html, table, &orders);
    put!(html, "</div>\n");
    orders.end(html);
}

/// The most orders that the style sheet knows.
const ORDERS: usize = 4;

/// The orders in which a reader can have the rows. Without a script: each row says its place in each
/// order, and the style sheet takes the one that is chosen.
struct Orders<'a> {
    columns: Vec<&'a str>,
    /// The place of each row in each order, from 0.
    places: Vec<Vec<usize>>,
}

impl<'a> Orders<'a> {
    fn of(table: &'a Table) -> Self {
        let there = table.orders.iter().filter(|&&at| at < table.columns.len()).take(ORDERS);
        let there: Vec<usize> = there.copied().collect();
        let value = |row: &Vec<Value>, at: usize| {
            row.get(at).and_then(amount).filter(|x| !x.is_nan()).unwrap_or(f64::NEG_INFINITY)
        };
        let places = there.iter().map(|&at| {
            let mut order: Vec<usize> = (0..table.rows.len()).collect();
            order.sort_by(|&a, &b| {
                value(&table.rows[b], at).total_cmp(&value(&table.rows[a], at)).then(a.cmp(&b))
            });
            let mut places = vec![0; order.len()];
            order.into_iter().enumerate().for_each(|(place, row)| places[row] = place);
            places
        });
        let columns = there.iter().map(|&at| table.columns[at].heading.as_str()).collect();
        Self { columns, places: places.collect() }
    }

    fn choices(&self, html: &mut Html, title: &str) {
        if self.columns.is_empty() {
            return;
        }
        put!(html, "<div class=\"sorts\"><fieldset><legend>Sort by</legend>\n");
        let name = format!("sort-{}", slug(title));
        for (at, column) in self.columns.iter().enumerate() {
            put!(html, "<label><input type=\"radio\" name=\"{name}\" class=\"by{at}\"/>");
            put!(html, "{}</label>\n", esc(column));
        }
        put!(html, "</fieldset>\n");
    }

    fn end(&self, html: &mut Html) {
        if !self.columns.is_empty() {
            put!(html, "</div>\n");
        }
    }

    /// The style of a row: its places.
    fn style(&self, row: usize) -> String {
        if self.columns.is_empty() {
            return String::new();
        }
        let place = |(at, places): (usize, &Vec<usize>)| format!("--by{at}:{}", places[row]);
        let places: Vec<String> = self.places.iter().enumerate().map(place).collect();
        format!(" style=\"{}\"", places.join(";"))
    }
}

fn grid(html: &mut Html, table: &Table, orders: &Orders<'_>) {
    let formats: Vec<_> = (0..table.columns.len()).map(|at| Format::of(table, at)).collect();
    put!(html, "<table style=\"--columns:{}\">\n<thead><tr>", table.columns.len());
    for (column, format) in table.columns.iter().zip(&formats) {
        put!(html, "<th scope=\"col\"{}>{}</th>", format.class(), esc(&column.heading));
    }
    put!(html, "</tr></thead>\n<tbody>\n");
    for (number, row) in table.rows.iter().enumerate() {
        put!(html, "<tr{}>", orders.style(number));
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
