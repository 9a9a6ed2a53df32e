//! Steps that run one after the other, and how long each took.

use std::time::{Duration, Instant};

use crate::Result;

/// What has been done so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    failed: bool,
}

impl Steps {
    /// Does the work of one step, and says so.
    pub(crate) fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = work();
        let step = Step { name, took: start.elapsed(), failed: outcome.is_err() };
        println!("==> {}\n", step.line());
        self.done.push(step);
        outcome.map_err(|error| format!("{name}: {error}"))
    }

    /// Prints how long each step took.
    pub(crate) fn print(&self) {
        println!("Steps:");
        for step in &self.done {
            println!("  {}", step.line());
        }
        let total = Step { name: "all", took: self.done.iter().map(|step| step.took).sum(), failed: false };
        println!("  {}", total.line());
    }
}

impl Step {
    fn line(&self) -> String {
        let took = format!("{:.1?}", self.took);
        let mark = if self.failed { "  FAILED" } else { "" };
        format!("{:<18}{took:>8}{mark}", self.name)
    }
}
