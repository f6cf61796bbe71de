//! Rows that are not what they say: an error that names what is wrong, and no rule panics.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use curate_baselines::{
    Arch, BaselineError, BaselineName, BaselineParams, Concepts, MetadataRows, MetadataShard,
};
use curate_core::{Cut, EmbeddingSource, NoProgress, SampleId};
use curate_io::{IoError, Kind, table::Precision};

/// Three rows, of which each column has its own opinion.
struct Uneven {
    ids: u64,
    captions: usize,
    numbers: usize,
}

impl MetadataRows for Uneven {
    fn len(&self) -> usize {
        3
    }

    fn each_id(&self, each: &mut dyn FnMut(SampleId)) -> Result<(), IoError> {
        (0..self.ids).for_each(|id| each(id.into()));
        Ok(())
    }

    fn each_caption(&self, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        (0..self.captions).for_each(|_| each(Some("a black cat on the roof")));
        Ok(())
    }

    fn each_block(&self, _: &str, each: &mut dyn FnMut(&[f64])) -> Result<(), IoError> {
        each(&vec![300.0; self.numbers]);
        Ok(())
    }

    fn precision(&self, _: &str) -> Result<Precision, IoError> {
        Ok(Precision::Single)
    }

    fn features(&self, _: &str) -> Result<Box<dyn EmbeddingSource + '_>, IoError> {
        Err(IoError::new(Kind::NotFound, self.path(), "has no features", "give them"))
    }

    fn path(&self) -> &Path {
        Path::new("uneven")
    }
}

fn refused(params: BaselineParams, rows: Uneven) -> String {
    params.check().unwrap().run(&[rows], &NoProgress).unwrap_err().to_string()
}

#[test]
fn columns_of_another_length_are_named() {
    let even = || Uneven { ids: 3, captions: 3, numbers: 3 };
    let of = BaselineParams::new;
    let clip_score = || of(BaselineName::ClipScore).arch(Arch::B32).threshold(0.3);
    let kept = clip_score().check().unwrap().run(&[even()], &NoProgress).unwrap();
    assert_eq!(kept.kept().len(), 3);
    assert!(
        kept.select(Cut::Fraction(2.0)).unwrap_err().to_string().starts_with("`fraction` is 2")
    );

    let basic = || of(BaselineName::BasicFilter);
    for captions in [2, 9] {
        let error = refused(basic(), Uneven { captions, ..even() });
        assert_eq!(error, format!("uneven: captions of {captions} rows, but there are 3"));
    }
    let laion = of(BaselineName::Laion2b);
    for params in [basic(), laion, clip_score()] {
        let error = refused(params, Uneven { numbers: 1, ..even() });
        assert!(error.ends_with("of 1 rows, but there are 3"), "{error}");
    }
    let drawn = of(BaselineName::RandomSubset).fraction(0.5);
    for params in [drawn, clip_score()] {
        let error = refused(params, Uneven { ids: 5, ..even() });
        assert_eq!(error, "uneven: ids of 5 rows, but there are 3");
    }
}

#[test]
fn inputs_and_files_that_are_missing_are_named() {
    let even = || Uneven { ids: 3, captions: 3, numbers: 3 };
    for (name, input) in [
        (BaselineName::TextBased, "`wordnet` is missing"),
        (BaselineName::ImageBased, "`concepts` is missing"),
    ] {
        let error = refused(BaselineParams::new(name), even());
        assert!(error.starts_with(input), "{error}");
    }
    let params = BaselineParams::new(BaselineName::BasicFilter).language_model("/none/lid.bin");
    assert!(refused(params, even()).contains("/none/lid.bin"));
    assert!(MetadataShard::open("/none/0.parquet".as_ref()).is_err());
    assert!(Concepts::read("/none/c.npy".as_ref(), "/none/w.npy".as_ref()).is_err());
    let nothing = BaselineParams::new(BaselineName::NoFilter).check().unwrap();
    assert!(nothing.subset("/none".as_ref(), &NoProgress).is_err());
    let verdicts = nothing.run::<Uneven>(&[], &NoProgress).unwrap();
    assert!(verdicts.rows().is_empty() && verdicts.kept().is_empty());
    let error = verdicts.select(Cut::Top(1)).unwrap_err();
    assert!(matches!(error, BaselineError::NothingToCut { .. }), "{error}");
}
