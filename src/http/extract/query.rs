//! Query strings, with errors that name the parameter.

use crate::domain::{FieldError, Timestamp, text::Search};
use crate::http::{head_only::is_head_only, offload::offload, problem::Problem};
use actix_web::{
    HttpRequest, HttpResponse, body,
    http::header::{self, ContentType},
};
use chrono::{DateTime, SubsecRound, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt::Write,
    str::FromStr,
};
use url::form_urlencoded;
use uuid::Uuid;

pub const DEFAULT_PAGE_ENTRIES: i64 = 50;
pub const MAX_PAGE_ENTRIES: i64 = 100;

pub struct Query(BTreeMap<String, String>);

/// Parameters that take several words: with commas between them, or repeated, as most generated clients do.
const LIST_PARAMETERS: [&str; 1] = ["status"];

impl Query {
    /// Reads the parameters. Only `known` ones are allowed, each once unless it is a list. Empty ones count as absent.
    pub fn read(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        let mut given = BTreeMap::<String, String>::new();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(wrong(name.as_ref(), format!("is not a parameter here; there are: {known}")));
            }
            if value.is_empty() {
                continue;
            }
            match given.entry(name.into_owned()) {
                Entry::Vacant(first) => {
                    first.insert(value.into_owned());
                }
                Entry::Occupied(mut list) if LIST_PARAMETERS.contains(&list.key().as_str()) => {
                    list.get_mut().push(',');
                    list.get_mut().push_str(&value);
                }
                Entry::Occupied(again) => return Err(wrong(again.key(), "is given twice")),
            }
        }
        Ok(Self(given))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn parsed<T: FromStr<Err = String>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(str::parse).transpose().map_err(|problem| wrong(name, problem))
    }

    /// Reads `limit`, the number of entries of the page.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.text("limit").map(str::parse) {
            None => Ok(DEFAULT_PAGE_ENTRIES),
            Some(Ok(limit @ 1..=MAX_PAGE_ENTRIES)) => Ok(limit),
            Some(_) => Err(wrong("limit", format!("must be 1 to {MAX_PAGE_ENTRIES}"))),
        }
    }

    /// Reads `cursor`, which must be of the same list with the same parameters. The page begins behind its entry.
    pub fn cursor(&self, list: char) -> Result<Option<PageKey>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        match read_cursor(list, &self.filters(), text) {
            Some(key) => Ok(Some(key)),
            None => {
                Err(wrong("cursor", "must be the next_cursor of the same list, with the same parameters"))
            }
        }
    }

    /// Cuts a page to `limit` entries. If there were more, returns the cursor of its last one; else of the entry where the search for
    /// more ended, if it ended before the list did.
    pub fn cut<T>(
        &self,
        page: &mut Vec<T>,
        limit: i64,
        list: char,
        place: impl Fn(&T) -> PageKey,
        searched: Option<PageKey>,
    ) -> Option<String> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let place = if page.len() > limit {
            page.truncate(limit);
            page.last().map(place)
        } else {
            searched
        };
        place.map(|place| cursor(list, &self.filters(), place))
    }

    /// Returns a digest of the parameters, by which the list differs from those with other parameters.
    fn filters(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in self.0.iter().filter(|(name, _)| !["limit", "cursor"].contains(&name.as_str())) {
            hash.update(name);
            hash.update([0]);
            hash.update(value);
            hash.update([0]);
        }
        hash.finalize().iter().take(4).fold(String::with_capacity(8), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let moment = DateTime::parse_from_rfc3339(text).ok();
        let moment = moment.map(|moment| Timestamp(moment.with_timezone(&Utc).trunc_subsecs(6)));
        // The databases can't store all timestamps.
        match moment.filter(|moment| (Timestamp::EARLIEST..=Timestamp::LATEST).contains(moment)) {
            Some(moment) => Ok(Some(moment)),
            None => Err(wrong(
                name,
                "must be a timestamp of the years 1970 to 9999 (RFC 3339), such as 2026-11-22T15:00:00Z",
            )),
        }
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// Reads `q`, the text to search for.
    pub fn search(&self) -> Result<Option<Search>, Problem> {
        self.text("q").map(Search::try_from).transpose().map_err(|problem| wrong("q", problem))
    }

    /// Reads one of the [`LIST_PARAMETERS`].
    pub fn words<T: FromStr<Err = String> + PartialEq>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let mut words = Vec::new();
        for word in self.text(name).into_iter().flat_map(|text| text.split(',')) {
            let word = word.parse().map_err(|problem: String| wrong(name, problem))?;
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Ok(words)
    }
}

/// The key of an entry by which lists are ordered: its timestamp and id.
pub type PageKey = (Timestamp, Uuid);

/// Returns the problem of a parameter.
pub fn wrong(name: &str, problem: impl Into<String>) -> Problem {
    Problem::of_parameter(FieldError::new(name, problem))
}

/// Responds with a page of a list, and a link to the next one (RFC 8288): the same request with another cursor.
///
/// The page may be large, so that it is not serialised on an HTTP thread, and for a `HEAD` request not at all.
pub async fn page(
    request: &HttpRequest,
    cursor: Option<&str>,
    view: impl Serialize + Send + 'static,
) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = cursor {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let given = form_urlencoded::parse(request.query_string().as_bytes());
        query.extend_pairs(given.filter(|(name, _)| name != "cursor")).append_pair("cursor", cursor);
        let link = format!("<{}?{}>; rel=\"next\"", request.path(), query.finish());
        response.insert_header((header::LINK, link));
    }
    response.content_type(ContentType::json());
    if is_head_only(request) {
        return Ok(response.body(body::None::new()));
    }
    let json = offload(move || serde_json::to_vec(&view)).await?;
    Ok(response.body(json.map_err(|error| Problem::internal(&error))?))
}

