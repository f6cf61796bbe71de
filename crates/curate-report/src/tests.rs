//! Tests of whole pages.

use std::collections::HashSet;

use crate::*;

const GIF: &[u8] = b"GIF89a\x40\x00\x20\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff;";

/// Walks the tags: each is closed in order, attributes are quoted, ids differ, anchors lead
/// somewhere, and nothing is fetched. The page is written so that it is also XML.
fn check(page: &str) {
    let (head, body) = page.split_once("<style>").unwrap();
    let (_, body) = body.split_once("</style>").unwrap();
    let markup = head.replace("<!DOCTYPE html>", "") + body;
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "control character");
    let (mut open, mut ids, mut links) = (Vec::new(), HashSet::new(), Vec::new());
    for piece in markup.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "bare > in {text:?}");
        let name = tag.split([' ', '/']).next().unwrap();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "closing tags match");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        let mut quoted = tag.split('"');
        while let (Some(before), Some(value)) = (quoted.next(), quoted.next()) {
            match before.trim_start_matches(name).trim() {
                "id=" => assert!(ids.insert(value), "id {value} twice"),
                "href=" | "src=" if value.starts_with('#') => links.push(&value[1..]),
                "href=" | "src=" => assert!(value.starts_with("data:image/"), "fetches {value}"),
                attribute => assert!(attribute.ends_with('='), "odd attribute {attribute:?}"),
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "all tags are closed");
    assert!(links.iter().all(|link| ids.contains(link)), "{links:?} not all in {ids:?}");
}

/// The page without its fixed head, style and drawings.
fn body(report: &Report) -> String {
    let page = report.to_html();
    check(&page);
    page.split_once("<main").unwrap().1.to_owned()
}

fn body_of(block: impl Into<Block>) -> String {
    let section = Section::new("Part").block(block);
    body(&Report { sections: vec![section], ..Report::new("Test") })
}

fn gallery(cards: Vec<Card>) -> Gallery {
    Gallery { groups: vec![Group { cards, ..Group::default() }], ..Gallery::default() }
}

fn small_report() -> Report {
    let card = |id: &str, verdict| Card {
        image: Image::from_bytes(GIF),
        caption: "a red <circle>".into(),
        id: id.into(),
        badges: vec!["CC BY".into()],
        verdict: Some(verdict),
        details: vec!["similarity 0.973 to 3f2a…".into()],
    };
    let step = FunnelStep {
        stage: "dedup".into(),
        rule: "closer than 0.05".into(),
        rows_in: 8000,
        rows_out: 2312,
        removed: vec![Removal::new("duplicate", 5680), Removal::quarantined("no image", 8)],
    };
    let histogram = Histogram {
        title: "Scores".into(),
        x_label: "score".into(),
        stacked: true,
        threshold: Some(Marker::new(0.5, "threshold 0.5")),
        ..Histogram::of_values(
            2,
            &[("removed", Role::Removed, &[0.0, 0.2][..]), ("kept", Role::Kept, &[1.0])],
        )
    };
    let curve = Curve {
        name: "kept".into(),
        points: vec![(0.0, 1.0), (0.1, 0.5)],
        style: CurveStyle::LineAndPoints,
        band: vec![(0.0, 0.9, 1.0), (0.1, 0.4, 0.6)],
        ..Curve::default()
    };
    let curves = CurveChart { y_percent: true, curves: vec![curve], ..CurveChart::default() };
    let table = Table {
        columns: vec![Column::new("concept"), Column::bar("size")],
        rows: vec![vec!["one".into(), 12_u64.into()], vec!["two".into()]],
        omitted: 1200,
        ..Table::default()
    };
    Report {
        subtitle: "recipe small.toml".into(),
        lead: vec!["8,000 pairs in, 2,312 kept.".into()],
        tiles: vec![Tile::new("kept", Value::Share(0.289)).hint("of 8,000")],
        notes: vec![Note::warning("8 images are missing.")],
        sections: vec![
            Section::new("Stages").block(Funnel { steps: vec![step], ..Funnel::default() }),
            Section::new("Scores").intro("How well.").block(histogram).block(curves),
            Section::new("Samples")
                .block(gallery(vec![card("a1", Verdict::Kept), card("b2", Verdict::Removed)]))
                .block(table)
                .block(Note::info("Done.")),
            Section::new("Samples").when_empty("None were drawn."),
        ],
        facts: vec![Fact::new("digest", Value::Code("9f2c".into()))],
        ..Report::new("A & B")
    }
}

