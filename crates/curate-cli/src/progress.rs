//! Progress on the error stream: bars on a terminal, JSON lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use curate::core::Progress;
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;

use crate::plain::{plain, plain_json};

/// JSON lines of a task come at most this often.
const EVERY: Duration = Duration::from_secs(1);

/// Shows progress and tells when the user wants to stop.
pub(crate) struct Shown {
    style: Style,
    task: Mutex<Option<Task>>,
    stop: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Nothing,
    Bars,
    JsonLines,
}

struct Task {
    name: String,
    unit: String,
    total: u64,
    done: u64,
    metrics: Vec<(String, f64)>,
    started: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Shown {
    pub(crate) fn new(quiet: bool, stop: Arc<AtomicBool>) -> Self {
        let style = match quiet {
            true => Style::Nothing,
            false if std::io::stderr().is_terminal() => Style::Bars,
            false => Style::JsonLines,
        };
        Self { style, task: Mutex::new(None), stop }
    }

    fn with_task(&self, change: impl FnOnce(&mut Task)) {
        let mut task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(task) = task.as_mut() {
            change(task);
        }
    }
}

impl Progress for Shown {
    fn start(&self, name: &str, total: u64, unit: &str) {
        if self.style == Style::Nothing {
            return;
        }
        self.finish();
        let now = Instant::now();
        let name = &*plain(name);
        let bar = (self.style == Style::Bars).then(|| bar(name, total, unit));
        let task = Task {
            name: name.to_owned(),
            unit: unit.to_owned(),
            total,
            done: 0,
            metrics: vec![],
            started: now,
            told: now,
            bar,
        };
        if task.bar.is_none() {
            tell(&json!({"event": "start", "task": name, "total": total, "unit": unit}));
        }
        *self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(task);
    }

    fn advance(&self, by: u64) {
        self.with_task(|task| {
            task.done += by;
            match &task.bar {
                Some(bar) => bar.inc(by),
                None if task.told.elapsed() >= EVERY => {
                    task.told = Instant::now();
                    tell(&task.record("progress"));
                }
                None => {}
            }
        });
    }

    fn metric(&self, name: &str, value: f64) {
        self.with_task(|task| {
            task.metrics.retain(|(other, _)| other != name);
            task.metrics.push((name.to_owned(), value));
            if let Some(bar) = &task.bar {
                bar.set_message(format!("{name} {value:.6}"));
            }
        });
    }

    fn finish(&self) {
        let task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(task) = task else { return };
        match &task.bar {
            Some(bar) => bar.finish_and_clear(),
            None => tell(&task.record("finish")),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Drop for Shown {
    /// A task that an error ended leaves no half-drawn bar.
    fn drop(&mut self) {
        self.with_task(|task| {
            if let Some(bar) = &task.bar {
                bar.finish_and_clear();
            }
        });
    }
}

impl Task {
    fn record(&self, event: &str) -> serde_json::Value {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(1e-9);
        let mut record = json!({
            "event": event,
            "task": self.name,
            "done": self.done,
            "total": self.total,
            "unit": self.unit,
            "seconds": round(seconds),
            "rate": round(rate),
        });
        if event == "progress" && self.done > 0 {
            record["eta"] = json!(round(left));
        }
        for (name, value) in &self.metrics {
            record[name] = json!(value);
        }
        record
    }
}

fn round(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

/// A closed error stream is no reason to stop.
fn tell(record: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "{}", plain_json(&record.to_string()));
}

fn bar(name: &str, total: u64, unit: &str) -> ProgressBar {
    let template = format!(
        "{name:<22} {{bar:28}} {{human_pos}}/{{human_len}} {unit}  {{rate}}  {{eta}} left  {{msg}}"
    );
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // A line that cannot be written shows no rate.
        let _ = write!(out, "{}/s", HumanCount(state.per_sec().round() as u64));
    };
    let style = ProgressStyle::with_template(&template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.with_key("rate", rate));
    let bar = ProgressBar::new(total).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
