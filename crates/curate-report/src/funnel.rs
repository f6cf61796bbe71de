//! Draws one bar per stage: kept, removed, quarantined, and what earlier stages removed.

use crate::chart::swatch;
use crate::html::{Html, icon_use, put};
use crate::number::{count, share_of};
use crate::text::esc;
use crate::{Funnel, FunnelStep};

pub(crate) fn draw(html: &mut Html, funnel: &Funnel) {
    html.heading(3, &funnel.title);
    let Some(first) = funnel.steps.first() else {
        return html.empty(&funnel.when_empty, "No stage was run.");
    };
    let unit = if funnel.unit.is_empty() { "rows" } else { &funnel.unit };
    let pool = first.rows_in;
    put!(html, "<p class=\"text\">The pool holds <b>{}</b> {}.", count(pool), esc(unit));
    put!(html, " A full bar is the whole pool.</p>\n<p class=\"legend\">");
    for (class, name) in
        [("kept", "kept"), ("removed", "removed here"), ("quarantined", "quarantined here")]
    {
        put!(html, "<span>{}{name}</span>\n", swatch(class, false));
    }
    put!(
        html,
        "<span><i class=\"track\"></i>removed earlier</span></p>\n<ol class=\"funnel\" role=\"list\">\n"
    );
    let level = if funnel.title.is_empty() { 3 } else { 4 };
    let mut expected = pool;
    for step in &funnel.steps {
        draw_step(html, step, level, pool, unit);
        faults(html, step, expected, unit);
        put!(html, "</li>\n");
        expected = step.rows_out;
    }
    put!(html, "</ol>\n");
}

fn draw_step(html: &mut Html, step: &FunnelStep, level: u8, pool: u64, unit: &str) {
    put!(html, "<li>\n<div class=\"stage\">");
    html.heading(level, &step.stage);
    html.paragraph("rule", &step.rule);
    put!(html, "</div>\n");
    bar(html, step, pool);
    let (rows, unit) = (count(step.rows_out), esc(unit));
    put!(html, "<p class=\"out\"><b>{rows}</b> {unit} kept ");
    put!(html, "<span>{} of the pool</span> ", share_of(step.rows_out, pool));
    let input = count(step.rows_in);
    put!(html, "<span>{} of {input} received</span></p>\n", share_of(step.rows_out, step.rows_in));
    reasons(html, step);
}

fn bar(html: &mut Html, step: &FunnelStep, pool: u64) {
    let set_aside = sum(step, true);
    // Whatever else did not come out was removed, whether or not a reason accounts for it.
    let removed = step.rows_in.saturating_sub(step.rows_out).saturating_sub(set_aside);
    put!(html, "<div class=\"bar\" aria-hidden=\"true\">");
    let mut left = 0.0;
    for (class, rows) in [("kept", step.rows_out), ("removed", removed), ("quarantined", set_aside)]
    {
        let width = if pool == 0 { 0.0 } else { 100.0 * rows as f64 / pool as f64 };
        let width = width.min(100.0 - left);
        if rows > 0 && pool > 0 {
            put!(html, "<i class=\"{class}\" style=\"width:{width:.3}%\"></i>");
        }
        left += width;
    }
    put!(html, "</div>\n");
}

fn sum(step: &FunnelStep, quarantined: bool) -> u64 {
    let chosen = step.removed.iter().filter(|removal| removal.quarantined == quarantined);
    chosen.fold(0, |sum, removal| sum.saturating_add(removal.rows))
}

fn reasons(html: &mut Html, step: &FunnelStep) {
    if step.removed.is_empty() {
        return;
    }
    put!(html, "<ul class=\"reasons\" role=\"list\">\n");
    for removal in &step.removed {
        let (class, word) = if removal.quarantined {
            ("quarantined", "quarantined")
        } else {
            ("removed", "removed")
        };
        let (rows, share) = (count(removal.rows), share_of(removal.rows, step.rows_in));
        put!(html, "<li class=\"{class}\">{}", icon_use(&format!("icon-{class}")));
        put!(html, "<span><b>{rows}</b> {word}: {}", esc(&removal.reason));
        put!(html, " <i class=\"share\">{share} of those received</i></span></li>\n");
    }
    put!(html, "</ul>\n");
}

/// The numbers come from the caller. Where they do not add up, say so.
fn faults(html: &mut Html, step: &FunnelStep, expected: u64, unit: &str) {
    if step.rows_in != expected {
        let (takes, gave) = (count(step.rows_in), count(expected));
        let text = format!("This stage received {takes} {unit}, but the one before kept {gave}.");
        html.paragraph("fault", &text);
    }
    if step.rows_out > step.rows_in {
        let text = format!("This stage kept more {unit} than it received.");
        return html.paragraph("fault", &text);
    }
    let gone = step.rows_in - step.rows_out;
    let told = sum(step, false).saturating_add(sum(step, true));
    if told != gone {
        let (gone, told) = (count(gone), count(told));
        let text = format!("{gone} {unit} were removed, but the reasons account for {told}.");
        html.paragraph("fault", &text);
    }
}