#[test]
fn a_small_report_reads_as_before() {
    insta::assert_snapshot!(body(&small_report()));
}

#[test]
fn writing_and_rendering_give_the_same_bytes() {
    let mut written = Vec::new();
    small_report().write_html(&mut written).unwrap();
    assert_eq!(written, small_report().to_html().into_bytes());
}

#[test]
fn the_model_is_serialized_with_images_as_base64() {
    let json = serde_json::to_value(small_report()).unwrap();
    let samples = &json["sections"][2]["blocks"][0];
    assert_eq!(samples["kind"], "gallery");
    let card = &samples["content"]["groups"][0]["cards"][1];
    assert_eq!(card["verdict"], "removed");
    assert_eq!(card["image"]["format"], "gif");
    assert_eq!(card["image"]["base64"], "R0lGODlhQAAgAIAAAAAAAP///zs=");
}

#[test]
fn an_empty_report_says_so() {
    let page = body(&Report::default());
    assert!(page.contains("<h1>Curation report</h1>"));
    assert!(page.contains("This report has no sections."));
}

#[test]
fn empty_blocks_say_why() {
    let empty = [
        (Funnel::default().into(), "No stage was run."),
        (Histogram::default().into(), "There are no values to draw."),
        (CurveChart::default().into(), "There are no points to draw."),
        (Gallery::default().into(), "There are no samples to show."),
        (gallery(Vec::new()).into(), "No samples of this group were drawn."),
        (Table::default().into(), "There are no rows to show."),
        (Block::Facts(Vec::new()), "No figures were recorded."),
    ];
    for (block, words) in empty {
        assert!(body_of(block).contains(words), "{words}");
    }
    let when_empty = "No <duplicates> were found.".to_owned();
    let page = body_of(Gallery { when_empty, ..Gallery::default() });
    assert!(page.contains("No &lt;duplicates&gt; were found."));
}

const EVIL: &str = "\"'><script>alert(1)</script>\u{202e}\0&amp;";

fn evil() -> String {
    EVIL.to_owned()
}

fn hostile_funnel() -> Funnel {
    let removed = vec![Removal::new(EVIL, 1)];
    let step = FunnelStep { stage: evil(), rule: evil(), removed, ..FunnelStep::default() };
    Funnel { title: evil(), unit: evil(), steps: vec![step], ..Funnel::default() }
}

fn hostile_histogram() -> Histogram {
    Histogram {
        title: evil(),
        x_label: evil(),
        unit: evil(),
        edges: vec![0.0, 2.0],
        series: vec![HistogramSeries { name: evil(), counts: vec![3], role: Role::Plain }],
        threshold: Some(Marker::new(1.0, EVIL)),
        note: evil(),
        ..Histogram::default()
    }
}

fn hostile_curves() -> CurveChart {
    CurveChart {
        title: evil(),
        x_label: evil(),
        y_label: evil(),
        curves: vec![Curve { name: evil(), points: vec![(1.0, 2.0)], ..Curve::default() }],
        markers: vec![Marker::new(1.0, EVIL), Marker::new(9.0, EVIL)],
        note: evil(),
        ..CurveChart::default()
    }
}

fn hostile_facts() -> Vec<Fact> {
    vec![Fact::new(EVIL, EVIL), Fact::new(EVIL, Value::Code(evil()))]
}

fn hostile_gallery() -> Gallery {
    let card = Card {
        image: Image::from_bytes(GIF),
        caption: EVIL.repeat(300),
        id: evil(),
        badges: vec![evil()],
        details: vec![evil()],
        verdict: None,
    };
    let group = Group {
        heading: evil(),
        note: evil(),
        facts: hostile_facts(),
        cards: vec![card],
        omitted: 1,
    };
    Gallery { title: evil(), note: evil(), groups: vec![group], ..Gallery::default() }
}

fn hostile_table() -> Table {
    let (columns, rows) = (vec![Column::new(EVIL)], vec![vec![EVIL.into()]; 30]);
    Table { title: evil(), note: evil(), columns, rows, ..Table::default() }
}

