//! Embeddings that were opened once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{error::IoError, vectors::Embedding};

/// The embeddings of a pool by name. Unpacking a deflated array or a column of vectors takes a pass
/// over it and its size on the disk, and a recipe names one embedding in many stages.
///
/// Two locks, so that threads that want one embedding wait for the one that opens it, while others
/// open other names.
#[derive(Default)]
pub(super) struct Remembered(Mutex<BTreeMap<String, Arc<Mutex<Option<Embedding>>>>>);

impl Remembered {
    /// What was opened under this name, or else what `open` opens now. Failure is not remembered:
    /// the file may be mended.
    pub(super) fn get(
        &self,
        name: &str,
        open: impl FnOnce() -> Result<Embedding, IoError>,
    ) -> Result<Embedding, IoError> {
        let entry = {
            // A panic between the locks leaves the map and every entry whole.
            let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(names.entry(name.to_owned()).or_default())
        };
        let mut entry = entry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(embedding) = &*entry {
            return Ok(embedding.clone());
        }
        let opened = open();
        match &opened {
            Ok(embedding) => *entry = Some(embedding.clone()),
            // Names that are asked for in vain take no room.
            Err(_) => self.forget(name),
        }
        opened
    }

    fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_name_is_opened_once_by_any_number_of_threads() {
        let (remembered, openings) = (Remembered::default(), AtomicUsize::new(0));
        let open = || {
            openings.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(20));
            Embedding::new(vec![])
        };
        std::thread::scope(|scope| {
            for name in ["img", "txt", "img", "img", "txt", "img"] {
                let (remembered, open) = (&remembered, &open);
                scope.spawn(move || remembered.get(name, open).unwrap());
            }
        });
        remembered.get("img", open).unwrap();
        assert_eq!(openings.into_inner(), 2);
    }

    #[test]
    fn what_failed_is_tried_again_and_takes_no_room() {
        let remembered = Remembered::default();
        let error = || IoError::new(Kind::NotFound, "a.npz", "is not there", "");
        assert!(remembered.get("img", || Err(error())).is_err());
        assert!(remembered.0.lock().unwrap().is_empty());
        assert!(remembered.get("img", || Embedding::new(vec![])).is_ok());
        assert!(remembered.get("img", || Err(error())).is_ok());
    }
}
