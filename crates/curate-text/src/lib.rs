//! Judges captions as DataComp does: fastText's language identification, WordNet's synsets and the
//! caption rules built on them, with the answers of the Python stack and none of it installed.
//!
//! - [`fasttext`] reads supervised fastText models, `.bin` and quantized `.ftz`, and predicts.
//! - [`language`] names a caption's language, with a fastText model or without any file.
//! - [`wordnet`] finds the first synset of a word, in NLTK's order.
//! - [`rules`] holds the caption and image-size rules of DataComp's baselines (Gadre et al. 2023,
//!   arXiv 2304.14108) as functions of one row. Pools, files and threads are up to the caller.
//! - [`repair`] mends texts as ftfy 6.3.1 does, or 6.2 or 6.1 by name, so that a network sees what it saw in training.
//!
//! ```
//! use curate_text::language::BuiltIn;
//! use curate_text::rules::{Failure, basic, caption_filter};
//!
//! // 6 words to Python, 7 tokens to fastText, which counts the line feed.
//! let caption = "cat\nand dog in the garden";
//! assert!(basic(caption, 640.0, 480.0, &BuiltIn).is_ok());
//! assert_eq!(curate_text::rules::split(caption).count(), 6);
//! assert_eq!(curate_text::fasttext::count_tokens(caption), 7);
//!
//! assert_eq!(basic("two dogs", 640.0, 480.0, &BuiltIn), Err(Failure::FewWords(2)));
//! assert_eq!(caption_filter("IMG_0001.JPG", &BuiltIn), Err(Failure::FewTokens(1)));
//! ```
//!
//! # DataComp's code and this crate
//! | | DataComp's code | this crate |
//! |---|---|---|
//! | language in `basic_filter`, `text_based`, `image_based` | fastText's lid.176.bin; the first label is `en`, no threshold | the same with a model file of yours; without one, [`language::BuiltIn`] ([how far apart they are](language)) |
//! | language in `laion2b` | gcld3 | any [`language::LanguageId`]; gcld3 is not included |
//! | words in `basic_filter` | `str.split()`: all Unicode white space and U+001C to U+001F; more than 2 | the same, [`rules::split`] |
//! | words in `image_based` | `fasttext.tokenize`: ASCII white space, `</s>` for each line feed; more than 1 | the same, [`fasttext::tokenize`] |
//! | characters | code points; more than 5 | the same |
//! | image size 0 x 0, or unknown | the ratio is NaN; dropped | dropped, and [`rules::Failure`] says why |
//! | missing caption | the script crashes | up to the caller, who drops and counts such rows |
//! | first synset | NLTK 3.8.1, which removes endings repeatedly | [`wordnet::Morphy::Repeated`]; by default one step, as NLTK 3.9 and later |
//! | entities in `text_based` | a list of offsets, searched from the front for each word | a hash set of offsets; like DataComp's, it ignores the part of speech |
//! | why a row was dropped | not recorded | the part of the rule and the value, [`rules::Failure`] |
//!
//! | | C++ fastText 0.9.2 | this crate |
//! |---|---|---|
//! | lid.176.ftz on 265,320 lines (dictionary glosses, their first words, noise) | | the same labels, and the same probabilities to the bit |
//! | 12 small models, one of every kind, on 30,000 lines each | | the same labels, and the same probabilities to the bit |
//! | lines per second, one thread, lid.176.ftz, glosses of 12 words | 57,000 | 240,000 |
//! | lines per second, one thread, lid.176.ftz, captions of 2 to 8 words | 120,000 | 489,000 |
//! | a damaged or hostile file | undefined behavior | [`fasttext::FormatError`] names the field |
//! | bytes after the last matrix | ignored | ignored |
//!
//! Speeds are lines per second of CPU time, the best of six alternating runs on a shared 2-core
//! machine, against the Python package `fasttext-wheel` (lists of lines or single calls, whichever
//! was faster). Ours include reading the model and writing the answers. Probabilities are equal to
//! the bit where the C library's `exp` and `ln` round alike; elsewhere they differ in the last
//! place. First synsets equal NLTK's for 524,754 words (all lemmas, exceptions, invented
//! inflections and the words of the glosses), with both 3.10.4 and 3.8.1.
//!
//! # Cost
//! A fastText model takes as much memory as its file (lid.176.bin 126 MB, lid.176.ftz 0.9 MB) and a
//! few microseconds per caption; WordNet takes about 20 MB and well under a microsecond per word.
//! Everything is read-only after loading, so threads can share it. The crate has no features and no
//! heavy dependencies.
//!
//! # When not to use it
//! - **With a probability threshold on short captions.** lid.176 is unsure of short texts: a
//!   threshold of 0.5 throws away a third to two thirds of good English captions of 2 to 4 words.
//!   DataComp sets no threshold, and neither do these rules.
//! - **To judge the quality of captions.** The rules look at form. To lid.176 an empty caption is
//!   English, and "cat," names no entity.
//! - **To train fastText models, or for word vectors.** The crate reads supervised models only, and
//!   only predicts.
//! - **With ImageNet's ids and any WordNet but 3.0.** The ids are offsets in 3.0;
//!   [`wordnet::WordNet::version`] says which one you have.
//!
//! # References
//! - Gadre et al. 2023, *DataComp*: arXiv 2304.14108. The rules and their thresholds.
//! - Joulin et al. 2016, *Bag of Tricks for Efficient Text Classification*: arXiv 1607.01759.
//! - Joulin et al. 2016, *FastText.zip: Compressing text classification models*: arXiv 1612.03651.
//! - Schuhmann et al. 2022, *LAION-5B*: arXiv 2210.08402. The rule `laion2b`.
//! - Fellbaum 1998, *WordNet: An Electronic Lexical Database*.

pub mod fasttext;
pub mod language;
pub mod repair;
pub mod rules;
pub mod wordnet;

/// Opens a regular file, or a link to one. To open a pipe would wait for a writer.
fn open(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    std::fs::File::open(path)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