#[test]
fn hostile_text_stays_text_everywhere() {
    let section = Section::new(EVIL)
        .intro(EVIL)
        .block(evil())
        .block(Note::info(EVIL))
        .block(hostile_facts())
        .block(hostile_funnel())
        .block(hostile_histogram())
        .block(hostile_curves())
        .block(hostile_gallery())
        .block(hostile_table());
    let page = body(&Report {
        subtitle: evil(),
        lead: vec![evil()],
        tiles: vec![Tile::new(EVIL, EVIL).hint(EVIL)],
        notes: vec![Note::warning(EVIL)],
        sections: vec![section],
        facts: hostile_facts(),
        ..Report::new(EVIL)
    });
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;") && page.contains("[U+202E]"));
    assert!(page.matches("script").count() > 40, "each field is shown");
}

#[test]
fn long_captions_are_cut() {
    let caption = "word ".repeat(2048);
    let page = body_of(gallery(vec![Card { caption, ..Card::default() }]));
    assert!(page.contains("10,240 characters"));
    assert!(page.matches("word").count() < 250);
    assert!(page.contains("no image"));
}

#[test]
fn shared_images_are_stored_once() {
    let card = |bytes: &'static [u8]| Card { image: Image::from_bytes(bytes), ..Card::default() };
    let twice = Report {
        sections: vec![Section::new("").block(gallery(vec![card(GIF), card(GIF)]))],
        ..Report::default()
    };
    let page = twice.to_html();
    check(&page);
    assert_eq!(page.matches("data:image/gif").count(), 1);
    assert_eq!(page.matches("<use href=\"#img-0\"/>").count(), 2);
    let page = body_of(gallery(vec![card(GIF), card(b"GIF87a")]));
    assert_eq!(
        page.matches("<img class=\"px\" alt=\"Image\" width=\"64\" height=\"32\"").count(),
        1
    );
    assert_eq!(page.matches("loading=\"lazy\"").count(), 2);
}

#[test]
fn a_pool_of_no_rows_has_a_funnel() {
    let page = body_of(Funnel { steps: vec![FunnelStep::default(); 2], ..Funnel::default() });
    assert!(page.contains("<span>– of the pool</span>"));
    assert!(!page.contains("NaN") && !page.contains("class=\"fault\""));
}

#[test]
fn funnels_that_do_not_add_up_say_so() {
    let step = |rows_in, rows_out, removed| FunnelStep {
        rows_in,
        rows_out,
        removed,
        ..FunnelStep::default()
    };
    let steps = vec![
        step(10, 8, vec![Removal::new("rule", 1)]),
        step(7, 9, Vec::new()),
        step(9, 9, vec![Removal::new("rule", u64::MAX), Removal::quarantined("bad", u64::MAX)]),
    ];
    let page = body_of(Funnel { steps, ..Funnel::default() });
    assert!(page.contains("2 rows were removed, but the reasons account for 1."));
    assert!(page.contains("This stage received 7 rows, but the one before kept 8."));
    assert!(page.contains("This stage kept more rows than it received."));
}

#[test]
fn histograms_bear_any_values() {
    let of = |values: &[f64]| body_of(Histogram::of_values(3, &[("all", Role::Plain, values)]));
    assert!(of(&[0.5]).contains("from 0 to 1"));
    assert!(of(&[1e300, 1e300]).contains("<rect class=\"fill plain1\""));
    let page = of(&[f64::NAN, f64::INFINITY]);
    assert!(page.contains("There are no values to draw."));
    assert!(page.contains("2 values are not finite"));
    let far = Histogram::of_values(3, &[("all", Role::Plain, &[f64::MIN, f64::MAX])]);
    assert!(body_of(far).contains("There are no values to draw."));
}

#[test]
fn histograms_bear_any_bins() {
    let series = vec![
        HistogramSeries { counts: vec![7], ..HistogramSeries::default() },
        HistogramSeries { counts: vec![1, 2, 3, 4], ..HistogramSeries::default() },
    ];
    let of = |edges: &[f64], count_scale| {
        let (edges, series) = (edges.to_vec(), series.clone());
        body_of(Histogram { edges, series, count_scale, stacked: true, ..Histogram::default() })
    };
    assert!(of(&[0.0, 1.0], Scale::Linear).contains("<rect class=\"fill plain2\""));
    assert!(of(&[0.0, 1.0, 3.0], Scale::Log).contains("<path class=\"line plain2\""));
    for edges in [&[1.0, 0.0][..], &[0.0, 0.0], &[0.0, f64::NAN], &[0.0, f64::INFINITY]] {
        assert!(of(edges, Scale::Linear).contains("bin edges are not in ascending order"));
    }
    assert!(of(&[1.0], Scale::Linear).contains("There are no values to draw."));
}

