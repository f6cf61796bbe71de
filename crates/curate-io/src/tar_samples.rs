//! The samples in a tar file: members that share a key up to the first dot.

mod list;
mod member;
mod record;
mod window;

pub(crate) use list::{Listed, NO_END, list_members, read_sample};
pub(crate) use member::{Member, TarSample};
pub(crate) use record::{Known, Texts, known_by};
