//! Errors that name the file, the field and the remedy.

use std::{error::Error, fmt, io, path::Path, path::PathBuf};

/// What kind of trouble it is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The file is not there.
    NotFound,
    /// The file ends too early.
    Truncated,
    /// The file is not what its name says, or breaks its format.
    Malformed,
    /// The format allows it, this crate does not read it.
    Unsupported,
    /// Two files, or a file and a request, do not fit each other.
    Disagree,
    /// The folder to write to holds something else.
    Occupied,
    /// Another process writes to the folder.
    Busy,
    /// The disk is full, or a file may not grow further.
    DiskFull,
    /// The operating system refused.
    Os,
    /// The caller asked to stop.
    Cancelled,
}

/// Trouble with a file.
#[derive(Debug)]
pub struct IoError {
    /// What kind of trouble.
    pub kind: Kind,
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong, naming the field, column or member.
    pub problem: String,
    /// What to do about it; may be empty.
    pub remedy: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl IoError {
    /// Trouble with `path`.
    pub fn new(
        kind: Kind,
        path: impl AsRef<Path>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            path: path.as_ref().to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
            source: None,
        }
    }

    /// What the operating system said while something was `done` to `path` ("read", "created").
    pub fn os(path: impl AsRef<Path>, done: &str, error: io::Error) -> Self {
        let (kind, remedy) = match error.kind() {
            io::ErrorKind::NotFound => (Kind::NotFound, "check the path"),
            io::ErrorKind::UnexpectedEof => (Kind::Truncated, "fetch or write the file again"),
            io::ErrorKind::StorageFull => (Kind::DiskFull, "free space or choose another folder"),
            io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
                (Kind::DiskFull, "raise the limit or choose another folder")
            }
            io::ErrorKind::PermissionDenied => (Kind::Os, "check the permissions"),
            io::ErrorKind::AlreadyExists => (Kind::Os, "name another path, or move that file away"),
            io::ErrorKind::NotADirectory => {
                (Kind::Os, "name a path that leads through folders only")
            }
            _ => (Kind::Os, ""),
        };
        let problem = match kind {
            Kind::NotFound => "does not exist".to_owned(),
            Kind::Truncated => "ends too early".to_owned(),
            Kind::DiskFull if error.kind() == io::ErrorKind::StorageFull => {
                format!("could not be {done}: the disk is full")
            }
            _ if error.kind() == io::ErrorKind::AlreadyExists => {
                format!("could not be {done}: a file of that name is there")
            }
            _ => format!("could not be {done}: {error}"),
        };
        let found = Self::new(kind, path, problem, remedy);
        // An error that the operating system did not raise says nothing that is not said already.
        if error.raw_os_error().is_some() { found.caused_by(error) } else { found }
    }

    /// A temporary file that could not be written. Arrays that cannot be read where they lie are
    /// unpacked into such.
    pub(crate) fn no_room(error: io::Error) -> Self {
        let mut error = Self::os(std::env::temp_dir(), "written", error);
        if error.kind == Kind::DiskFull {
            error.remedy = "free space there, or name a larger folder in TMPDIR".to_owned();
        }
        error
    }

    /// A file that breaks its format.
    pub fn malformed(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, path, problem, "fetch or write the file again")
    }

    /// Keeps the error that caused this one.
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The caller asked to stop.
    pub fn cancelled(path: impl AsRef<Path>) -> Self {
        let cancelled = curate_core::Cancelled;
        Self::new(Kind::Cancelled, path, cancelled.to_string(), "").caused_by(cancelled)
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        // A line break in a name would make the rest of it look like another error.
        write!(f, "{}: {}", path.replace('\n', "\\n"), self.problem)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

impl Error for IoError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}

impl From<IoError> for curate_core::SourceError {
    fn from(error: IoError) -> Self {
        if error.kind == Kind::Cancelled {
            Self::Cancelled(curate_core::Cancelled)
        } else {
            Self::Read(Box::new(error))
        }
    }
}