#[test]
fn no_number_of_bins_is_too_many() {
    let of = |bins| Histogram::of_values(bins, &[("", Role::Kept, &[0.0, 1.0])]);
    assert_eq!(of(0).edges, [0.0, 1.0]);
    assert_eq!(of(usize::MAX).edges.len(), Histogram::MOST_BINS + 1);
}

#[test]
fn curves_bear_any_values() {
    let extremes = [f64::MIN, -1.0, -f64::MIN_POSITIVE, 0.0, 5e-324, 1e-300, 1.0, 1e300, f64::MAX];
    for (x_scale, y_scale) in
        [(Scale::Linear, Scale::Linear), (Scale::Log, Scale::Linear), (Scale::Linear, Scale::Log)]
    {
        for low in extremes {
            for high in extremes {
                let points = vec![(low, high), (high, low)];
                let curves = vec![Curve { points, ..Curve::default() }];
                let chart = CurveChart { x_scale, y_scale, curves, ..CurveChart::default() };
                let page = body_of(chart);
                assert!(page.len() < 100_000, "{low:e} {high:e}: {} bytes", page.len());
            }
        }
    }
}

#[test]
fn markers_outside_the_axis_are_said() {
    let threshold = Some(Marker::new(9.0, "threshold"));
    let base = Histogram::of_values(2, &[("", Role::Kept, &[0.0, 1.0])]);
    let page = body_of(Histogram { threshold, ..base });
    assert!(page.contains("threshold (9) lies outside the drawn range."));
}

#[test]
fn curves_break_at_what_cannot_be_drawn() {
    let points = vec![(1.0, 1.0), (2.0, f64::NAN), (3.0, 0.0), (10.0, 5.0), (20.0, 6.0)];
    let curves = vec![Curve { points, ..Curve::default() }];
    let page = body_of(CurveChart { y_scale: Scale::Log, curves, ..CurveChart::default() });
    assert!(page.contains("2 points are not finite, or not positive"));
    let line = page.split_once("<path class=\"line plain1 dash0\" d=\"").unwrap().1;
    let line = line.split_once('"').unwrap().0;
    assert_eq!((line.matches('M').count(), line.matches('L').count()), (2, 1));
    let points = vec![(f64::NAN, 1.0); 3];
    let curves = vec![Curve { points, ..Curve::default() }];
    let page = body_of(CurveChart { curves, ..CurveChart::default() });
    assert!(page.contains("There are no points to draw."));
}

#[test]
fn tables_align_numbers_and_fold_when_long() {
    let rows: Vec<Vec<Value>> = vec![
        vec!["a".into(), 0.5.into(), f64::NAN.into()],
        vec!["b".into(), 0.9731.into(), 2.0.into(), "beyond".into()],
        vec!["c".into()],
    ];
    let columns = vec![Column::new("name"), Column::new("x"), Column::bar("y")];
    let table = Table { columns, rows, ..Table::default() };
    let page = body_of(table.clone());
    assert!(page.contains("<th scope=\"row\"><bdi>a</bdi></th><td class=\"num\">0.5000</td>"));
    assert!(page.contains("not a number<span class=\"meter\"><i style=\"width:0.0%\"></i></span>"));
    assert!(page.contains("2<span class=\"meter\"><i style=\"width:100.0%\"></i></span>"));
    assert!(!page.contains("beyond") && !page.contains("<details"));
    let rows = table.rows.into_iter().cycle().take(Table::LONG + 1).collect();
    assert!(body_of(Table { rows, ..table }).contains("<details class=\"long\">"));
}

#[test]
fn anchors_never_meet() {
    let titles = ["Run", "run", "run 2", "", "Img 0", "Main", "重複", "重複", "icon kept"];
    let sections = titles.map(Section::new).to_vec();
    let facts = vec![Fact::new("seed", 1_u64)];
    let page = body(&Report { sections, facts, ..Report::default() });
    assert!(page.contains("<section id=\"run-2\">") && page.contains("<section id=\"run-2-2\">"));
}
