//! Every type of problem. A name never changes: clients compare it.

use actix_web::http::StatusCode;
use serde::Serialize;

/// The type of a problem, which is serialized as its URI.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ProblemType {
    /// The type's URI, which is also the path of its page.
    pub path: &'static str,
    /// The last part of the type's URI.
    #[serde(skip)]
    pub name: &'static str,
    #[serde(skip)]
    pub title: &'static str,
    #[serde(skip)]
    pub status: StatusCode,
    /// The meaning, and what a client can do.
    #[serde(skip)]
    pub about: &'static str,
    /// An example of a problem's detail.
    #[serde(skip)]
    pub example: &'static str,
}

macro_rules! kinds {
    ($($constant:ident: $status:ident, $name:literal, $title:literal, $about:literal $(, $example:literal)?;)+) => {
        $(pub const $constant: &ProblemType = &ProblemType {
            path: concat!("/problems/", $name), name: $name, title: $title, status: StatusCode::$status, about: $about,
            example: [$($example,)? $about][0],
        };)+

        pub const ALL: &[&ProblemType] = &[$($constant),+];
    };
}

kinds! {
    MALFORMED_REQUEST: BAD_REQUEST, "malformed-request", "Malformed request",
        "The body is not JSON, or ended early. Sending the same again will not help.",
        "The body is not JSON: EOF while parsing an object at line 1 column 1.";
    REQUEST_REFUSED: BAD_REQUEST, "request-refused", "Request refused",
        "The request breaks a rule of HTTP and was refused before it reached a route. The status says which rule.";
    NOT_SIGNED_IN: UNAUTHORIZED, "not-signed-in", "Not signed in",
        "The token is missing, forged or expired, or its session has ended. Refresh it or sign in, and send the new token: Authorization: Bearer TOKEN.";
    SESSION_ENDED: UNAUTHORIZED, "session-ended", "Session ended",
        "The refresh token is not the latest one of an active session: it was used before, or the session was ended or not used for too long. Sign in again.";
    WRONG_PASSWORD: UNAUTHORIZED, "wrong-password", "Wrong password",
        "There is no account with this e-mail and this password.";
    NOT_PERMITTED: FORBIDDEN, "not-permitted", "Not permitted",
        "The account's role does not allow this. An admin can change roles.",
        "This is for staff.";
    ACCOUNT_INACTIVE: FORBIDDEN, "account-inactive", "Account inactive",
        "The account is switched off. An admin can switch it on again.";
    NOT_FOUND: NOT_FOUND, "not-found", "Not found",
        "There is no such resource, or this account may not see it.",
        "There is no such order.";
    NO_LONGER_STORED: NOT_FOUND, "no-longer-stored", "No longer stored",
        "The order was accepted, and no longer exists: it was deleted, the database was restored to an earlier state, or the broker lost it. It will not come back by itself.";
    METHOD_NOT_ALLOWED: METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "The resource does not have this method. The header Allow lists those it has.";
    NOT_ACCEPTABLE: NOT_ACCEPTABLE, "not-acceptable", "Not acceptable",
        "The header Accept rules out JSON, and responses are JSON. Nothing was done.";
    TOO_SLOW: REQUEST_TIMEOUT, "too-slow", "Too slow",
        "The body did not arrive in time. Nothing was done.";
    EMAIL_TAKEN: CONFLICT, "email-taken", "E-mail taken",
        "There is an account with this e-mail: sign in instead.";
    ILLEGAL_MOVE: CONFLICT, "illegal-move", "Illegal move",
        "The order's status does not allow this action; somebody else may have changed it. The member order is the order as it is now, if it is stored.",
        "The order is pending: that can't be done with it.";
    LAST_ADMIN: CONFLICT, "last-admin", "Last admin",
        "The last active admin can be neither demoted nor switched off: nobody would be left to undo it.";
    RECIPE_EXISTS: CONFLICT, "recipe-exists", "Recipe exists",
        "There is a drink with this name on the menu.";
    OTHER_FEED: CONFLICT, "other-feed", "Other feed",
        "The cursor is not of the present feed: the database was restored or replaced. Read the lists again, and continue from their Changes-Cursor.";
    REPLAYED: CONFLICT, "replayed", "Replayed",
        "The dead letter's order is stored already.";
    SOLD_OUT: CONFLICT, "sold-out", "Sold out",
        "A drink is not available at the moment. Nothing was ordered.",
        "Margarita is sold out.";
    TOO_MANY_OPEN: CONFLICT, "too-many-open", "Too many open",
        "The customer has reached the limit of open orders or drinks; detail says which one. Orders that are queued, pending or in progress are open. Nothing was ordered: order again when an order is ready, or after cancelling one.",
        "A customer can have 10 open orders: please wait until one is ready, or cancel one.";
    UNSTORABLE: CONFLICT, "unstorable", "Unstorable",
        "The dead letter's order can't be stored now either; detail says why.";
    PRECONDITION_FAILED: PRECONDITION_FAILED, "precondition-failed", "Precondition failed",
        "The resource has no version that If-Match names, or has one that If-None-Match names: somebody else has changed it. Nothing was done. The member etag is its version now: read it again, and decide again.",
        "The recipe has changed since. Please read it again.";
    TOO_LARGE: PAYLOAD_TOO_LARGE, "too-large", "Too large",
        "The body has too many bytes; detail says how many are allowed.",
        "A body may have at most 65536 bytes.";
    URI_TOO_LONG: URI_TOO_LONG, "uri-too-long", "URI too long",
        "The path with its query has too many bytes; detail says how many are allowed. Nothing was done.";
    NOT_JSON: UNSUPPORTED_MEDIA_TYPE, "not-json", "Not JSON",
        "The body's type is not application/json, or it is compressed.";
    INVALID: UNPROCESSABLE_ENTITY, "invalid", "Invalid",
        "A field, a parameter or a header has an invalid value. The member errors says which one, its place in the body, and what is wrong.",
        "items[0].quantity: must be 1 to 20";
    VALUE_REFUSED: UNPROCESSABLE_ENTITY, "value-refused", "Value refused",
        "The database can't store a value of the request, now or later: sending the same again will not help. The log has the reason under the request's id.";
    IDEMPOTENCY_KEY_REUSED: UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency key reused",
        "Another request was made under this Idempotency-Key. Each request needs a key of its own.";
    PRECONDITION_REQUIRED: PRECONDITION_REQUIRED, "precondition-required", "Precondition required",
        "This change needs the header If-Match with the ETag of the version that was read, so that nobody overwrites a version that they have not seen. If-Match: * overwrites any version.";
    TOO_MANY_REQUESTS: TOO_MANY_REQUESTS, "too-many-requests", "Too many requests",
        "The account or the address has reached its limit of requests in a minute; detail and the header RateLimit name the limit. Nothing was done; try again after the seconds of Retry-After.";
    HEAD_TOO_LARGE: REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "Head too large",
        "The request has too many headers, or too long ones; detail says what is allowed. Nothing was done.";
    TOO_MANY_FAILURES: TOO_MANY_REQUESTS, "too-many-failures", "Too many failures",
        "Too many passwords were wrong, of this account or from this address. This one was not checked; try again after the seconds of Retry-After.";
    INTERNAL: INTERNAL_SERVER_ERROR, "internal", "Internal error",
        "A defect of the service. The log has the cause under the request's id; please report it with that id.";
    UNAVAILABLE: SERVICE_UNAVAILABLE, "unavailable", "Unavailable",
        "The database or the broker is not available, or the service is overloaded. Nothing was done; try again after the seconds of Retry-After.";
    OUTCOME_UNKNOWN: SERVICE_UNAVAILABLE, "outcome-unknown", "Outcome unknown",
        "The connection to a server was lost during the request, so that it is unknown whether this was done. Check, or send an order again under the same Idempotency-Key.";
}