/// Encodes a key as a cursor, which is opaque to clients.
fn cursor(list: char, filters: &str, (at, id): PageKey) -> String {
    format!("{list}{:016x}{}{filters}", at.micros(), id.simple())
}

fn read_cursor(list: char, filters: &str, text: &str) -> Option<PageKey> {
    let (micros, rest) = text.strip_prefix(list)?.split_at_checked(16)?;
    let at = Timestamp::from_micros(i64::from_str_radix(micros, 16).ok()?)?;
    let place = (at, Uuid::try_parse(rest.strip_suffix(filters)?).ok()?);
    // Only cursors that the service could have made: the databases can't store all timestamps.
    let possible =
        (Timestamp::EARLIEST..=Timestamp::LATEST).contains(&at) && cursor(list, filters, place) == text;
    possible.then_some(place)
}

#[cfg(test)]
#[path = "query_proptests.rs"]
mod proptests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;

    fn query(text: &str) -> Query {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Query(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let place = (now(), Uuid::now_v7());
        let filters = query("status=ready&limit=5").filters();
        let text = cursor('n', &filters, place);
        // Pages of another size are pages of the same list.
        assert_eq!(read_cursor('n', &query("cursor=x&limit=7&status=ready").filters(), &text), Some(place));
    }

    #[test]
    fn rubbish_and_other_lists_cursors_are_no_places() {
        let filters = query("").filters();
        let good = cursor('n', &filters, (now(), Uuid::now_v7()));
        assert_eq!(read_cursor('w', &filters, &good), None);
        for other in ["status=ready", "status=", "table=7", "status=ready&table=7", "statusready="] {
            assert_eq!(read_cursor('n', &query(other).filters(), &good), None, "{other}");
        }
        for text in ["", "n", "nnnnnnnnnnnnnnnnnn", "ñññññññññññññññññññ", &good[..30], &format!("{good}0")]
        {
            assert_eq!(read_cursor('n', &filters, text), None, "{text:?}");
        }
    }
}
