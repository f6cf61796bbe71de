//! Leaving when asked: Ctrl-C, a closed terminal, a scheduler that ends the job.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

/// How long the work has to stop at a good place. Files are written beside their place and renamed,
/// so they are whole or absent wherever the program ends.
const PATIENCE: Duration = Duration::from_millis(700);
/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Whether the user wants the program to end, and with which code.
#[derive(Clone)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    code: Arc<AtomicU8>,
}

impl Stop {
    /// What the work looks at.
    pub(crate) fn asked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// 128 and the number of the signal that came.
    pub(crate) fn code(&self) -> u8 {
        self.code.load(Ordering::Relaxed)
    }

    /// The first time, work gets [`PATIENCE`] to stop; the second time, none.
    fn ask(&self, code: u8, kept: &'static str) {
        self.code.store(code, Ordering::Relaxed);
        if self.asked.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(code));
        }
        thread::spawn(move || {
            thread::sleep(PATIENCE);
            eprintln!("error: interrupted; {kept}");
            std::process::exit(i32::from(code));
        });
    }
}

/// Watches for signals; `kept` is what the program says of its results when one ends it. Without a
/// watch a signal ends the program at once, and files are still whole.
pub(crate) fn watch(kept: &'static str) -> Stop {
    let asked = Arc::new(AtomicBool::new(false));
    let stop = Stop { asked, code: Arc::new(AtomicU8::new(INTERRUPTED)) };
    listen(stop.clone(), kept);
    stop
}

#[cfg(unix)]
fn listen(stop: Stop, kept: &'static str) {
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM},
        iterator::Signals,
    };

    let hangup = (!hangup_is_ignored()).then_some(SIGHUP);
    let heard = [SIGINT, SIGTERM].into_iter().chain(hangup);
    let Ok(mut signals) = Signals::new(heard) else { return };
    thread::spawn(move || {
        for signal in signals.forever() {
            stop.ask(u8::try_from(128 + signal).unwrap_or(INTERRUPTED), kept);
        }
    });
}

/// Whether the program was started to outlive its terminal, as `nohup` does; false where the system
/// does not say.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal_hook::consts::SIGHUP - 1)) != 0)
}

#[cfg(not(unix))]
fn listen(stop: Stop, kept: &'static str) {
    let _ = ctrlc::set_handler(move || stop.ask(INTERRUPTED, kept));
}
