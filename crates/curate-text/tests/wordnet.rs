//! The first synset of 2,407 words as NLTK 3.10.4 and 3.8.1 give it (recipe: `wordnet_golden.py`).

use curate_text::wordnet::{Morphy, WordNet, WordNetError};
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn answer(wordnet: &WordNet, word: &str) -> String {
    wordnet.first_synset(word).map_or("-".into(), |s| format!("{} {}", s.offset, s.pos.letter()))
}

#[test]
fn first_synsets_equal_nltks() {
    let golden = std::fs::read_to_string(data().join("wordnet_golden.tsv")).unwrap();
    let wordnet = WordNet::read(data().join("wordnet")).unwrap();
    assert_eq!(wordnet.version(), Some("3.0"));
    let mut words = 0;
    for line in golden.lines() {
        let [word, current, _] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(answer(&wordnet, word), current, "{word:?}");
        words += 1;
    }
    assert_eq!(words, 2407);

    let wordnet = wordnet.with_morphy(Morphy::Repeated);
    for line in golden.lines() {
        let [word, _, old] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(answer(&wordnet, word), old, "{word:?}");
    }
}

#[test]
fn missing_and_malformed_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = WordNet::read(folder.path()).unwrap_err();
    assert!(matches!(&error, WordNetError::Io { path, .. } if path.ends_with("data.adj")));
    assert!(error.to_string().contains("wordnet-base"));

    for file in std::fs::read_dir(data().join("wordnet")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    assert!(WordNet::read(folder.path()).is_ok());
    let index = folder.path().join("index.verb");
    std::fs::write(&index, "  1 license\nbe v 1 0 1 0 x\n").unwrap();
    let error = WordNet::read(folder.path()).unwrap_err();
    assert!(matches!(error, WordNetError::Line { line: 2, .. }), "{error}");
    for bytes in [&[b'a'; 3 << 20][..], &[0xff, b'\n']] {
        std::fs::write(&index, bytes).unwrap();
        assert!(matches!(WordNet::read(folder.path()), Err(WordNetError::Line { line: 1, .. })));
    }
    std::fs::remove_file(&index).unwrap();
    assert!(WordNet::read(folder.path()).unwrap_err().to_string().contains("index.verb"));
}
