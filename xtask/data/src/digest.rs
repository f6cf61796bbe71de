//! Digests: identities, checks, and every choice that other programs would draw at random.

use sha2::{Digest, Sha256};

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number that depends on both strings only; `purpose` keeps two choices about one row apart.
pub(crate) fn number(purpose: &str, text: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(purpose.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// The same choice as a point in `[0, 1)`, to be compared with a share.
pub(crate) fn unit(purpose: &str, text: &str) -> f64 {
    // 53 bits: every value is exact in an f64.
    (number(purpose, text) >> 11) as f64 / (1_u64 << 53) as f64
}

/// An incremental digest over many parts, each with its length, so that parts cannot run together.
#[derive(Default)]
pub(crate) struct Parts(Sha256);

impl Parts {
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(crate) fn hex(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_the_empty_string() {
        assert!(hex(b"").starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }

    #[test]
    fn the_unit_interval_is_filled_evenly() {
        let below = (0..4000).filter(|i| unit("test", &i.to_string()) < 0.25).count();
        assert!((900..1100).contains(&below), "{below} of 4000 below 0.25");
        assert_ne!(number("a", "x"), number("b", "x"));
    }
}
