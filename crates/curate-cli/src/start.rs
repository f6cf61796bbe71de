//! What is settled before a command starts.

use std::{num::NonZero, panic, thread::available_parallelism};

use curate::core::guard::is_guarded;

/// Threads for each processor, and for any machine, and the most for all of them. More only wait for each
/// other, and thousands take a minute to start.
const A_PROCESSOR: usize = 4;
const ON_ANY: usize = 16;
const MOST: usize = 512;

/// Makes the pool of threads that every command shares; what is wrong with their number.
pub(crate) fn set_threads(threads: usize) -> Result<(), String> {
    let processors = available_parallelism().map_or(1, NonZero::get);
    let most = (A_PROCESSOR * processors).clamp(ON_ANY, MOST);
    if threads > most {
        return Err(format!(
            "{threads} threads are asked for, but this machine has {processors} processors; give at \
             most {most}"
        ));
    }
    // Fails only when the pool exists already, and nothing has used it yet.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    Ok(())
}

/// A panic that costs one row is told with that row, not on the error stream.
pub(crate) fn silence_guarded_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !is_guarded() {
            usual(panic);
        }
    }));
}
