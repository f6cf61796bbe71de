//! Faults: killed at every call that changes a file, on a full disk, beside itself, with damaged inputs.
//!
//! The short form runs with the tests. `cargo xtask torture --minutes N` goes on for so long with other
//! seeds, and writes what it counted to `CURATE_TORTURE_RESULTS`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(clippy::print_stderr, reason = "what is going on in a run of an hour")]

mod damage;
mod faults;
mod interrupt;
mod world;

use std::{
    collections::BTreeMap,
    env, fs,
    time::{Duration, Instant},
};

use faults::Faults;
use world::{World, jobs};

/// Numbers that look random, the same for a seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// How often each kind of fault was tried.
type Counts = BTreeMap<String, usize>;

fn count(counts: &mut Counts, kind: &str, more: usize) {
    *counts.entry(kind.to_owned()).or_default() += more;
}

/// How many places of each command a short form tries, and how many damaged files.
const PLACES: usize = 5;
const DAMAGED: usize = 40;

#[test]
fn nothing_is_half_written_and_nothing_is_lost() {
    let (world, faults) = (World::new(), Faults::build());
    let mut counts = Counts::new();
    for job in jobs() {
        let clean = interrupt::Clean::of(&job, &world);
        clean.killed_at_calls(&faults, PLACES, &mut counts);
        clean.on_a_full_disk(&faults, PLACES, &mut counts);
        clean.beside_itself(&mut counts);
        clean.out_of_memory(&mut Draw(7), &mut counts);
    }
    assert!(counts["killed at a call"] >= 4 * jobs().len(), "{counts:?}");
}

#[test]
fn damaged_files_are_refused_or_read_and_never_take_the_machine() {
    let mut counts = Counts::new();
    damage::files(&World::new(), &mut Draw(1), DAMAGED, &mut counts);
    assert_eq!(counts.values().sum::<usize>(), DAMAGED);
}

/// The long form: as many minutes as `CURATE_TORTURE_MINUTES` says, none if it says nothing.
#[test]
fn for_as_long_as_was_asked() {
    let Ok(minutes) = env::var("CURATE_TORTURE_MINUTES") else { return };
    let until = Instant::now() + Duration::from_secs(60 * minutes.parse::<u64>().unwrap());
    let seed = env::var("CURATE_TORTURE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (world, faults, mut draw) = (World::new(), Faults::build(), Draw(seed));
    let mut counts = Counts::new();
    let clean: Vec<_> = jobs().iter().map(|job| interrupt::Clean::of(job, &world)).collect();
    for clean in &clean {
        clean.killed_at_calls(&faults, usize::MAX, &mut counts);
        clean.on_a_full_disk(&faults, usize::MAX, &mut counts);
        eprintln!("{counts:?}");
    }
    while Instant::now() < until {
        for clean in &clean {
            clean.killed_at_a_time(&mut draw, &mut counts);
            clean.out_of_memory(&mut draw, &mut counts);
            clean.beside_itself(&mut counts);
        }
        damage::files(&world, &mut draw, 200, &mut counts);
        eprintln!("{counts:?}");
    }
    if let Ok(path) = env::var("CURATE_TORTURE_RESULTS") {
        fs::write(path, serde_json::to_string_pretty(&counts).unwrap() + "\n").unwrap();
    }
}
