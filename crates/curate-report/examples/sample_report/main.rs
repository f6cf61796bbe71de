//! Writes the report of an invented run: every kind of block, with generated images.
//!
//! ```sh
//! cargo run -p curate-report --example sample_report -- report.html
//! ```

mod thumbnail;

use std::{env, fs, io};

use curate_report::{
    Card, Column, Curve, CurveChart, CurveStyle, Fact, Funnel, FunnelStep, Gallery, Group,
    Histogram, Image, Marker, Note, Removal, Report, Role, Scale, Section, Table, Tile, Value,
    Verdict,
};

use thumbnail::{hash, thumbnail};

fn main() -> io::Result<()> {
    let path = env::args().nth(1).unwrap_or_else(|| "report.html".to_owned());
    report().write_html(&mut fs::File::create(path)?)
}

#[test]
fn it_runs() {
    let page = report().to_html();
    assert!(page.contains("<h1>Curation of shapes-8k</h1>"));
    assert_eq!(page.matches("<section id=").count(), 8);
    // The last step of the funnel is wrong on purpose.
    assert!(page.contains("88 pairs were removed, but the reasons account for 80."));
}

fn report() -> Report {
    Report {
        title: "Curation of shapes-8k".into(),
        subtitle: "recipe small.toml, 5 stages, budget 2,400 pairs".into(),
        lead: vec![
            "8,000 pairs in, 2,312 kept (28.9%).".into(),
            "Most of what went was near duplicates; 57 pairs could not be judged.".into(),
        ],
        tiles: vec![
            Tile::new("pairs in", 8000_u64),
            Tile::new("kept", 2312_u64).hint("28.9% of the pool"),
            Tile::new("near duplicates", 3105_u64).hint("in 1,204 groups"),
            Tile::new("quarantined", 57_u64).hint("not judged"),
            Tile::new("median score", Value::Number(0.2713)).hint("kept pairs: 0.3102"),
            Tile::new("time", Value::Seconds(754.2)).hint("on 16 threads"),
        ],
        notes: vec![Note::warning(
            "49 embeddings are not finite. They were quarantined and changed no other row.",
        )],
        sections: vec![
            funnel(),
            scores(),
            duplicates(),
            clusters(),
            extremes(),
            budget(),
            quarantine(),
        ],
        facts: facts(),
    }
}

fn facts() -> Vec<Fact> {
    let digest = "9f2c4e7a1b60d3588e21aa04c97be5f3d1467b0c8a92ef1655d3047be91ca86f";
    vec![
        Fact::new("pool", Value::Code("shapes-8k/metadata".into())),
        Fact::new("seed", 17_u64),
        Fact::new("version", "0.1.0"),
        Fact::new("recipe digest", Value::Code(digest.into())),
        Fact::new("score", Value::Seconds(512.4)),
        Fact::new("dedup", Value::Seconds(131.0)),
        Fact::new("prune", Value::Seconds(0.34)),
        Fact::new("peak memory", Value::Bytes(3_435_973_836)),
    ]
}

fn funnel() -> Section {
    let step = |stage: &str, rule: &str, rows_in, rows_out, removed| FunnelStep {
        stage: stage.into(),
        rule: rule.into(),
        rows_in,
        rows_out,
        removed,
    };
    let steps = vec![
        step(
            "check",
            "image decodes, embedding is finite and not zero",
            8000,
            7943,
            vec![
                Removal::quarantined("embedding is not finite", 49),
                Removal::quarantined("image is missing", 8),
            ],
        ),
        step(
            "score",
            "similarity of image and caption at least 0.243",
            7943,
            6120,
            vec![Removal::new("score below 0.243", 1823)],
        ),
        step(
            "dedup",
            "one pair of each group closer than 0.05",
            6120,
            3015,
            vec![Removal::new("near duplicate", 2890), Removal::new("exact duplicate", 215)],
        ),
        step(
            "prune",
            "quota of each cluster by its complexity",
            3015,
            2400,
            vec![Removal::new("over the cluster's quota", 615)],
        ),
        step(
            "budget",
            "licenses that allow training",
            2400,
            2312,
            vec![Removal::new("no license", 80)],
        ),
    ];
    let funnel = Funnel { unit: "pairs".into(), steps, ..Funnel::default() };
    Section::new("What was removed").block(funnel)
}

/// A sum of hashes of the index: bell-shaped, the same each time.
fn bell(index: u64, center: f64, width: f64) -> f64 {
    let unit = |salt: u64| hash(index * 31 + salt) as f64 / u64::MAX as f64;
    center + width * ((0..6).map(unit).sum::<f64>() - 3.0)
}

