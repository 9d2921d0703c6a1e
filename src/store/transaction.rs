//! Bounds on the closures and errors of database work.

use super::Error;

/// An async closure that works on a connection and whose future can be sent to another thread.
///
/// `AsyncFnOnce` alone can't say that of its future: the associated type has no stable name. `FnOnce` beside it can.
/// diesel-async bounds the closure of its `transaction()` in the same way.
pub trait Work<C, R>: AsyncFnOnce(C) -> R + FnOnce(C) -> <Self as Work<C, R>>::Future {
    type Future: Future<Output = R>;
}

impl<W, C, R, F> Work<C, R> for W
where
    W: AsyncFnOnce(C) -> R + FnOnce(C) -> F,
    F: Future<Output = R>,
{
    type Future = F;
}

/// An error that rolls a transaction back: a failure of the database, or a use case's refusal.
pub trait TransactionError: From<Error> + Send + 'static {
    /// Returns the refusal, or as an error the failure of the database behind it.
    fn into_refusal(self) -> Result<Self, Error>;
}

/// Implements [`TransactionError`] for an error whose variant `Store` is a failure of the database.
macro_rules! transaction_error {
    ($error:ident) => {
        impl $crate::store::TransactionError for $error {
            fn into_refusal(self) -> Result<Self, $crate::store::Error> {
                match self {
                    Self::Store(error) => Err(error),
                    refusal => Ok(refusal),
                }
            }
        }
    };
}
pub(crate) use transaction_error;

impl TransactionError for Error {
    fn into_refusal(self) -> Result<Self, Error> {
        Err(self)
    }
}
