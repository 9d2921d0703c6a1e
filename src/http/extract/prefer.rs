//! `Prefer` (RFC 7240): of all preferences only `wait` is honoured; a server may ignore the others.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
};
use std::time::Duration;

/// The limit of `Prefer: wait=N`.
pub const MAX_WAIT_SECONDS: u64 = 30;

const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Returns the time that the client would wait for a final response, at most [`MAX_WAIT_SECONDS`].
pub fn wait(request: &HttpRequest) -> Option<Duration> {
    let lines = request.headers().get_all("Prefer").filter_map(|line| line.to_str().ok());
    let (_, value) = lines.flat_map(preferences).find(|(name, _)| name.eq_ignore_ascii_case("wait"))?;
    seconds(&unquoted(value)).map(Duration::from_secs)
}

/// Adds the header that says that the wait was honoured.
pub fn applied(mut response: HttpResponse, wait: Option<Duration>) -> HttpResponse {
    let text = wait.map(|wait| format!("wait={}", wait.as_secs()));
    if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(APPLIED, value);
    }
    response
}

fn seconds(value: &str) -> Option<u64> {
    let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // Too large for a number is also too long to wait.
    number.then(|| value.parse().unwrap_or(MAX_WAIT_SECONDS).min(MAX_WAIT_SECONDS))
}

/// Returns the preferences of a line, each with its value and without its parameters.
fn preferences(line: &str) -> impl Iterator<Item = (&str, &str)> {
    split(line, ',').filter_map(|preference| {
        let preference = split(preference, ';').next()?;
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        Some((name.trim(), value.trim()))
    })
}

/// Splits at separators that are not within quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let separates = character == separator && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
}

/// Removes the quotes of a quoted string, and its escapes.
fn unquoted(word: &str) -> String {
    let Some(inner) = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) else {
        return word.to_owned();
    };
    let mut escaped = false;
    inner
        .chars()
        .filter(|character| {
            escaped = *character == '\\' && !escaped;
            !escaped
        })
        .collect()
}

#[cfg(test)]
#[path = "prefer_proptests.rs"]
mod proptests;

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_first_wait_counts_however_it_is_written() {
        for (lines, waits) in [
            (&["wait=5"][..], Some(5)),
            (&["WAIT = 5"], Some(5)),
            (&["wait=\"5\""], Some(5)),
            (&["wait=\"\\5\""], Some(5)),
            (&["wait=5; because=thirst"], Some(5)),
            (&["respond-async, wait=10"], Some(10)),
            (&["respond-async", "return=minimal;wait=7, wait=3"], Some(3)),
            (&["note=\"a, wait=9\", wait=4"], Some(4)),
            (&["note=\"a\\\", wait=9\", wait=4"], Some(4)),
            (&["wait=2, wait=9"], Some(2)),
            (&["wait=x, wait=9"], None),
            (&["wait, wait=9"], None),
            (&["wait=0"], Some(0)),
            (&["wait=30"], Some(30)),
            (&["wait=31"], Some(30)),
            (&["wait=99999999999999999999999"], Some(30)),
            (&["wait=-1"], None),
            (&["wait=+1"], None),
            (&["wait=1.5"], None),
            (&["wait="], None),
            (&["wait=\"\""], None),
            (&["awaits=5"], None),
            (&["respond-async"], None),
            (&[""], None),
            (&[], None),
        ] {
            let request = lines
                .iter()
                .fold(TestRequest::get(), |request, line| request.append_header(("Prefer", *line)));
            let seconds = wait(&request.to_http_request()).map(|wait| wait.as_secs());
            assert_eq!(seconds, waits, "{lines:?}");
        }
    }
}
