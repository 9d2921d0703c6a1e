//! Every kind of problem there is. Names are for good: clients compare them.

use actix_web::http::StatusCode;

/// A kind of problem.
#[derive(Debug)]
pub struct ProblemType {
    /// The last part of its type.
    pub name: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// The status that it comes with.
    pub status: StatusCode,
    /// What it means, and what a client may do.
    pub about: &'static str,
}

impl ProblemType {
    /// Its type, and where its page is.
    pub fn path(&self) -> String {
        format!("/problems/{}", self.name)
    }
}

macro_rules! kinds {
    ($($constant:ident: $status:ident, $name:literal, $title:literal, $about:literal;)+) => {
        $(pub const $constant: &ProblemType =
            &ProblemType { name: $name, title: $title, status: StatusCode::$status, about: $about };)+

        /// All of them, by status.
        pub const ALL: &[&ProblemType] = &[$($constant),+];
    };
}

kinds! {
    MALFORMED_REQUEST: BAD_REQUEST, "malformed-request", "Malformed request",
        "The body is not JSON, or ended early. Sending the same again will not help.";
    REQUEST_REFUSED: BAD_REQUEST, "request-refused", "Request refused",
        "The request breaks a rule of HTTP, so that it was refused before anything looked at what it asks. Its status says which.";
    NOT_SIGNED_IN: UNAUTHORIZED, "not-signed-in", "Not signed in",
        "The token is missing, forged or expired, or its session has ended. Refresh it or sign in, and send the new token: Authorization: Bearer TOKEN.";
    SESSION_ENDED: UNAUTHORIZED, "session-ended", "Session ended",
        "The refresh token is not the latest one of a session that goes on: it was used before, or its session was ended or out of use for too long. Sign in again.";
    WRONG_PASSWORD: UNAUTHORIZED, "wrong-password", "Wrong password",
        "There is no account with this e-mail and this password.";
    NOT_PERMITTED: FORBIDDEN, "not-permitted", "Not permitted",
        "The account's role does not allow this. An admin can change roles.";
    ACCOUNT_INACTIVE: FORBIDDEN, "account-inactive", "Account inactive",
        "The account is switched off. An admin can switch it on again.";
    NOT_FOUND: NOT_FOUND, "not-found", "Not found",
        "There is nothing under this path, or it is not for this account to see.";
    NO_LONGER_STORED: NOT_FOUND, "no-longer-stored", "No longer stored",
        "The order was accepted here, and is gone: it was cleaned up, or the database was restored to an earlier state, or the broker lost it. It can't come back by itself.";
    METHOD_NOT_ALLOWED: METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "The resource does not have this method. The header Allow lists those it has.";
    NOT_ACCEPTABLE: NOT_ACCEPTABLE, "not-acceptable", "Not acceptable",
        "The header Accept rules out JSON, and answers are JSON. Nothing was done.";
    TOO_SLOW: REQUEST_TIMEOUT, "too-slow", "Too slow",
        "The body did not arrive in time. Nothing was done.";
    EMAIL_TAKEN: CONFLICT, "email-taken", "E-mail taken",
        "There is an account with this e-mail: sign in instead.";
    ILLEGAL_MOVE: CONFLICT, "illegal-move", "Illegal move",
        "The order is not where it would have to be for this move; somebody else may have moved it. The member order is the order as it stands, if it is stored.";
    LAST_ADMIN: CONFLICT, "last-admin", "Last admin",
        "The last active admin can be neither demoted nor switched off: there would be nobody left to undo it.";
    RECIPE_EXISTS: CONFLICT, "recipe-exists", "Recipe exists",
        "There is a drink of that name on the menu.";
    REPLAYED: CONFLICT, "replayed", "Replayed",
        "The dead letter's order is stored already.";
    SOLD_OUT: CONFLICT, "sold-out", "Sold out",
        "A drink can't be had right now. Nothing was ordered.";
    TOO_MANY_OPEN: CONFLICT, "too-many-open", "Too many open",
        "The customer has as many open orders or drinks as they may have; detail says which limit it is. Open is what is queued, pending or in progress. Nothing was ordered: order again when an order is ready, or after cancelling one.";
    UNSTORABLE: CONFLICT, "unstorable", "Unstorable",
        "The dead letter's order can't be stored now either; detail says why.";
    PRECONDITION_FAILED: PRECONDITION_FAILED, "precondition-failed", "Precondition failed",
        "It is not in a state that If-Match names, or is in one that If-None-Match names: somebody else has changed it. Nothing was done. The member etag is its state now: read it again, and decide anew.";
    TOO_LARGE: PAYLOAD_TOO_LARGE, "too-large", "Too large",
        "The body has more bytes than are taken; detail says how many that are.";
    URI_TOO_LONG: URI_TOO_LONG, "uri-too-long", "URI too long",
        "The path and what is behind it have more bytes than are taken; detail says how many that are. Nothing was done.";
    NOT_JSON: UNSUPPORTED_MEDIA_TYPE, "not-json", "Not JSON",
        "The body's type is not application/json, or it is compressed.";
    INVALID: UNPROCESSABLE_ENTITY, "invalid", "Invalid",
        "A field, a parameter or a header has a value that can't be. The member errors says which one, where it is in the body, and what is wrong.";
    VALUE_REFUSED: UNPROCESSABLE_ENTITY, "value-refused", "Value refused",
        "The database can't hold a value of the request, now or later: sending the same again will not help. The log has the reason under the request's id.";
    IDEMPOTENCY_KEY_REUSED: UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency key reused",
        "Something else was asked for under this Idempotency-Key. Each thing that is asked for needs a key of its own.";
    PRECONDITION_REQUIRED: PRECONDITION_REQUIRED, "precondition-required", "Precondition required",
        "This change needs the header If-Match with the ETag of what was read, so that nobody overwrites what they have not seen. If-Match: * overwrites whatever there is.";
    TOO_MANY_REQUESTS: TOO_MANY_REQUESTS, "too-many-requests", "Too many requests",
        "The account or the address has used up what it may ask for in a minute; detail names the limit, as does the header RateLimit. Nothing was done; try again after the seconds of Retry-After.";
    HEAD_TOO_LARGE: REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "Head too large",
        "The request has more headers, or longer ones, than are taken; detail says how many that are. Nothing was done.";
    TOO_MANY_FAILURES: TOO_MANY_REQUESTS, "too-many-failures", "Too many failures",
        "So many passwords were wrong, of this account or from this address, that the next one has to wait for the seconds of Retry-After. This one was not looked at.";
    INTERNAL: INTERNAL_SERVER_ERROR, "internal", "Internal error",
        "A defect of the service. It is in the log under the request's id; please report it with that.";
    UNAVAILABLE: SERVICE_UNAVAILABLE, "unavailable", "Unavailable",
        "What is needed for this is away, or there is too much to do. Nothing was done; try again after the seconds of Retry-After.";
    OUTCOME_UNKNOWN: SERVICE_UNAVAILABLE, "outcome-unknown", "Outcome unknown",
        "A server went away while it was asked, so that this may have been done or not. Look, or send an order again under the same Idempotency-Key.";
}
