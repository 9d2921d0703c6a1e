//! Names that most handlers use.

pub use crate::http::{
    app_state::AppState,
    extract::auth::{Admin, SignedIn, Staff},
    openapi::{parameters::*, problems::*},
    problem::Problem,
};
pub use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
pub use deserr::Deserr;
pub use serde::{Deserialize, Serialize};
pub use utoipa::ToSchema;

use std::str::FromStr;

/// The outcome of a handler.
pub type Answer = Result<HttpResponse, Problem>;

/// Reads an id in a path. Text that is no id names nothing: 404.
pub fn path_id<T: FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}
