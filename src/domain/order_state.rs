//! The states of an order and the moves between them.
//!
//! ```text
//! queued ─► pending ─start─► in_progress ─ready─► ready ─complete─► completed
//!           │ cancel (guest, staff)  │ cancel (staff)  │
//!           │ fail                   │ fail            │ fail
//! ```
//! `undo` steps one move back: from `in_progress`, `ready` and `completed` to the state before it, from `cancelled` and
//! `failed` to the state that the order was in.

use super::words;

words! {
    /// Where an order stands.
    pub enum Status {
        /// Accepted, not yet stored.
        Queued = "queued",
        /// Stored, on the board, nobody works on it.
        Pending = "pending",
        /// A bartender has it.
        InProgress = "in_progress",
        /// Made, waits to be collected.
        Ready = "ready",
        /// Collected.
        Completed = "completed",
        /// Called off.
        Cancelled = "cancelled",
        /// Could not be made.
        Failed = "failed",
    }
}

words! {
    /// What can be done with an order.
    pub enum OrderAction {
        /// A bartender takes it.
        Start = "start",
        /// It is made.
        Ready = "ready",
        /// It is collected.
        Complete = "complete",
        /// It is called off.
        Cancel = "cancel",
        /// It can't be made; takes a reason.
        Fail = "fail",
        /// The last move was a mistake.
        Undo = "undo",
    }
}

/// Who wants to move an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderActor {
    /// The customer whose order it is.
    Guest,
    /// Someone who works at the bar.
    Staff,
}

impl Status {
    /// Whether nothing more is to be done with the order.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }
}

impl OrderAction {
    /// Where this move leads from `status`, or none if the mover can't make it there.
    /// `before` is the state that the order was in before its latest move.
    pub fn target(self, status: Status, before: Status, mover: OrderActor) -> Option<Status> {
        use Status::{Cancelled, Completed, Failed, InProgress, Pending, Ready};
        match (self, status, mover) {
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

    fn moves(mover: OrderActor) -> Vec<(Status, OrderAction, Status)> {
        let mut legal = Vec::new();
        for &status in Status::ALL {
            for &step in OrderAction::ALL {
                if let Some(target) = step.target(status, Status::Pending, mover) {
                    legal.push((status, step, target));
                }
            }
        }
        legal
    }

    #[test]
    fn a_guest_can_only_call_off_what_nobody_works_on() {
        assert_eq!(moves(OrderActor::Guest), [(Status::Pending, OrderAction::Cancel, Status::Cancelled)]);
    }

    #[test]
    fn staff_can_make_these_moves_and_no_others() {
        use Status::{Cancelled, Completed, Failed, InProgress, Pending, Ready};
        assert_eq!(
            moves(OrderActor::Staff),
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
