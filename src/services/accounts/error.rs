//! Errors of login and of accounts.

use super::hashing_pool::HashingError;
use crate::{
    domain::version::EntityVersion,
    store::{self, transaction_error},
    telemetry::metrics::MetricLabel,
};
use chrono::TimeDelta;

/// Reason that somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown e-mail or wrong password; which of them is not revealed.
    #[error("wrong e-mail or password")]
    WrongPassword,
    #[error("the account is inactive")]
    Inactive,
    /// The token is missing, forged or expired, or its session has ended.
    #[error("not signed in")]
    NotSignedIn,
    /// The refresh token is not the current one, or its session has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The next attempt has to wait for this time.
    #[error("too many failed logins")]
    TooManyFailures(TimeDelta),
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl MetricLabel for LoginError {
    fn label(&self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::TooManyFailures(_) => "too_many_failures",
            Self::Hashing(_) => "busy",
            Self::Store(_) => "unavailable",
            Self::WrongPassword | Self::NotSignedIn | Self::SessionEnded => "wrong_password",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("is too easy to guess")]
    Guessable,
    #[error("the e-mail is in use")]
    EmailTaken,
    #[error("no such account")]
    Unknown,
    #[error("the last active admin must stay one")]
    LastAdmin,
    /// The precondition does not hold; contains the current version.
    #[error("the account has changed")]
    Outdated(EntityVersion),
    #[error("another account was made under this key")]
    KeyReused,
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<HashingError> for AccountError {
    fn from(error: HashingError) -> Self {
        Self::Login(error.into())
    }
}

transaction_error!(AccountError);
transaction_error!(LoginError);
