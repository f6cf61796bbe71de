//! What a process knows of a stage from tasks that it carried out before. Everything here can be read or
//! worked out again; a process that is new to the stage does so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use curate_cluster::PartMemory;
use curate_core::{Examined, Selection};
use serde::{Deserialize, Serialize};

/// Bytes that remembered searches take, all together: each holds its own packed centroids and sums, and what it
/// knows of its rows.
const BYTES: usize = 512 << 20;

/// What a process knows of a stage.
#[derive(Default)]
pub(super) struct Known {
    usable: Mutex<Option<Arc<Distinct>>>,
    searches: Mutex<BTreeMap<usize, PartMemory>>,
}

/// Which rows can be used.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Usable {
    pub(super) examined: Examined,
    /// Those that are copies of another and go first.
    pub(super) copies: Selection,
}

/// The rows that are clustered and compared.
pub(super) struct Distinct {
    pub(super) usable: Usable,
    pub(super) rows: Selection,
}

impl Known {
    /// What is known of the rows, or what `find` finds.
    pub(super) fn distinct<E>(
        &self,
        find: impl FnOnce() -> Result<Distinct, E>,
    ) -> Result<Arc<Distinct>, E> {
        let mut known = self.usable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(distinct) = known.as_ref() {
            return Ok(Arc::clone(distinct));
        }
        let found = Arc::new(find()?);
        *known = Some(Arc::clone(&found));
        Ok(found)
    }

    /// Hands out what is remembered of a part, in so many bytes at most, for as long as `work` lasts; nothing
    /// where others are remembered in too many.
    pub(super) fn with_memory<T>(
        &self,
        part: usize,
        bytes: usize,
        work: impl FnOnce(Option<&mut PartMemory>) -> T,
    ) -> T {
        let all = || self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        let most = BYTES / bytes.max(1);
        let known = all().remove(&part);
        let mut memory = match known {
            Some(memory) => memory,
            None if all().len() < most => PartMemory::default(),
            None => return work(None),
        };
        let answer = work(Some(&mut memory));
        all().insert(part, memory);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_remembered_as_far_as_their_bytes_go() {
        let known = Known::default();
        let is_remembered = |part, bytes| known.with_memory(part, bytes, |memory| memory.is_some());
        assert!(is_remembered(0, BYTES / 2) && is_remembered(1, BYTES / 2));
        assert!(!is_remembered(2, BYTES / 2), "no room for a third");
        assert!(is_remembered(1, BYTES / 2), "what is remembered stays so");
        assert!(!Known::default().with_memory(0, BYTES + 1, |memory| memory.is_some()));
    }
}
