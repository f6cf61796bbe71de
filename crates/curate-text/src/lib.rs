//! What captions need before a pool can be filtered by them: fastText's language identification,
//! WordNet's synsets, and DataComp's caption rules, each equal to the Python stack's answers.
//!
//! - [`fasttext`]: reads supervised fastText models, `.bin` and quantised `.ftz`, and predicts.
//! - [`language`]: the question "which language", with a fastText model or without any file.
//! - [`wordnet`]: the first synset of a word as NLTK orders them.
//! - [`rules`]: the caption and image-size rules of DataComp's baselines (Gadre et al. 2023,
//!   arXiv 2304.14108), as functions of one row. Pools, files and threads are the caller's.
//!
//! ```
//! use curate_text::language::BuiltIn;
//! use curate_text::rules::{Failure, basic, caption_filter};
//!
//! // 3 words to Python, 4 tokens to fastText: the line feed is one.
//! assert!(basic("cat\nand dog in the garden", 640.0, 480.0, &BuiltIn).is_ok());
//! assert_eq!(basic("two dogs", 640.0, 480.0, &BuiltIn), Err(Failure::FewWords(2)));
//! assert_eq!(caption_filter("IMG_0001.JPG", &BuiltIn), Err(Failure::FewTokens(1)));
//! ```
//!
//! # DataComp's code and this crate
//! | | DataComp's code | this crate |
//! |---|---|---|
//! | language of `basic_filter`, `text_based`, `image_based` | fastText lid.176.bin, first label is `en`, no threshold | the same with a model of yours; [`language::BuiltIn`] without one, [measured](language) |
//! | language of `laion2b` | gcld3 | any [`language::LanguageId`]; gcld3 is not here |
//! | words of `basic_filter` | `str.split()`, U+001C to U+001F and all Unicode white space, more than 2 | the same, [`rules::split`] |
//! | words of `image_based` | `fasttext.tokenize`, ASCII white space, `</s>` for each line feed, more than 1 | the same, [`fasttext::tokenize`] |
//! | characters | code points, more than 5 | the same |
//! | size 0 x 0, or unknown | NaN ratio, dropped | dropped, [`rules::Failure`] says why |
//! | missing caption | the script crashes | the caller drops and counts it |
//! | first synset | NLTK 3.8.1, endings taken off again and again | [`wordnet::Morphy::Repeated`]; by default as NLTK 3.9 and later, one step |
//! | entities of `text_based` | offsets in a list, searched from the front for each word | offsets in a hash set; the part of speech is ignored there too |
//! | why a row went | - | the part of the rule and the value, [`rules::Failure`] |
//!
//! | | C++ fastText 0.9.2 | this crate |
//! |---|---|---|
//! | answers, lid.176.ftz, 265,320 lines (dictionary glosses, their first words, noise) | - | the same labels, the same probabilities to the bit |
//! | answers, 12 small models of every kind, 30,000 lines each | - | the same labels, the same probabilities to the bit |
//! | lines a second, one thread, lid.176.ftz, glosses of 12 words | 57,000 | 240,000 |
//! | lines a second, one thread, lid.176.ftz, captions of 2 to 8 words | 120,000 | 489,000 |
//! | a damaged or hostile file | undefined | [`fasttext::FormatError`] names the field |
//! | bytes after the last matrix | ignored | ignored |
//!
//! Speeds are lines by CPU time, the best of six alternating runs on a shared 2-core machine, against
//! the Python package `fasttext-wheel` (lists of lines or single calls, whichever was faster); ours
//! include reading the model and writing the answers. Equality to the bit holds where the C library's
//! `exp` and `ln` round alike; elsewhere probabilities differ in the last place. First synsets are
//! the same as NLTK's for 524,754 words (all lemmas, exceptions, made-up inflections, words of the
//! glosses), with 3.10.4 and with 3.8.1.
//!
//! # When not to use it
//! - **With a probability threshold on short captions.** lid.176 is unsure of short texts: asking for
//!   a probability of at least 0.5 throws away a third to two thirds of good English captions of 2 to
//!   4 words. DataComp asks for none; neither do these rules.
//! - **As a judge of caption quality.** The rules are about form. An empty caption is English to
//!   lid.176, and "cat," names no entity.
//! - **To train fastText models, or for word vectors.** Only supervised models are read, only
//!   predictions are made.
//! - **With another WordNet than 3.0 and ImageNet's ids.** The ids are offsets of 3.0
//!   ([`wordnet::WordNet::version`] tells).

pub mod fasttext;
pub mod language;
pub mod rules;
pub mod wordnet;