fn scores() -> Section {
    let scores: Vec<f64> = (0..7943).map(|index| bell(index, 0.27, 0.06)).collect();
    let (kept, removed): (Vec<f64>, Vec<f64>) = scores.iter().partition(|&&score| score >= 0.243);
    let histogram = Histogram {
        title: "Scores, kept and removed".into(),
        x_label: "similarity of image and caption".into(),
        unit: "pairs".into(),
        stacked: true,
        threshold: Some(Marker::new(0.243, "threshold 0.243")),
        not_finite: 49,
        ..Histogram::of_values(
            48,
            &[("removed", Role::Removed, &removed), ("kept", Role::Kept, &kept)],
        )
    };
    let lengths: Vec<f64> =
        (0..8000).map(|index| bell(index, 40.0, 14.0).max(1.0).round()).collect();
    let after: Vec<f64> = lengths.iter().step_by(3).map(|length| length * 1.1).collect();
    let before_and_after = Histogram {
        title: "Caption length before and after".into(),
        x_label: "characters".into(),
        unit: "captions".into(),
        ..Histogram::of_values(
            24,
            &[("before", Role::Plain, &lengths), ("after", Role::Kept, &after)],
        )
    };
    Section::new("Scores")
        .intro("How well a caption describes its image, as the filter network sees it.")
        .block(histogram)
        .block(before_and_after)
        .block(image_sizes())
        .block(epsilon_curve())
}

fn image_sizes() -> Histogram {
    let sizes: Vec<f64> = (0..900_u32).map(|index| f64::from(index % 30).powi(2) / 4.0).collect();
    Histogram {
        title: "Cluster sizes".into(),
        x_label: "rows in the cluster".into(),
        unit: "clusters".into(),
        count_scale: Scale::Log,
        ..Histogram::of_values(20, &[("clusters", Role::Plain, &sizes)])
    }
}

fn epsilon_curve() -> CurveChart {
    let at = |step: u32| f64::from(step) * 0.01;
    let curve = |name: &str, role, rate: f64| Curve {
        name: name.into(),
        role,
        style: CurveStyle::LineAndPoints,
        points: (0..=20).map(|step| (at(step), (-at(step) * rate).exp())).collect(),
        ..Curve::default()
    };
    CurveChart {
        title: "Fraction kept over epsilon".into(),
        x_label: "epsilon (1 − cosine similarity)".into(),
        y_label: "kept".into(),
        y_percent: true,
        curves: vec![curve("images", Role::Kept, 14.0), curve("captions", Role::Plain, 7.0)],
        markers: vec![Marker::new(0.05, "epsilon 0.05")],
        ..CurveChart::default()
    }
}

fn card(seed: u64, verdict: Verdict, detail: &str) -> Card {
    let name = ["circle", "square", "cross"][(seed % 3) as usize];
    Card {
        image: Image::from_bytes(thumbnail(seed)),
        caption: format!("a {name} on a plain ground, number {seed}"),
        id: format!("{:016x}{:016x}", hash(seed), hash(seed + 1)),
        badges: vec!["commoncrawl".into(), "CC BY".into()],
        verdict: Some(verdict),
        details: vec![detail.into()],
    }
}

fn duplicates() -> Section {
    let group = |number: u64, copies: u64| Group {
        heading: format!("Group {number}"),
        note: format!("{} pairs, one kept", copies + 1),
        cards: std::iter::once(card(number, Verdict::Kept, "score 0.312, the highest"))
            .chain((0..copies).map(|copy| {
                let detail = format!(
                    "similarity {:.3} to {:.4}…",
                    0.995 - copy as f64 * 0.008,
                    format!("{:x}", hash(number))
                );
                card(number + 3 * copy, Verdict::Removed, &detail)
            }))
            .collect(),
        omitted: if copies > 6 { 31 } else { 0 },
        ..Group::default()
    };
    let groups = vec![group(1, 1), group(5, 2), group(9, 1), group(12, 9)];
    let gallery = Gallery {
        title: "Largest groups".into(),
        note: "Each group is shown with the pair that was kept first.".into(),
        groups,
        omitted: 1200,
        ..Gallery::default()
    };
    let exact = Gallery {
        title: "Exact duplicates across sources".into(),
        when_empty: "No exact duplicates across sources were found.".into(),
        ..Gallery::default()
    };
    Section::new("Duplicates").block(gallery).block(exact)
}

