//! Conditions on lists, and positions in them.

use super::{
    Timestamp,
    account::Role,
    audit::{Action, Actor, SubjectKind},
    dead_letter::Resolution,
    ids::{OrderId, RecipeId, SubjectId, UserId},
    order::Order,
    order_state::Status,
    text::Table,
};

/// Conditions that listed orders must all meet.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    pub customer: Option<UserId>,
    /// Any of these; empty for all.
    pub statuses: Vec<Status>,
    pub table: Option<Table>,
    pub drinks: Option<Vec<RecipeId>>,
    /// Lower bound of `placed_at`, inclusive.
    pub placed_from: Option<Timestamp>,
    /// Upper bound of `placed_at`, exclusive.
    pub placed_until: Option<Timestamp>,
}

/// Sort key of the last order on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderPageKey {
    /// `placed_at`, or in working order `due_at`.
    pub at: Timestamp,
    pub id: OrderId,
}

#[derive(Debug, Default)]
pub struct OrderPage {
    pub orders: Vec<Order>,
    /// Position at which the search stopped, if that was neither a full page nor the end of the list.
    pub searched: Option<OrderPageKey>,
}

/// Conditions that listed accounts must all meet.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserFilter {
    pub role: Option<Role>,
    pub active: Option<bool>,
}

/// Conditions that listed entries must all meet.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter {
    pub actor: Option<Actor>,
    pub action: Option<Action>,
    /// Entries about subjects of this kind.
    pub kind: Option<SubjectKind>,
    pub subject: Option<SubjectId>,
    /// Lower bound of the time, inclusive.
    pub from: Option<Timestamp>,
    /// Upper bound of the time, exclusive.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Returns whether the filter admits transitions of orders, which are not stored as entries.
    pub fn admits_moves(&self) -> bool {
        self.action.is_none_or(|only| only == Action::OrderMoved)
            && self.kind.is_none_or(|only| only == SubjectKind::Order)
    }

    /// Splits the filter into filters that each have an index leading to their entries, and that together
    /// admit the same entries.
    pub fn parts(self) -> Vec<Self> {
        if self.action == Some(Action::OrderMoved) || self.kind == Some(SubjectKind::Order) {
            return Vec::new();
        }
        if self.subject.is_some() || self.actor.is_some() || self.action.is_some() || self.kind.is_some() {
            return vec![self];
        }
        let kinds = SubjectKind::ALL.iter().filter(|kind| **kind != SubjectKind::Order);
        kinds.map(|kind| Self { kind: Some(*kind), ..self }).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeadLetterFilter {
    #[default]
    Open,
    /// Dead letters resolved in this way.
    Resolved(Resolution),
    All,
}
