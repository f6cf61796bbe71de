//! Digests that tell networks apart.

use sha2::{Digest, Sha256};

use crate::{config::OpenClipConfig, weights::Weights};

/// SHA-256 of a network's config and parameters, in hexadecimal: what a filter's card carries.
/// [`Network::fingerprint`](crate::Network::fingerprint) also covers tokenizer and transform.
pub fn network_digest(config: &OpenClipConfig, weights: &Weights) -> String {
    let mut hasher = Sha256::new();
    hasher.update(serde_json::to_vec(config).expect("a config is JSON"));
    for (name, array) in weights.arrays() {
        hasher.update(name.as_bytes());
        // In parts: a copy of all parameters would take as much memory as the network.
        for part in array.data.chunks(1 << 14) {
            let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
            hasher.update(bytes);
        }
    }
    hex(hasher)
}

/// SHA-256 of texts, each closed so that none runs into the next.
pub(crate) fn of_texts(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hex(hasher)
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
