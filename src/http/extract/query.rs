//! Reading query strings, with errors that name the parameter.

use crate::domain::{FieldError, Timestamp, text::Search};
use crate::http::{
    head_only::{UnsentBody, is_head_only},
    offload::offload,
    problem::Problem,
};
use actix_web::{
    HttpRequest, HttpResponse,
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

/// How many entries a page has unless the client says.
pub const DEFAULT_PAGE_ENTRIES: i64 = 50;
/// The most it may have.
pub const MAX_PAGE_ENTRIES: i64 = 100;

/// The parameters of a request.
pub struct Query(BTreeMap<String, String>);

/// Parameters that take several words: with commas between them, or given repeatedly, as most generated clients do.
const LISTS: [&str; 1] = ["status"];

impl Query {
    /// Reads the parameters; only `known` ones may be given, each once unless it is a list. Empty ones count as absent.
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
                Entry::Occupied(mut list) if LISTS.contains(&list.key().as_str()) => {
                    list.get_mut().push(',');
                    list.get_mut().push_str(&value);
                }
                Entry::Occupied(again) => return Err(wrong(again.key(), "is given twice")),
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
            None => Ok(DEFAULT_PAGE_ENTRIES),
            Some(Ok(limit @ 1..=MAX_PAGE_ENTRIES)) => Ok(limit),
            Some(_) => Err(wrong("limit", format!("must be 1 to {MAX_PAGE_ENTRIES}"))),
        }
    }

    /// Behind which entry the page begins: `cursor`, of the list that it was given out for, with the same parameters.
    pub fn cursor(&self, list: char) -> Result<Option<PageKey>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        match read_cursor(list, &self.filters(), text) {
            Some(place) => Ok(Some(place)),
            None => {
                Err(wrong("cursor", "must be the next_cursor of the same list, with the same parameters"))
            }
        }
    }

    /// Cuts a page to `limit` entries. If there were more, returns the cursor behind its last one; else behind the place where the search
    /// for more ended, if it did before the list's end.
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

    /// What makes this list another than those with other parameters.
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

    /// A moment.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let moment = DateTime::parse_from_rfc3339(text).ok();
        let moment = moment.map(|moment| Timestamp(moment.with_timezone(&Utc).trunc_subsecs(6)));
        // Databases know no times that are too far from ours.
        match moment.filter(|moment| (Timestamp::EARLIEST..=Timestamp::LATEST).contains(moment)) {
            Some(moment) => Ok(Some(moment)),
            None => Err(wrong(
                name,
                "must be a moment of the years 1970 to 9999 (RFC 3339), such as 2026-11-22T15:00:00Z",
            )),
        }
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// What to look for: `q`.
    pub fn search(&self) -> Result<Option<Search>, Problem> {
        self.text("q").map(Search::try_from).transpose().map_err(|problem| wrong("q", problem))
    }

    /// Several words of a kind: one of the [`LISTS`].
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

/// A place in a list: when its entry was, and which of those of that time.
pub type PageKey = (Timestamp, Uuid);

/// What is wrong with a parameter.
pub fn wrong(name: &str, problem: impl Into<String>) -> Problem {
    Problem::of_parameter(FieldError::new(name, problem))
}

/// A page of a list, with a header that leads to the next one (RFC 8288): the same request with another cursor.
///
/// It may be large, so that no thread that answers writes it; for a head it is not written at all.
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
        return Ok(response.body(UnsentBody::UNMADE));
    }
    let json = offload(move || serde_json::to_vec(&view)).await?;
    Ok(response.body(json.map_err(|error| Problem::internal(&error))?))
}

/// A place in a list as clients carry it around: opaque to them.
fn cursor(list: char, filters: &str, (at, id): PageKey) -> String {
    format!("{list}{:016x}{}{filters}", at.micros(), id.simple())
}

fn read_cursor(list: char, filters: &str, text: &str) -> Option<PageKey> {
    let (micros, rest) = text.strip_prefix(list)?.split_at_checked(16)?;
    let at = Timestamp::from_micros(i64::from_str_radix(micros, 16).ok()?)?;
    let place = (at, Uuid::try_parse(rest.strip_suffix(filters)?).ok()?);
    // Only what could have been given out: databases know no times that are too far from ours.
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
