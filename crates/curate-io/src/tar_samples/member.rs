//! A sample and its members: where their bytes lie in a tar file.

use std::{fs::File, ops::Range, path::Path};

use crate::{error::IoError, positioned::read_exact_at};

/// Neighboring members of a tar file that share a key.
pub(crate) struct TarSample {
    pub(crate) key: String,
    pub(crate) members: Vec<Member>,
    /// The bytes of the shard from the sample's first header to the end of its last member.
    pub(crate) bytes: Range<u64>,
}

/// A file in a tar file.
pub(crate) struct Member {
    /// What follows the key, in lower case.
    pub(crate) ending: String,
    /// Where its content begins: its header lies in the blocks before.
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl TarSample {
    /// Its members, by ending.
    pub(crate) fn sorted_members(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by(|a, b| a.ending.cmp(&b.ending));
        members
    }

    /// Adds a member unless one of its name is there, as webdataset does where it goes on; false then.
    pub(super) fn add(&mut self, member: Member) -> bool {
        let is_new = self.members.iter().all(|other| other.ending != member.ending);
        if is_new {
            self.members.push(member);
        }
        is_new
    }

    /// True when it has a record.
    pub(crate) fn has_record(&self) -> bool {
        self.member(&["json"]).is_some()
    }

    /// Its member with the first of these endings that it has.
    pub(crate) fn member(&self, endings: &[&str]) -> Option<&Member> {
        endings.iter().find_map(|ending| self.members.iter().find(|m| m.ending == *ending))
    }
}

impl Member {
    /// Its content.
    pub(crate) fn read(&self, tar: &Path, file: &File) -> Result<Vec<u8>, IoError> {
        // The size was checked against the length of the file when the shard was opened.
        let mut bytes = vec![0; usize::try_from(self.size).expect("a member fits its file")];
        read_exact_at(file, &mut bytes, self.offset).map_err(|e| IoError::os(tar, "read", e))?;
        Ok(bytes)
    }
}
