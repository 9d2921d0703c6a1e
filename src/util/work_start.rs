//! Decides between beginning a piece of work and abandoning it: exactly one of the two happens, whichever threads ask for them.

use std::sync::OnceLock;

/// The start of a piece of work that may be abandoned while it waits: `true` once it has begun, `false` once it is abandoned.
#[derive(Debug, Default)]
pub struct WorkStart(OnceLock<bool>);

impl WorkStart {
    /// Begins the work, unless it was abandoned. Returns whether it has begun; work that is repeated stays begun.
    pub fn begin(&self) -> bool {
        *self.0.get_or_init(|| true)
    }

    /// Abandons the work, unless it has begun. Returns whether it is abandoned.
    pub fn abandon(&self) -> bool {
        !self.0.get_or_init(|| false)
    }

    pub fn is_begun(&self) -> bool {
        self.0.get() == Some(&true)
    }

    pub fn is_abandoned(&self) -> bool {
        self.0.get() == Some(&false)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use std::{sync::Barrier, thread};

    #[test]
    fn what_came_first_stays() {
        let start = WorkStart::default();
        assert!(!start.is_begun() && !start.is_abandoned());
        assert!(start.begin() && start.begin());
        assert!(!start.abandon() && start.is_begun() && !start.is_abandoned());
        let start = WorkStart::default();
        assert!(start.abandon() && start.abandon());
        assert!(!start.begin() && start.is_abandoned() && !start.is_begun());
    }

    #[test]
    fn of_beginning_and_abandoning_at_once_exactly_one_happens() {
        const ROUNDS: usize = 2000;
        let starts: Vec<WorkStart> = (0..ROUNDS).map(|_| WorkStart::default()).collect();
        let ready = Barrier::new(2);
        let all = |end: fn(&WorkStart) -> bool| {
            ready.wait();
            starts.iter().map(end).collect::<Vec<_>>()
        };
        let (begun, abandoned) = thread::scope(|scope| {
            let begun = scope.spawn(|| all(WorkStart::begin));
            let abandoned = all(WorkStart::abandon);
            (begun.join().unwrap(), abandoned)
        });
        assert!(begun.iter().zip(&abandoned).all(|(begun, abandoned)| begun != abandoned));
    }
}
