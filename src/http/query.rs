//! Reading query strings, with errors that name the parameter.

use super::problem::Problem;
use crate::domain::{Instant, Invalid};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::Serialize;
use std::{collections::HashMap, str::FromStr};
use url::form_urlencoded;
use uuid::Uuid;

/// How many entries a page has unless the client says.
pub const PAGE: i64 = 50;
/// The most it may have.
pub const MOST_PAGE: i64 = 100;

/// The parameters of a request.
pub struct Query(HashMap<String, String>);

impl Query {
    /// Reads the parameters; only `known` ones may be given, each once. Empty ones count as absent.
    pub fn read(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        let mut given = HashMap::new();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(wrong(name.as_ref(), format!("is not a parameter here; there are: {known}")));
            }
            if !value.is_empty() && given.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(wrong(name.as_ref(), "is given twice"));
            }
        }
        Ok(Self(given))
    }

    /// A parameter as it was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter, parsed.
    pub fn parsed<T: FromStr<Err = String>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(str::parse).transpose().map_err(|problem| wrong(name, problem))
    }

    /// How many entries the page shall have: `limit`.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.text("limit").map(str::parse) {
            None => Ok(PAGE),
            Some(Ok(limit @ 1..=MOST_PAGE)) => Ok(limit),
            Some(_) => Err(wrong("limit", format!("must be 1 to {MOST_PAGE}"))),
        }
    }

    /// Behind which entry the page begins: `cursor`, of the list that it was given out for.
    pub fn cursor(&self, list: char) -> Result<Option<(Instant, Uuid)>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        match read_cursor(list, text) {
            Some(place) => Ok(Some(place)),
            None => Err(wrong("cursor", "must be the next_cursor of the same list")),
        }
    }
}

/// What is wrong with a parameter.
pub fn wrong(name: &str, problem: impl Into<String>) -> Problem {
    Problem::of_parameter(Invalid::new(name, problem))
}

/// A page of a list, with a header that leads to the next one (RFC 8288): the same request with another cursor.
pub fn page(request: &HttpRequest, cursor: Option<&str>, view: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = cursor {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let given = form_urlencoded::parse(request.query_string().as_bytes());
        query.extend_pairs(given.filter(|(name, _)| name != "cursor")).append_pair("cursor", cursor);
        let link = format!("<{}?{}>; rel=\"next\"", request.path(), query.finish());
        response.insert_header((header::LINK, link));
    }
    response.json(view)
}

/// A place in a list as clients carry it around: opaque to them.
pub fn cursor(list: char, at: Instant, id: Uuid) -> String {
    format!("{list}{:016x}{}", at.micros(), id.simple())
}

fn read_cursor(list: char, text: &str) -> Option<(Instant, Uuid)> {
    let (micros, id) = text.strip_prefix(list)?.split_at_checked(16)?;
    let at = Instant::from_micros(i64::from_str_radix(micros, 16).ok()?)?;
    let id = Uuid::try_parse(id).ok()?;
    // Only what could have been given out: databases know no times that are too far from ours.
    let possible = (Instant::EARLIEST..=Instant::LATEST).contains(&at) && cursor(list, at, id) == text;
    possible.then_some((at, id))
}

/// Cuts a page to `limit` entries. If there were more, returns the cursor behind its last one.
pub fn cut<T>(
    page: &mut Vec<T>,
    limit: i64,
    list: char,
    place: impl Fn(&T) -> (Instant, Uuid),
) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if page.len() <= limit {
        return None;
    }
    page.truncate(limit);
    page.last().map(|last| {
        let (at, id) = place(last);
        cursor(list, at, id)
    })
}

#[cfg(test)]
#[path = "query_fuzz.rs"]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let (at, id) = (now(), Uuid::now_v7());
        assert_eq!(read_cursor('n', &cursor('n', at, id)), Some((at, id)));
    }

    #[test]
    fn rubbish_and_other_lists_cursors_are_no_places() {
        let good = cursor('n', now(), Uuid::now_v7());
        assert_eq!(read_cursor('w', &good), None);
        for text in ["", "n", "nnnnnnnnnnnnnnnnnn", "ñññññññññññññññññññ", &good[..30], &format!("{good}0")]
        {
            assert_eq!(read_cursor('n', text), None, "{text:?}");
        }
    }
}
