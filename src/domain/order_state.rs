//! The states of an order and the transitions between them.
//!
//! ```text
//! queued ─► pending ─start─► in_progress ─ready─► ready ─complete─► completed
//!           │ cancel (guest, staff)  │ cancel (staff)  │
//!           │ fail                   │ fail            │ fail
//! ```
//! `undo` reverts the latest transition: from `in_progress`, `ready` and `completed` to the state before it in the drawing, from
//! `cancelled` and `failed` to the state that the order was in.

use super::words::words;

words! {
    /// The state of an order.
    pub enum Status {
        /// Accepted, but not recorded yet.
        Queued = "queued",
        /// Recorded and on the board; nobody works on it.
        Pending = "pending",
        /// A bartender is making it.
        InProgress = "in_progress",
        /// Made, and waits to be collected.
        Ready = "ready",
        /// The guest has collected it.
        Completed = "completed",
        /// Cancelled before it was made.
        Cancelled = "cancelled",
        /// It could not be made.
        Failed = "failed",
    }
}

words! {
    /// An action on an order.
    pub enum OrderAction {
        /// A bartender begins to make it.
        Start = "start",
        /// A bartender has made it.
        Ready = "ready",
        /// The guest has collected it.
        Complete = "complete",
        /// It is not wanted any more.
        Cancel = "cancel",
        /// It can't be made; a reason may be given.
        Fail = "fail",
        /// The latest action was a mistake.
        Undo = "undo",
    }
}

/// The role in which somebody acts on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderActor {
    /// The customer who placed it.
    Guest,
    Staff,
}

impl Status {
    /// Returns true if nothing remains to be done.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }
}

impl OrderAction {
    /// The state that the action leads to, if the actor may take it in this `status`. `before` is the state before the order's
    /// latest transition.
    pub fn target(self, status: Status, before: Status, actor: OrderActor) -> Option<Status> {
        use Status::{Cancelled, Completed, Failed, InProgress, Pending, Ready};
        match (self, status, actor) {
            (Self::Cancel, Pending, _) | (Self::Cancel, InProgress, OrderActor::Staff) => Some(Cancelled),
            (_, _, OrderActor::Guest) => None,
            (Self::Start, Pending, _) | (Self::Undo, Ready, _) => Some(InProgress),
            (Self::Ready, InProgress, _) | (Self::Undo, Completed, _) => Some(Ready),
            (Self::Complete, Ready, _) => Some(Completed),
            (Self::Fail, Pending | InProgress | Ready, _) => Some(Failed),
            (Self::Undo, InProgress, _) => Some(Pending),
            (Self::Undo, Cancelled | Failed, _) => Some(before),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transitions(actor: OrderActor) -> Vec<(Status, OrderAction, Status)> {
        let mut legal = Vec::new();
        for &status in Status::ALL {
            for &action in OrderAction::ALL {
                if let Some(target) = action.target(status, Status::Pending, actor) {
                    legal.push((status, action, target));
                }
            }
        }
        legal
    }

    #[test]
    fn a_guest_can_only_call_off_what_nobody_works_on() {
        assert_eq!(
            transitions(OrderActor::Guest),
            [(Status::Pending, OrderAction::Cancel, Status::Cancelled)]
        );
    }

    #[test]
    fn staff_can_make_these_moves_and_no_others() {
        use Status::{Cancelled, Completed, Failed, InProgress, Pending, Ready};
        assert_eq!(
            transitions(OrderActor::Staff),
            [
                (Pending, OrderAction::Start, InProgress),
                (Pending, OrderAction::Cancel, Cancelled),
                (Pending, OrderAction::Fail, Failed),
                (InProgress, OrderAction::Ready, Ready),
                (InProgress, OrderAction::Cancel, Cancelled),
                (InProgress, OrderAction::Fail, Failed),
                (InProgress, OrderAction::Undo, Pending),
                (Ready, OrderAction::Complete, Completed),
                (Ready, OrderAction::Fail, Failed),
                (Ready, OrderAction::Undo, InProgress),
                (Completed, OrderAction::Undo, Ready),
                (Cancelled, OrderAction::Undo, Pending),
                (Failed, OrderAction::Undo, Pending),
            ]
        );
    }

    #[test]
    fn undoing_an_end_leads_to_where_the_order_was() {
        assert_eq!(
            OrderAction::Undo.target(Status::Failed, Status::Ready, OrderActor::Staff),
            Some(Status::Ready)
        );
    }
}
