//! One-shot channels for replies to tasks on other threads.
//!
//! Waking a task on another thread's runtime costs a system call, and many tasks wait on the threads that answer requests.
//! So replies that are known at the same time go to each thread together, and a task there hands them out.

use std::cell::RefCell;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, oneshot},
};

/// Sends replies on the thread where it runs.
type Delivery = Box<dyn FnOnce() + Send>;

type Replies<T> = Vec<(oneshot::Sender<T>, T)>;

/// The task that runs deliveries on one thread. Their number is limited by the number of tasks that wait there.
type Mailbox = mpsc::UnboundedSender<Delivery>;

thread_local! {
    static MAILBOX: RefCell<Option<Mailbox>> = const { RefCell::new(None) };
}

pub struct ReplySender<T> {
    sender: oneshot::Sender<T>,
    /// Unset where waking a task is cheap.
    mailbox: Option<Mailbox>,
}

/// Returns a channel to the calling task.
pub fn channel<T>() -> (ReplySender<T>, oneshot::Receiver<T>) {
    let (sender, outcome) = oneshot::channel();
    (ReplySender { sender, mailbox: mailbox() }, outcome)
}

impl<T> ReplySender<T> {
    /// Sends the outcome, unless nobody waits for it any more.
    pub fn give(self, outcome: T) {
        let _ = self.sender.send(outcome);
    }

    /// Returns whether nobody waits for it any more.
    pub fn is_unwanted(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Sends all outcomes, with one delivery for each thread.
pub fn give_all<T: Send + 'static>(outcomes: impl IntoIterator<Item = (ReplySender<T>, T)>) {
    let mut threads: Vec<(Mailbox, Replies<T>)> = Vec::new();
    for (ReplySender { sender, mailbox }, outcome) in outcomes {
        match mailbox {
            None => drop(sender.send(outcome)),
            Some(mailbox) => match threads.iter_mut().find(|(known, _)| known.same_channel(&mailbox)) {
                Some((_, replies)) => replies.push((sender, outcome)),
                None => threads.push((mailbox, vec![(sender, outcome)])),
            },
        }
    }
    for (mailbox, replies) in threads {
        let deliver = || replies.into_iter().for_each(|(sender, outcome)| drop(sender.send(outcome)));
        if let Err(mpsc::error::SendError(deliver)) = mailbox.send(Box::new(deliver)) {
            // The thread's runtime has ended.
            deliver();
        }
    }
}

/// Returns this thread's mailbox, if its runtime has no other threads.
fn mailbox() -> Option<Mailbox> {
    MAILBOX.with_borrow_mut(|mailbox| {
        if mailbox.as_ref().is_none_or(mpsc::UnboundedSender::is_closed) {
            let runtime = Handle::try_current().ok()?;
            if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
                return None;
            }
            let (sender, mut deliveries) = mpsc::unbounded_channel::<Delivery>();
            runtime.spawn(async move {
                while let Some(deliver) = deliveries.recv().await {
                    deliver();
                }
            });
            *mailbox = Some(sender);
        }
        mailbox.clone()
    })
}
