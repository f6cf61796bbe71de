//! Answers that are none, and the words of those that are.

use std::fs;

use serde_json::Value;

use crate::{complaint, fitted, five_runs, json, plan, published, said, text};

#[test]
fn a_law_that_cannot_tell_pools_apart_names_no_winner() {
    let folder = tempfile::tempdir().unwrap();
    let runs = five_runs();
    said(&folder, &["fit", &runs, "--law", "power", "--own", "none"]);
    let shown = said(&folder, &["decide", "fit.json", "--samples", "34B"]);
    let head = "law power: at 34B samples, cannot tell LAION-80M, LAION-400M and LAION-2B apart\n";
    assert!(shown.starts_with(head), "{shown}");
    assert!(!shown.contains("100 %") && !shown.contains("train on"), "{shown}");
    let answer = json(&folder, &["decide", "fit.json", "--samples", "34B"]);
    assert_eq!(answer["laws"][0]["best"]["winner"], Value::Null);
    let alone =
        said(&folder, &["decide", "fit.json", "--samples", "34B", "--candidates", "LAION-2B"]);
    assert!(alone.contains("LAION-2B is the only candidate"), "{alone}");
    assert!(!alone.contains("100 %"), "{alone}");
}

/// The runs at 34 billion samples are published too; no fit here has seen them.
#[test]
fn without_a_law_the_five_runs_give_intervals_that_hold_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    said(&folder, &["fit", &five_runs()]);
    let answer = json(&folder, &["decide", "fit.json", "--samples", "34B"]);
    let ranking = answer["laws"][0]["best"]["ranking"].as_array().unwrap();
    let measured = [("LAION-2B", 0.33526), ("LAION-400M", 0.35938), ("LAION-80M", 0.43568)];
    for (pool, error) in measured {
        let ranked = ranking.iter().find(|r| r["name"] == pool).unwrap();
        let end = |end: &str| ranked["metric"][end].as_f64().unwrap();
        assert!(end("low") < error && error < end("high"), "{pool}: {ranked}");
        assert!(end("high") - end("low") < 0.1, "{pool}: an interval says something");
    }
    let wins =
        |pool: &str| ranking.iter().find(|r| r["name"] == pool).unwrap()["wins"].as_f64().unwrap();
    assert!(wins("LAION-80M") < 0.05 && wins("LAION-2B") < 0.95, "{ranking:?}");
    let shown = said(&folder, &["decide", "fit.json", "--samples", "34B"]);
    assert!(shown.contains(" laws together: at 34B samples, train on LAION-2B\n"), "{shown}");
    assert!(shown.contains("not settled") && shown.contains("2.573 times the largest"), "{shown}");
}

#[test]
fn laws_without_a_rule_for_unions_do_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    said(&folder, &["fit", &five_runs()]);
    let union = ["--cumulative", "LAION-80M,LAION-400M"];
    let shown = said(&folder, &[&["decide", "fit.json", "--samples", "34B"], &union[..]].concat());
    assert!(shown.contains("LAION-80M+LAION-400M"), "{shown}");
    assert!(shown.contains("  without power, shifted-power, which cannot predict"), "{shown}");
    let predicted =
        json(&folder, &[&["predict", "fit.json", "--samples", "34B"], &union[..]].concat());
    assert_eq!(predicted["without"], serde_json::json!(["power", "shifted-power"]));
    said(&folder, &[&["plot", "fit.json"], &union[..]].concat());
}

