//! The clients' own record of requests and answers, to compare with the database.

use std::{collections::BTreeMap, fmt, time::Duration};
use tokio::time::Instant;

/// Meaning of an answer for the order.
#[derive(Debug, Clone)]
pub enum Reply {
    /// 201 or 202, with the order's id.
    Accepted(u16, String),
    /// Not accepted, with the reason.
    Refused(String),
    /// Accepted or not: the answer does not say.
    Unknown(String),
}

#[derive(Debug, Clone)]
pub struct Answer {
    /// Index of the `serve` that answered.
    pub by: usize,
    pub asked: Instant,
    pub took: Duration,
    pub reply: Reply,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by + 1;
        match &self.reply {
            Reply::Accepted(status, id) => write!(f, "{status} {id}")?,
            Reply::Refused(why) => write!(f, "refused: {why}")?,
            Reply::Unknown(why) => write!(f, "unknown: {why}")?,
        }
        write!(f, " (serve {by}, {} ms)", self.took.as_millis())
    }
}

/// One order, requested once or, under a key, several times.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub keyed: bool,
    /// The order's lines, as the database should have them.
    pub lines: String,
    /// Number of the attempt that used the same key for another order: one of the two is recorded.
    pub rival: Option<usize>,
    pub answers: Vec<Answer>,
}

/// Result of an attempt after all of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptStatus {
    Accepted,
    Refused,
    Unknown,
}

impl Attempt {
    pub fn status(&self) -> AttemptStatus {
        let mut status = AttemptStatus::Refused;
        for answer in &self.answers {
            match answer.reply {
                Reply::Accepted(..) => return AttemptStatus::Accepted,
                Reply::Unknown(_) => status = AttemptStatus::Unknown,
                Reply::Refused(_) => {}
            }
        }
        // One that was never answered, because the load was stopped in the middle.
        if self.answers.is_empty() { AttemptStatus::Unknown } else { status }
    }

    /// Ids in the answers that accepted the order.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<_> = self
            .answers
            .iter()
            .filter_map(|answer| match &answer.reply {
                Reply::Accepted(_, id) => Some(id.as_str()),
                _ => None,
            })
            .collect();
        ids.dedup();
        ids
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.keyed { "with a key" } else { "without a key" })?;
        if let Some(rival) = self.rival {
            write!(f, " that {} has too", note(rival))?;
        }
        for answer in &self.answers {
            write!(f, "; {answer}")?;
        }
        Ok(())
    }
}

/// All attempts during one fault.
#[derive(Debug, Default)]
pub struct Ledger {
    pub attempts: Vec<Attempt>,
}

impl Ledger {
    /// Adds an attempt and returns its number.
    pub fn open(&mut self, keyed: bool, lines: String) -> usize {
        self.attempts.push(Attempt { keyed, lines, rival: None, answers: Vec::new() });
        self.attempts.len() - 1
    }

    /// Notes that two attempts used one key.
    pub fn rivals(&mut self, first: usize, second: usize) {
        for (number, rival) in [(first, second), (second, first)] {
            if let Some(attempt) = self.attempts.get_mut(number) {
                attempt.rival = Some(rival);
            }
        }
    }

    pub fn note(&mut self, number: usize, answer: Answer) {
        if let Some(attempt) = self.attempts.get_mut(number) {
            attempt.answers.push(answer);
        }
    }

    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.attempts.iter().flat_map(|attempt| &attempt.answers)
    }

    /// Ids of all orders accepted so far.
    pub fn promised(&self) -> Vec<String> {
        self.attempts.iter().flat_map(Attempt::ids).map(str::to_owned).collect()
    }

    pub fn count(&self, status: AttemptStatus) -> usize {
        self.attempts.iter().filter(|attempt| attempt.status() == status).count()
    }

    /// Returns the attempt with the slowest answer, and its duration.
    pub fn slowest(&self) -> Option<(String, Duration)> {
        let slowest = |attempt: &Attempt| attempt.answers.iter().map(|answer| answer.took).max();
        let all = self.attempts.iter().enumerate();
        let (number, attempt) = all.max_by_key(|(_, attempt)| slowest(attempt))?;
        Some((format!("{} {attempt}", note(number)), slowest(attempt)?))
    }

    pub fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for answer in self.answers() {
            let kind = match &answer.reply {
                Reply::Accepted(status, _) => status.to_string(),
                Reply::Refused(why) => format!("refused: {why}"),
                Reply::Unknown(why) => format!("unknown: {why}"),
            };
            *kinds.entry(kind).or_default() += 1;
        }
        kinds
    }

    /// Returns the time at which a `serve` first queued an order that was requested after `since`.
    pub fn queued_again(&self, by: usize, since: Instant) -> Option<Instant> {
        let queued = |answer: &&Answer| {
            answer.by == by && answer.asked >= since && matches!(answer.reply, Reply::Accepted(202, _))
        };
        self.answers().filter(queued).map(|answer| answer.asked + answer.took).min()
    }
}

/// Returns the `note` that identifies the order of an attempt.
pub fn note(number: usize) -> String {
    format!("attempt {number}")
}
