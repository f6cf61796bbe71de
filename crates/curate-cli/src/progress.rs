//! Progress on the error stream: bars on a terminal, or JSON lines where they are asked for.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use curate::core::{Progress, StageOf};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;

use crate::plain::{plain, plain_json};

/// JSON lines of a task come at most this often.
const EVERY: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HowShown {
    /// Bars on a terminal, nothing elsewhere: a log of errors holds nothing but errors.
    Auto,
    /// An object of JSON a line.
    Json,
    /// Not at all.
    None,
}

/// Shows progress and tells when the user wants to stop.
pub(crate) struct Shown {
    style: Style,
    stage: Mutex<Option<Stage>>,
    task: Mutex<Option<Task>>,
    stop: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Nothing,
    Bars,
    JsonLines,
}

/// A stage of a recipe.
#[derive(Clone)]
struct Stage {
    number: usize,
    of: usize,
    name: String,
}

struct Task {
    stage: Option<Stage>,
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
    pub(crate) fn new(how: HowShown, stop: Arc<AtomicBool>) -> Self {
        let style = match how {
            HowShown::Auto if std::io::stderr().is_terminal() => Style::Bars,
            HowShown::Json => Style::JsonLines,
            HowShown::Auto | HowShown::None => Style::Nothing,
        };
        Self { style, stage: Mutex::new(None), task: Mutex::new(None), stop }
    }

    fn with_task(&self, change: impl FnOnce(&mut Task)) {
        if let Some(task) = held(&self.task).as_mut() {
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
        let stage = held(&self.stage).clone();
        let bar =
            (self.style == Style::Bars).then(|| bar(&said(stage.as_ref(), name), total, unit));
        let task = Task {
            stage,
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
            tell(&task.start());
        }
        *held(&self.task) = Some(task);
    }

    fn stage(&self, stage: Option<StageOf<'_>>) {
        *held(&self.stage) = stage.map(|StageOf { number, of, name }| Stage {
            number,
            of,
            name: plain(name).into_owned(),
        });
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
        let Some(task) = held(&self.task).take() else { return };
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

/// What a lock guards, also after a thread that held it has panicked.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task and its stage, before its bar.
fn said(stage: Option<&Stage>, task: &str) -> String {
    match stage {
        Some(Stage { number, of, name }) => format!("stage {number} of {of}, {name}: {task}"),
        None => task.to_owned(),
    }
}

impl Task {
    fn start(&self) -> serde_json::Value {
        let (task, total, unit) = (&self.name, self.total, &self.unit);
        self.of_stage(json!({"event": "start", "task": task, "total": total, "unit": unit}))
    }

    /// A record with the stage that the task is of.
    fn of_stage(&self, mut record: serde_json::Value) -> serde_json::Value {
        if let Some(Stage { number, of, name }) = &self.stage {
            record["stage"] = json!({"number": number, "of": of, "name": name});
        }
        record
    }

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
        self.of_stage(record)
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