fn clusters() -> Section {
    let row = |cluster: u64| -> Vec<Value> {
        let size = 400 / (cluster + 1) + hash(cluster) % 40;
        let complexity = (hash(cluster) % 1000) as f64 / 1000.0;
        let kept = size / 3;
        vec![
            format!("cluster {cluster}").into(),
            size.into(),
            kept.into(),
            Value::Share(kept as f64 / size as f64),
            if cluster == 4 { f64::NAN.into() } else { complexity.into() },
        ]
    };
    let columns = || {
        let [size, kept] = ["size", "quota"].map(Column::bar);
        vec![Column::new("concept"), size, kept, Column::new("kept"), Column::bar("complexity")]
    };
    let table = |title: &str, rows| Table {
        title: title.into(),
        columns: columns(),
        rows: (0..rows).map(row).collect(),
        ..Table::default()
    };
    let group = |number: u64| Group {
        heading: format!("Cluster {number}"),
        facts: vec![
            Fact::new("size", 400 / number),
            Fact::new("quota", 133 / number),
            Fact::new("complexity", 0.731),
        ],
        cards: (0..5)
            .map(|at| {
                let verdict = if at < 2 { Verdict::Kept } else { Verdict::Removed };
                card(
                    number * 9 + at,
                    verdict,
                    &format!("distance {:.3} to the centroid", at as f64 * 0.071),
                )
            })
            .collect(),
        ..Group::default()
    };
    let gallery = Gallery {
        title: "A sample of each".into(),
        groups: vec![group(2), group(3)],
        ..Gallery::default()
    };
    Section::new("Clusters")
        .block(table("Largest clusters", 6))
        .block(gallery)
        .block(Table { omitted: 940, ..table("All clusters", 60) })
}

fn extremes() -> Section {
    let hostile = [
        "<script>alert('caption')</script> & \"quotes\"",
        "invoice \u{202e}gnp.exe\u{202c} \0 control \x1b[31m",
        "دائرة زرقاء على خلفية بيضاء",
        "https://cdn.example.org/a/very/long/path/without/any/space/thumbnail_0001_final_v2.jpeg",
        "",
    ];
    let mut cards: Vec<Card> = hostile
        .iter()
        .enumerate()
        .map(|(at, text)| Card {
            caption: (*text).into(),
            ..card(70 + at as u64, Verdict::Removed, &format!("score {:.3}", 0.02 * at as f64))
        })
        .collect();
    cards.push(Card {
        caption: "buy now best price ".repeat(540),
        image: None,
        verdict: None,
        ..card(80, Verdict::Removed, "score −0.041")
    });
    let group = |heading: &str, cards| Group { heading: heading.into(), cards, ..Group::default() };
    let best = (40..47).map(|seed| card(seed, Verdict::Kept, "score 0.41")).collect();
    let groups = vec![group("Worst", cards), group("Best", best)];
    Section::new("Best and worst").block(Gallery { groups, ..Gallery::default() })
}

fn budget() -> Section {
    let error = |samples: f64| 0.32 + 90.0 * samples.powf(-0.35);
    let seen: Vec<f64> = (0..=24).map(|step| 1e6 * 10_f64.powf(f64::from(step) / 8.0)).collect();
    let fit = Curve {
        name: "law".into(),
        points: seen.iter().map(|&x| (x, error(x))).collect(),
        band: seen.iter().map(|&x| (x, error(x) * 0.95, error(x) * 1.06)).collect(),
        ..Curve::default()
    };
    let measured = Curve {
        name: "measured".into(),
        role: Role::Removed,
        style: CurveStyle::Points,
        points: seen.iter().step_by(4).map(|&x| (x, error(x) * 1.015)).collect(),
        ..Curve::default()
    };
    let chart = CurveChart {
        title: "Error over samples seen".into(),
        x_label: "samples seen".into(),
        y_label: "error".into(),
        x_scale: Scale::Log,
        y_scale: Scale::Log,
        curves: vec![fit, measured],
        markers: vec![Marker::new(1.28e8, "budget 128M")],
        ..CurveChart::default()
    };
    Section::new("Budget")
        .intro("The law was fitted to seven runs; the band is its 95% interval.")
        .block(chart)
        .block(CurveChart { title: "Runs without a fit".into(), ..CurveChart::default() })
        .block(Note::info("The budget asks for 12.8M samples seen; the pool has 8,000."))
}

fn quarantine() -> Section {
    let cards = (90..93).map(|seed| Card {
        image: if seed == 91 { None } else { Image::from_bytes(thumbnail(seed)) },
        ..card(seed, Verdict::Quarantined, "embedding is not finite")
    });
    let group = Group { cards: cards.collect(), omitted: 54, ..Group::default() };
    Section::new("Quarantined")
        .intro("Rows that could not be judged. They count neither way.")
        .block(Gallery { groups: vec![group], ..Gallery::default() })
}
