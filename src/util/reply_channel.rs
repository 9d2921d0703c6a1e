//! The way back to those who wait for an outcome on other threads.
//!
//! To wake a task on another thread's own runtime costs a system call, and on the threads that answer requests many wait. What
//! becomes known together is therefore brought to each thread together, and handed out there.

use std::cell::RefCell;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, oneshot},
};

/// Hands out what was brought.
type Parcel = Box<dyn FnOnce() + Send>;

/// Who wait on one thread, and for what outcomes.
type Waiting<T> = Vec<(oneshot::Sender<T>, T)>;

/// The task that hands out on one thread. What it has yet to do is bounded by how many wait there.
type Home = mpsc::UnboundedSender<Parcel>;

thread_local! {
    static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
}

/// Where one outcome goes.
pub struct ReplySender<T> {
    sender: oneshot::Sender<T>,
    /// None where waking is cheap.
    home: Option<Home>,
}

/// A way back to the task that calls this.
pub fn channel<T>() -> (ReplySender<T>, oneshot::Receiver<T>) {
    let (sender, outcome) = oneshot::channel();
    (ReplySender { sender, home: home() }, outcome)
}

impl<T> ReplySender<T> {
    /// Gives it its outcome. Who went away wants none.
    pub fn give(self, outcome: T) {
        let _ = self.sender.send(outcome);
    }

    /// Whether nobody waits for it any more.
    pub fn is_unwanted(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Gives each its outcome.
pub fn give_all<T: Send + 'static>(outcomes: impl IntoIterator<Item = (ReplySender<T>, T)>) {
    let mut parcels: Vec<(Home, Waiting<T>)> = Vec::new();
    for (ReplySender { sender, home }, outcome) in outcomes {
        match home {
            None => drop(sender.send(outcome)),
            Some(home) => match parcels.iter_mut().find(|(known, _)| known.same_channel(&home)) {
                Some((_, parcel)) => parcel.push((sender, outcome)),
                None => parcels.push((home, vec![(sender, outcome)])),
            },
        }
    }
    for (home, parcel) in parcels {
        let hand_out = || parcel.into_iter().for_each(|(sender, outcome)| drop(sender.send(outcome)));
        if let Err(mpsc::error::SendError(hand_out)) = home.send(Box::new(hand_out)) {
            // Its runtime has ended.
            hand_out();
        }
    }
}

/// This thread's, if it runs its own tasks only.
fn home() -> Option<Home> {
    HOME.with_borrow_mut(|home| {
        if home.as_ref().is_none_or(mpsc::UnboundedSender::is_closed) {
            let runtime = Handle::try_current().ok()?;
            if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
                return None;
            }
            let (sender, mut parcels) = mpsc::unbounded_channel::<Parcel>();
            runtime.spawn(async move {
                while let Some(hand_out) = parcels.recv().await {
                    hand_out();
                }
            });
            *home = Some(sender);
        }
        home.clone()
    })
}