#[test]
fn questions_far_from_the_runs_are_refused_with_their_range() {
    let folder = fitted();
    for (samples, parts) in [
        ("34", ["a factor of 71.", "2.44B to 34", "did you mean 34B?"]),
        ("1e16", ["above the largest run's", "2.44B to 34", "--samples"]),
    ] {
        for command in ["decide", "predict"] {
            let said = complaint(&folder, &[command, "fit.json", "--samples", samples]);
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }
    let range = complaint(&folder, &["plot", "fit.json", "--range", "1..34B"]);
    assert!(range.contains("--range 1 is a factor of"), "{range}");
    let size = ["decide", "fit.json", "--samples", "34B", "--unique", "LAION-80M=80"];
    let size = complaint(&folder, &size);
    assert!(size.contains("passes over the 80 distinct samples of `LAION-80M`"), "{size}");
    let far = said(&folder, &["decide", "fit.json", "--samples", "1T"]);
    assert!(far.contains("samples 1T is outside the runs' 2.44B to 34"), "{far}");
}

#[test]
fn candidates_that_are_none_or_the_same_are_refused() {
    let folder = fitted();
    let (a, b) = ("LAION-80M", "LAION-2B");
    for (candidates, parts) in [
        ("+".to_owned(), ["`candidate` is +", "with names"]),
        ("A+A+A".to_owned(), ["`candidate` is A+A+A", "different pools"]),
        (format!("{a}+{a}"), ["`candidate` is LAION-80M+LAION-80M", "different pools"]),
        (format!("{a},{a}"), ["called `LAION-80M`", "once"]),
        (format!("{a}+{b},{b}+{a}"), ["are the same", "once"]),
        (",".to_owned(), ["``", "use one of"]),
    ] {
        for question in [&["decide", "fit.json", "--samples", "34B"][..], &["plot", "fit.json"][..]]
        {
            let said = complaint(&folder, &[question, &["--candidates", &candidates]].concat());
            assert!(parts.iter().all(|part| said.contains(part)), "{candidates}: {said}");
        }
    }
}

/// Of a law whose parameters all pools share.
#[test]
fn a_pool_that_no_run_was_made_on_needs_a_size() {
    let folder = tempfile::tempdir().unwrap();
    said(&folder, &["fit", &five_runs(), "--law", "qqt-proportional", "--own", "none"]);
    let ask = ["decide", "fit.json", "--samples", "34B"];
    for more in [["--candidates", "LAION-5B"], ["--try", "LAION-5B@5B"], ["--candidates", "+"]] {
        let refused = complaint(&folder, &[&ask[..], &more[..]].concat());
        assert!(refused.contains("LAION-5B") || refused.contains('+'), "{refused}");
    }
    let sized = ["--candidates", "LAION-5B,LAION-2B", "--unique", "LAION-5B=5B"];
    assert!(said(&folder, &[&ask[..], &sized[..]].concat()).contains("train on LAION-5B"));
    let range = complaint(&folder, &[&ask[..], &["--range", "1..34B"]].concat());
    assert!(range.contains("--range 1 is a factor of"), "{range}");
}

#[test]
fn numbers_that_are_none_are_refused_by_their_flag() {
    let folder = fitted();
    let runs = published("laion_clip_imagenet.csv");
    let fit = |flag: &str, value: &str| {
        complaint(&folder, &["fit", &runs, "--law", "qqt", "--group", "ViT-B-16", flag, value])
    };
    for (flag, value) in [
        ("--noise", "nan"),
        ("--noise", "inf"),
        ("--fix", "d=nan"),
        ("--fix", "d=inf"),
        ("--prior", "d=0.1,nan"),
        ("--cost", "huber=nan"),
        ("--level", "nan"),
        ("--draws", "-1"),
    ] {
        let said = fit(flag, value);
        let name = value.split(['=', ',']).next().unwrap();
        assert!(said.contains(flag) || said.contains(name), "{flag} {value}: {said}");
    }
    let several = |flag: &str, value: &str| complaint(&folder, &["fit", &five_runs(), flag, value]);
    assert!(several("--own", "nope").contains("there is no parameter `nope`; use one of: A, "));
    assert!(several("--prior", "zz=1,1").contains("there is no parameter `zz`"));
    let starts = several("--starts", "0");
    assert!(starts.ends_with("table: `starts` is 0, but must be from 1 to 10000000\n"), "{starts}");
    let decide = |more: &[&str]| complaint(&folder, &[&["decide", "fit.json"], more].concat());
    assert!(decide(&["--samples", "nan"]).contains("--samples"));
    assert!(decide(&["--samples", "34B", "--max-epochs", "nan"]).contains("--max-epochs"));
    assert!(decide(&["--samples", "34B", "--unique", "nan"]).contains("--unique"));
    let points = complaint(&folder, &["plot", "fit.json", "--points", "100000000"]);
    assert!(points.contains("`count` is 100000000, but must be from 2 to 10000"), "{points}");
}

#[test]
fn a_table_takes_counts_as_flags_do_and_refuses_mixed_units() {
    let folder = tempfile::tempdir().unwrap();
    let fit_of = |unique: &str, out: &str| {
        let head = "pool,samples,unique,error\n";
        let row = |samples: &str, error: f64| format!("a,{samples},{unique},{error}\n");
        let rows = [row("2.56B", 0.6), row("12.8e9", 0.5), row("34_000M", 0.47), row("68G", 0.46)];
        fs::write(folder.path().join("runs.csv"), head.to_owned() + &rows.concat()).unwrap();
        plan(&folder, &["fit", "runs.csv", "--law", "power", "-q", "-o", out])
    };
    assert!(fit_of("400M", "a.json").status.success());
    assert!(fit_of("400000000", "b.json").status.success());
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes("a.json"), bytes("b.json"));
    let mixed = text(&fit_of("400", "c.json").stderr);
    let parts =
        ["runs.csv:2, field `unique`", "2560000000 in `samples`", "in millions (400M for 400)"];
    assert!(parts.iter().all(|part| mixed.contains(part)), "{mixed}");
    assert!(!folder.path().join("c.json").exists());
}

#[test]
fn words_of_the_output_are_explained_in_it() {
    let folder = fitted();
    let lines = |args: &[&str], words: &[&str]| {
        let short = said(&folder, args);
        let long = said(&folder, &[args, &["--explain"]].concat());
        for word in words {
            let line = short.lines().find(|line| line.starts_with(&format!("{word}: ")));
            assert!(line.is_some_and(|line| line.len() < 110), "{word} in {args:?}: {short}");
        }
        assert!(long.len() > short.len() && !long.contains("--explain"), "{long}");
    };
    lines(&["decide", "fit.json", "--samples", "34B"], &["wins", "regret", "doubt"]);
    lines(&["predict", "fit.json", "--samples", "34B"], &["epochs", "curve", "new run"]);
    let fit = ["held out", "share", "AICc", "condition", "noise", "b", "half_life", "d"];
    lines(&["fit", &five_runs(), "--draws", "50", "-o", "5.json"], &fit);
}
