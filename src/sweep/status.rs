//! How every cell of a sweep stands: by its result file, and only then by what the scheduler says.

use std::path::Path;

use super::outcome::Outcome;
use super::plan::Plan;
use super::slurm::{self, Answer, Submission};

/// How a cell stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It ended well.
    Done(Outcome),
    /// Its script failed.
    Failed(Outcome),
    /// The scheduler runs it.
    Running,
    /// The scheduler will run it.
    Pending,
    /// The scheduler ended it, or lost it, before there was a result.
    Ended(String),
    /// It was submitted, and the scheduler gave no answer about it.
    Unknown,
    /// Nobody has begun it, or a local run was stopped.
    Missing,
}

impl State {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Done(_) => "done",
            State::Failed(_) => "failed",
            State::Running => "running",
            State::Pending => "pending",
            State::Ended(_) => "ended",
            State::Unknown => "unknown",
            State::Missing => "missing",
        }
    }

    /// Whether running the cell again makes sense. One of whom nothing is known counts: a cell that runs twice leaves the
    /// same result twice.
    pub fn wanting(&self) -> bool {
        !matches!(self, State::Done(_) | State::Running | State::Pending)
    }
}

/// How each cell stands. The scheduler is asked only when a submitted cell has no result.
pub fn states(dir: &Path, plan: &Plan, submissions: &[Submission]) -> Vec<State> {
    let mut answers: Vec<Option<Answer>> = vec![None; submissions.len()];
    let mut states = Vec::with_capacity(plan.cells.len());
    for index in 0..plan.cells.len() {
        let outcome = Outcome::read(dir, plan, index);
        if let Some(outcome) = outcome.clone().filter(Outcome::done) {
            states.push(State::Done(outcome));
            continue;
        }
        let mut said = State::Missing;
        for (submission, answer) in submissions.iter().zip(&mut answers) {
            if let Some(task) = submission.task_of(index) {
                said = better(said, meaning(answer.get_or_insert_with(|| slurm::ask(submission)), task));
            }
        }
        let active = matches!(said, State::Running | State::Pending);
        states.push(outcome.filter(|_| !active).map_or(said, State::Failed));
    }
    states
}

/// What an answer says about a task.
fn meaning(answer: &Answer, task: usize) -> State {
    match answer.states.get(&task).map(String::as_str) {
        Some("RUNNING" | "COMPLETING" | "STAGE_OUT" | "SIGNALING") => State::Running,
        Some("PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" | "SUSPENDED" | "RESIZING") => {
            State::Pending
        }
        // There is no result where this machine looks, and the node said that all is well.
        Some("COMPLETED") => State::Ended("completed, but left no result here: do the nodes share the folder?".into()),
        Some(other) => State::Ended(other.to_lowercase()),
        None if answer.forgotten => State::Ended("forgotten by the scheduler".to_string()),
        None => State::Unknown,
    }
}

/// Of what two submissions say about a cell, the one that counts: an active one, or else the later.
fn better(earlier: State, later: State) -> State {
    if matches!(earlier, State::Running | State::Pending) { earlier } else { later }
}

/// How many cells stand how, the most telling first: `3 done, 1 failed`.
pub fn summary(states: &[State]) -> String {
    let names = ["done", "failed", "running", "pending", "ended", "unknown", "missing"];
    let count = |name: &&str| states.iter().filter(|state| state.name() == *name).count();
    let words = names.iter().map(|name| (count(name), name)).filter(|(n, _)| *n > 0);
    words.map(|(n, name)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}
