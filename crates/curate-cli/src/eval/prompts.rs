//! Labels in templates, embedded as the pool's texts are.

use std::collections::BTreeSet;

use curate::{
    core::{EmbeddingSource, embedding::normalize},
    dfn::Network,
    eval::compare::Prompts,
    io::{IoError, Kind, Pool},
};

use crate::{failure::Failure, filter::train::templates as templates_in};

/// Captions that are embedded again to see whether the network is the pool's.
const LOOKED_AT: usize = 32;
/// What the cosine of the two embeddings of most of them has to be. Half precision loses a millionth.
const ALIKE: f32 = 0.99;

/// Every label in every template, embedded.
pub(super) fn prompts(
    network: &Network,
    templates: &str,
    labels: &BTreeSet<&String>,
) -> Result<Prompts, Failure> {
    let templates = templates_in(templates)?;
    let (mut label, mut texts) = (Vec::new(), Vec::new());
    for name in labels.iter().filter(|label| !label.is_empty()) {
        for template in &templates {
            label.push((*name).clone());
            texts.push(template.replace("{}", name));
        }
    }
    Ok(Prompts::new(label, network.embed_texts(&texts)?)?)
}

/// An error unless the network embeds captions of the pool as they were: another one of the same width
/// would answer at random.
pub(super) fn check(network: &Network, pool: &Pool, texts: &str) -> Result<(), Failure> {
    let stored = pool.embedding(texts)?;
    let alike = match stored.dim() == network.dim() {
        true => share_alike(network, pool, &stored)?,
        false => Some(0.0),
    };
    let problem = match alike {
        Some(share) if share > 0.5 => return Ok(()),
        Some(_) => format!("its `{texts}` was not made by the network that is to embed the labels"),
        None => "it has no captions by which the network could be checked".to_owned(),
    };
    let remedy = "name the network of these embeddings with --network, or leave it out";
    Err(IoError::new(Kind::Disagree, pool.path(), problem, remedy).into())
}

/// The share of the first captions that the network embeds as the pool has them; `None` without captions.
fn share_alike(
    network: &Network,
    pool: &Pool,
    stored: &impl EmbeddingSource,
) -> Result<Option<f64>, Failure> {
    let faulty: BTreeSet<usize> = pool.faults().iter().map(|(row, _)| *row).collect();
    let rows: Vec<usize> =
        (0..pool.len()).filter(|row| !faulty.contains(row)).take(LOOKED_AT).collect();
    let samples = pool.samples(&rows)?;
    let captioned =
        rows.iter().zip(&samples).filter_map(|(&row, s)| Some((row, s.caption.as_deref()?)));
    let (rows, captions): (Vec<usize>, Vec<&str>) = captioned.unzip();
    if rows.is_empty() {
        return Ok(None);
    }
    let dim = network.dim();
    let mut there = vec![0.0; rows.len() * dim];
    stored.gather(&rows, &mut there)?;
    let found = network.embed_texts(&captions)?;
    let cosine = |(a, b): (&mut [f32], &[f32])| {
        normalize(a);
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()
    };
    let alike = there.chunks_exact_mut(dim).zip(found.chunks_exact(dim)).map(cosine);
    let alike = alike.filter(|cosine| *cosine > ALIKE).count();
    Ok(Some(alike as f64 / rows.len() as f64))
}
