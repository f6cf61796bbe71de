//! Pools from other sources, on which models are asked the same.

use super::*;

/// What is asked on pools from other sources, of a pool of which the first rows are one.
fn open(setting: &Setting, shifted: Vec<(&str, &Pool)>) -> Result<Arena, CompareError> {
    let source = |pool| Source { pool, labels: Some(pool_labels(pool)) };
    let shifted = shifted.into_iter().map(|(name, pool)| (name.to_owned(), source(pool)));
    let tests = Tests { own: None, shifted: shifted.collect() };
    Arena::open(&setting.compare, source(&setting.pool), tests, None, &NoProgress)
}

fn pool_labels(pool: &Pool) -> Vec<Option<String>> {
    pool.labels("label").unwrap()
}

#[test]
fn other_sources_are_asked_the_same_and_change_no_ranking() {
    for model in [Model::Projections, Model::Linear] {
        let setting = Setting::new(CompareParams { seeds: 2, model, ..params() });
        let other = tempfile::tempdir().unwrap();
        // None of its ids is the pool's.
        let other = pool_from(other.path(), 2 * ROWS);
        let arena = open(&setting, vec![("elsewhere", &other)]).unwrap();
        let report = setting.run(&arena, "out");
        let without = setting.run(&setting.arena(), "without");
        for (run, alone) in report.runs.iter().zip(&without.runs) {
            assert_eq!(run.tasks, alone.tasks, "the pool's own test is what it was");
            let shifted = &run.shifted["elsewhere"];
            assert!(shifted.keys().eq(run.tasks.keys()));
            assert!(shifted.values().all(|task| task.rows > 0));
            assert!(alone.shifted.is_empty());
        }
        let (ranked, alone) = (&report.rankings[0].selections, &without.rankings[0].selections);
        for (ranked, alone) in ranked.iter().zip(alone) {
            assert_eq!((&ranked.name, ranked.score), (&alone.name, alone.score));
            let of = |run: &&Record| run.selection == ranked.name;
            let runs =
                report.runs.iter().filter(of).filter(|run| run.budget == report.rankings[0].budget);
            let scores: Vec<f64> = runs
                .map(|run| Score::Average.of_tasks(&run.shifted["elsewhere"]).unwrap())
                .collect();
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            assert!((ranked.shifted["elsewhere"] - mean).abs() < 1e-12 && scores.len() == 2);
        }
    }
}

#[test]
fn no_id_of_another_source_is_trained_on() {
    let setting = Setting::new(params());
    let folder = tempfile::tempdir().unwrap();
    // Half of its ids are the pool's.
    let other = pool_from(folder.path(), ROWS / 2);
    let arena = open(&setting, vec![("half", &other)]).unwrap();
    let all = arena.entry(&setting.compare, "all", &ids(0..ROWS), UnknownIds::Refuse).unwrap();
    let first = arena.entry(&setting.compare, "first", &ids(0..ROWS / 2), UnknownIds::Refuse);
    assert_eq!(all.unique(), first.unwrap().unique());
    let twice = open(&setting, vec![("half", &other), ("half", &other)]).err().unwrap();
    let expected = "two pools from other sources are called `half`: give each a name of its own";
    assert_eq!(twice.to_string(), expected);
    let entries = [all];
    let contest = |arena, existing| {
        Contest::open(&setting.compare, arena, &entries, &setting.out("out"), existing)
    };
    // Nor is the pool's own test asked about them: it has those of the first half that it would have had.
    assert!(arena.test_rows() < setting.arena().test_rows());
    let contested = contest(&arena, Existing::Keep).unwrap();
    let report = contested.run(Score::Average, 0.95, &NoProgress).unwrap();
    let left_out = &report.left_out["all"];
    assert_eq!(left_out["of a pool from another source"], ROWS / 2);
    assert_eq!(left_out["held out for the test"], arena.test_rows());
    let renamed = open(&setting, vec![("other", &other)]).unwrap();
    let Err(error) = contest(&renamed, Existing::Keep) else { panic!("another shifted pool") };
    assert!(error.to_string().contains("the shifted pool `"), "{error}");
}
