//! Draws groups of cards.

use crate::html::icon_use;
use crate::html::{Html, SharedImages, put};
use crate::number::{count, counted};
use crate::text::{esc, shorten};
use crate::value::facts;
use crate::{Card, Gallery, Group, Verdict};

/// The most characters of a caption shown on hovering.
const HOVER: usize = 1000;

pub(crate) fn draw(html: &mut Html, gallery: &Gallery, images: &SharedImages<'_>) {
    html.heading(3, &gallery.title);
    html.paragraph("text", &gallery.note);
    if gallery.groups.is_empty() {
        return html.empty(&gallery.when_empty, "There are no samples to show.");
    }
    let level = if gallery.title.is_empty() { 3 } else { 4 };
    let (first, more) = gallery.groups.split_at(gallery.groups.len().min(Gallery::OPEN));
    draw_groups(html, first, level, images);
    if !more.is_empty() {
        let groups = counted(more.len() as u64, "more group");
        put!(html, "<details class=\"long\"><summary>{groups}</summary>\n");
        draw_groups(html, more, level, images);
        put!(html, "</details>\n");
    }
    html.omitted(gallery.omitted, "groups");
}

fn draw_groups(html: &mut Html, groups: &[Group], level: u8, images: &SharedImages<'_>) {
    put!(html, "<div class=\"groups\">\n");
    groups.iter().for_each(|group| draw_group(html, group, level, images));
    put!(html, "</div>\n");
}

fn draw_group(html: &mut Html, group: &Group, level: u8, images: &SharedImages<'_>) {
    put!(
        html,
        "<div class=\"group\" style=\"--cards:{}\">\n<div class=\"about\">",
        group.cards.len().max(1)
    );
    html.heading(level, &group.heading);
    html.paragraph("rule", &group.note);
    facts(html, &group.facts, "figures");
    put!(html, "</div>\n");
    if group.cards.is_empty() {
        html.empty("", "No samples of this group were drawn.");
    } else {
        put!(html, "<ul class=\"cards\" role=\"list\">\n");
        group.cards.iter().for_each(|card| draw_card(html, card, images));
        put!(html, "</ul>\n");
    }
    html.omitted(group.omitted, "samples");
    put!(html, "</div>\n");
}

fn draw_card(html: &mut Html, card: &Card, images: &SharedImages<'_>) {
    let verdict = card.verdict.map(words);
    put!(html, "<li class=\"card {}\">", verdict.map_or("", |(class, _)| class));
    draw_image(html, card, images);
    if let Some((class, word)) = verdict {
        put!(html, "<p class=\"verdict\">{}{word}</p>", icon_use(&format!("icon-{class}")));
    }
    caption(html, &card.caption);
    if !card.id.is_empty() {
        put!(html, "<p class=\"id\" title=\"{0}\">{0}</p>", esc(&card.id));
    }
    for detail in &card.details {
        put!(html, "<p class=\"detail\"><bdi>{}</bdi></p>", esc(detail));
    }
    if !card.badges.is_empty() {
        put!(html, "<p class=\"badges\">");
        card.badges.iter().for_each(|badge| put!(html, "<span>{}</span> ", esc(badge)));
        put!(html, "</p>");
    }
    put!(html, "</li>\n");
}

fn words(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Kept => ("kept", "Kept"),
        Verdict::Removed => ("removed", "Removed"),
        Verdict::Quarantined => ("quarantined", "Quarantined"),
    }
}

fn draw_image(html: &mut Html, card: &Card, images: &SharedImages<'_>) {
    match &card.image {
        Some(image) => {
            // The caption stands beside the image; the alternative text need not repeat it.
            let alt = if card.id.is_empty() {
                "Image".to_owned()
            } else {
                format!("Image of {}", card.id)
            };
            put!(html, "<div class=\"img\">");
            images.draw(html, image, &alt);
            put!(html, "</div>");
        }
        None => put!(html, "<div class=\"img\"><span class=\"none\">no image</span></div>"),
    }
}

fn caption(html: &mut Html, caption: &str) {
    let (short, cut) = shorten(caption, Card::CAPTION);
    if short.is_empty() {
        return put!(html, "<p class=\"caption missing\">no caption</p>");
    }
    if !cut {
        return put!(html, "<p class=\"caption\"><bdi>{}</bdi></p>", esc(&short));
    }
    let (hover, more) = shorten(caption, HOVER);
    let dots = if more { "…" } else { "" };
    put!(html, "<p class=\"caption\" title=\"{}{dots}\"><bdi>{}…</bdi>", esc(&hover), esc(&short));
    let characters = count(caption.chars().count() as u64);
    put!(html, " <span class=\"length\">{characters} characters</span></p>");
}
