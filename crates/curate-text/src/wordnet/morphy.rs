//! Base forms of regular words: WordNet's rules of detachment, applied as NLTK applies them.

use super::Synset;
use std::collections::HashSet;

/// How often endings are removed, which NLTK changed in version 3.9.
///
/// Both ways remove the same endings. They differ on words that one step does not turn into a noun
/// (or verb, and so on). Up to 3.8.1 "less" becomes "les" and then "le", a name of lupus
/// erythematosus; later versions find the adjective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Morphy {
    /// NLTK 3.9 and later: one step.
    #[default]
    OneStep,
    /// NLTK up to 3.8.1, the version that DataComp pins: step after step until a form is found.
    /// Words longer than 1,024 bytes get one step, so that a hostile word costs no more than
    /// others.
    Repeated,
}

/// The longest word, in bytes, whose endings are removed repeatedly.
const LONGEST_REPEATED: usize = 1024;

/// The endings of each class and what replaces them, in NLTK's order. Every ending that fits gives
/// a form, and the first form that WordNet knows is taken, so the order decides: "dies" is tried as
/// "die" before "dy". Adverbs have no rules.
const ENDINGS: [&[(&str, &str)]; 4] = [
    &[
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ],
    &[
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ],
    &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")],
    &[],
];

impl Morphy {
    /// The first synset of the first base form that has one in this class.
    pub(super) fn first_form(
        self,
        word: &str,
        class: usize,
        lookup: impl Fn(&str) -> Option<Synset>,
    ) -> Option<Synset> {
        let mut forms = step(&[word.to_owned()], class);
        if self == Self::OneStep || word.len() > LONGEST_REPEATED {
            return forms.iter().find_map(|form| lookup(form));
        }
        // A form seen before was also looked up before, so dropping it changes no answer. Without
        // this, a word that ends in "sesses" branches at every step and the forms grow
        // exponentially.
        let mut seen = HashSet::new();
        while !forms.is_empty() {
            if let Some(found) = forms.iter().find_map(|form| lookup(form)) {
                return Some(found);
            }
            forms.retain(|form| seen.insert(form.clone()));
            forms = step(&forms, class);
        }
        None
    }
}

fn step(forms: &[String], class: usize) -> Vec<String> {
    let endings = ENDINGS[class];
    let stripped = |form: &String, &(old, new): &(&str, &str)| {
        form.strip_suffix(old).map(|stem| format!("{stem}{new}"))
    };
    forms.iter().flat_map(|form| endings.iter().filter_map(move |e| stripped(form, e))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wordnet::Pos;

    #[test]
    fn one_step_stops_where_repeated_goes_on() {
        let lookup =
            |form: &str| (form == "volume").then_some(Synset { offset: 1, pos: Pos::Noun });
        assert!(Morphy::OneStep.first_form("volumess", 0, lookup).is_none());
        assert!(Morphy::Repeated.first_form("volumess", 0, lookup).is_some());
        assert!(Morphy::Repeated.first_form(&"ses".repeat(300), 0, |_| None).is_none());
        let long = format!("volume{}", "s".repeat(2000));
        assert!(Morphy::Repeated.first_form(&long, 0, lookup).is_none());
    }
}
