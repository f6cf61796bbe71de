//! Puts a page together: head, header, navigation, sections, run facts.

use std::collections::HashSet;
use std::iter::once;

use crate::html::{Html, SharedImages, icon_use, put};
use crate::text::{esc, marked, slug};
use crate::value::{facts, value};
use crate::{Block, Note, Report, Section, Tone};
use crate::{curves, funnel, gallery, histogram, table};

/// The page in pieces, in order: one piece per section, so that a writer holds one section at a
/// time.
pub(crate) fn pieces(report: &Report) -> impl Iterator<Item = String> {
    let images = SharedImages::of(report);
    let anchors = anchors(report);
    let top = top(report, &anchors, &images);
    let sections = report.sections.iter().zip(anchors);
    let sections = sections.map(move |(body, anchor)| section(body, &anchor, &images));
    once(top).chain(sections).chain(once(bottom(report)))
}

/// One anchor per section, all different, and different from the ids that the page itself uses.
fn anchors(report: &Report) -> Vec<String> {
    let mut taken: HashSet<String> = ["top", "main", "run"].map(str::to_owned).into();
    let free = |title: &str| {
        let base = slug(title);
        // The page's own ids (`img-0`, `icon-kept`, `fill-removed`) begin like this, or are in
        // `taken`. Ids decide what `<use>` and `fill` draw, so a title must not take one over.
        let reserved = ["img-", "icon-", "fill-"].iter().any(|start| base.starts_with(start));
        let base = if reserved { format!("section-{base}") } else { base };
        let mut anchor = base.clone();
        let mut copy = 2;
        while !taken.insert(anchor.clone()) {
            anchor = format!("{base}-{copy}");
            copy += 1;
        }
        anchor
    };
    report.sections.iter().map(|section| section.title.as_str()).map(free).collect()
}

fn top(report: &Report, anchors: &[String], images: &SharedImages<'_>) -> String {
    let mut html = Html::default();
    let title = if report.title.is_empty() { "Curation report" } else { &report.title };
    put!(html, "{}", include_str!("assets/head.html").trim_start());
    put!(html, "<title>{}</title>\n<style>\n", esc(title));
    put!(html, "{}</style>\n</head>\n<body>\n", include_str!("assets/style.css"));
    put!(html, "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n");
    put!(html, "{}", include_str!("assets/defs.svg"));
    images.definitions(&mut html);
    put!(html, "</defs></svg>\n");
    navigation(&mut html, report, anchors);
    put!(html, "<main id=\"main\">\n<header id=\"top\">\n<h1>{}</h1>\n", esc(title));
    html.paragraph("subtitle", &report.subtitle);
    for sentence in &report.lead {
        html.paragraph("lead", sentence);
    }
    tiles(&mut html, report);
    for note in &report.notes {
        remark(&mut html, note);
    }
    put!(html, "</header>\n");
    if report.sections.is_empty() {
        html.empty("", "This report has no sections.");
    }
    html.0
}

fn navigation(html: &mut Html, report: &Report, anchors: &[String]) {
    put!(html, "<nav aria-label=\"Sections\"><ul>\n<li><a href=\"#top\">Summary</a></li>\n");
    for (section, anchor) in report.sections.iter().zip(anchors) {
        put!(html, "<li><a href=\"#{anchor}\">{}</a></li>\n", esc(section_title(section)));
    }
    if !report.facts.is_empty() {
        put!(html, "<li><a href=\"#run\">Run facts</a></li>\n");
    }
    put!(html, "</ul></nav>\n");
}

fn section_title(section: &Section) -> &str {
    if section.title.is_empty() { "Untitled section" } else { &section.title }
}

fn tiles(html: &mut Html, report: &Report) {
    if report.tiles.is_empty() {
        return;
    }
    put!(html, "<dl class=\"tiles\">\n");
    for tile in &report.tiles {
        put!(html, "<div><dt>{}</dt><dd><b>", esc(&tile.label));
        value(html, &tile.value);
        put!(html, "</b>");
        if !tile.hint.is_empty() {
            put!(html, "<span>{}</span>", esc(&tile.hint));
        }
        put!(html, "</dd></div>\n");
    }
    put!(html, "</dl>\n");
}

fn section(section: &Section, anchor: &str, images: &SharedImages<'_>) -> String {
    let mut html = Html::default();
    let title = esc(section_title(section));
    put!(html, "<section id=\"{anchor}\">\n<h2><a href=\"#{anchor}\">{title}</a></h2>\n");
    for paragraph in &section.intro {
        html.paragraph("text", paragraph);
    }
    if section.blocks.is_empty() {
        html.empty(&section.when_empty, "There is nothing to show here.");
    }
    // Neighboring charts share a row.
    for run in section.blocks.chunk_by(|a, b| is_chart(a) && is_chart(b)) {
        let (open, close) =
            if is_chart(&run[0]) { ("<div class=\"charts\">\n", "</div>\n") } else { ("", "") };
        html.0.push_str(open);
        run.iter().for_each(|item| block(&mut html, item, images));
        html.0.push_str(close);
    }
    put!(html, "</section>\n");
    html.0
}

fn is_chart(block: &Block) -> bool {
    matches!(block, Block::Histogram(_) | Block::Curves(_))
}

fn block(html: &mut Html, block: &Block, images: &SharedImages<'_>) {
    match block {
        Block::Text(text) => html.paragraph("text", text),
        Block::Note(note) => remark(html, note),
        Block::Facts(list) if list.is_empty() => html.empty("", "No figures were recorded."),
        Block::Facts(list) => facts(html, list, "facts"),
        Block::Funnel(content) => funnel::draw(html, content),
        Block::Histogram(content) => histogram::draw(html, content),
        Block::Curves(content) => curves::draw(html, content),
        Block::Gallery(content) => gallery::draw(html, content, images),
        Block::Table(content) => table::draw(html, content),
    }
}

fn remark(html: &mut Html, note: &Note) {
    let (class, icon, word) = match note.tone {
        Tone::Info => ("info", "icon-info", "Note"),
        Tone::Warning => ("warning", "icon-quarantined", "Warning"),
    };
    put!(html, "<div class=\"note {class}\" role=\"note\">{}", icon_use(icon));
    put!(html, "<p><strong>{word}.</strong> {}</p></div>\n", marked(&note.text));
}

fn bottom(report: &Report) -> String {
    let mut html = Html::default();
    if !report.facts.is_empty() {
        put!(html, "<section id=\"run\">\n<h2><a href=\"#run\">Run facts</a></h2>\n");
        facts(&mut html, &report.facts, "facts");
        put!(html, "</section>\n");
    }
    put!(html, "</main>\n</body>\n</html>\n");
    html.0
}
