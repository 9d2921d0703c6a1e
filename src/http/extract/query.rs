//! Query strings, read as one struct a list, with errors that name the parameter.

use crate::domain::{
    Timestamp,
    validation::{FieldErrors, value_error, via_serde},
};
use crate::http::{head_only::is_head_only, offload::offload, problem::Problem};
use actix_web::{
    FromRequest, HttpRequest, HttpResponse, body,
    dev::Payload,
    http::header::{self, ContentType},
};
use chrono::{DateTime, Utc};
use deserr::{Deserr, ValuePointerRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::future::{Ready, ready};
use url::form_urlencoded;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};
use uuid::Uuid;

const DEFAULT_PAGE_ENTRIES: i64 = 50;
const MAX_PAGE_ENTRIES: i64 = 100;

/// Parameters that take several values: separated by commas, or given repeatedly, as most generated clients do.
const REPEATABLE: [&str; 1] = ["status"];

/// The parameters of a request, each given at most once unless it is [`REPEATABLE`]. Empty ones count as absent.
pub struct Query<T> {
    pub params: T,
    /// Distinguishes the list from those with other parameters, in cursors.
    filters: String,
}

impl<T: Deserr<FieldErrors>> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request.query_string()))
    }
}

impl<T: Deserr<FieldErrors>> Query<T> {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut given = Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let before = given.entry(name.as_ref()).or_insert(Value::Null);
            match before {
                _ if value.is_empty() => {}
                Value::String(list) if REPEATABLE.contains(&name.as_ref()) => {
                    list.push(',');
                    list.push_str(&value);
                }
                Value::Null => *before = value.into(),
                _ => return Err(Problem::of_parameter(&name, "must be given only once")),
            }
        }
        let filters = hash_of_filters(&given);
        match deserr::deserialize(Value::Object(given)) {
            Ok(params) => Ok(Self { params, filters }),
            Err(errors) => Err(Problem::of_parameters(FieldErrors::into_vec(errors))),
        }
    }

    /// The page that the parameters `limit` and `cursor` ask for. The cursor must be one of this list, with the same parameters.
    pub fn page(
        &self,
        list: char,
        limit: Option<PageLimit>,
        cursor: Option<&str>,
    ) -> Result<PageRequest, Problem> {
        let after = cursor.map(|text| {
            read_cursor(list, &self.filters, text).ok_or_else(|| {
                let problem = "must be the next_cursor of the same list, with the same parameters";
                Problem::of_parameter("cursor", problem)
            })
        });
        let PageLimit(entries) = limit.unwrap_or(PageLimit(DEFAULT_PAGE_ENTRIES));
        Ok(PageRequest { list, filters: self.filters.clone(), entries, after: after.transpose()? })
    }
}

/// Declares the query parameters of a list, all of them optional; those of a `paged` list include `limit` and `cursor`.
///
/// The same struct reads a request ([`Query`]) and describes the parameters in the API's document.
macro_rules! query_parameters {
    (paged $(#[doc = $about:literal])+ $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ident,)+ }) => {
        $crate::http::extract::query::query_parameters! {
            $(#[doc = $about])+
            $name {
                $($(#[$attribute])* $field: $type,)+
                /// The number of entries on a page.
                #[param(inline)]
                limit: PageLimit,
                /// The `next_cursor` of the page before, of the same list.
                cursor: String,
            }
        }
    };
    ($(#[doc = $about:literal])+ $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ident,)+ }) => {
        $(#[doc = $about])+
        #[derive(deserr::Deserr, utoipa::IntoParams)]
        #[deserr(
            error = $crate::domain::validation::FieldErrors,
            deny_unknown_fields = $crate::http::extract::query::unknown_parameter,
        )]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            $(#[deserr(default)] $(#[$attribute])* $field: Option<$type>,)+
        }
    };
}
pub(crate) use query_parameters;

/// Builds the error of an unknown parameter, for deserr.
pub fn unknown_parameter(name: &str, known: &[&str], place: ValuePointerRef<'_>) -> FieldErrors {
    let problem = format!("is not a parameter here; there are: {}", known.join(", "));
    value_error::<_, Value>(problem, place.push_key(name))
}

fn hash_of_filters(given: &Map<String, Value>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in given.iter().filter(|(name, _)| !["limit", "cursor"].contains(&name.as_str())) {
        if let Value::String(value) = value {
            hash.update(name);
            hash.update([0]);
            hash.update(value);
            hash.update([0]);
        }
    }
    let hash = hash.finalize().first_chunk().map_or(0, |start| u32::from_be_bytes(*start));
    format!("{hash:08x}")
}

/// The number of entries that a page may have.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct PageLimit(i64);

via_serde!(PageLimit);

impl TryFrom<String> for PageLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let entries = text.parse().ok().filter(|entries| (1..=MAX_PAGE_ENTRIES).contains(entries));
        entries.map(Self).ok_or_else(|| format!("must be 1 to {MAX_PAGE_ENTRIES}"))
    }
}

impl PartialSchema for PageLimit {
    fn schema() -> RefOr<Schema> {
        let number =
            ObjectBuilder::new().schema_type(Type::Integer).default(Some(DEFAULT_PAGE_ENTRIES.into()));
        number.minimum(Some(1)).maximum(Some(MAX_PAGE_ENTRIES)).into()
    }
}

impl ToSchema for PageLimit {}

/// A time in a query (RFC 3339).
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeParam(pub Timestamp);

via_serde!(TimeParam);

impl TryFrom<String> for TimeParam {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let time = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.with_timezone(&Utc).into());
        // The databases can't hold times far from today.
        time.filter(|time| (Timestamp::EARLIEST..=Timestamp::LATEST).contains(time))
            .map(Self)
            .ok_or("must be a time in the years 1970 to 9999 (RFC 3339), such as 2026-11-22T15:00:00Z")
    }
}

/// Yes or no in a query.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Flag(pub bool);

via_serde!(Flag);

impl TryFrom<String> for Flag {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse().map(Self).map_err(|_| "must be true or false")
    }
}

/// The sort key of an entry of a list: its time, and its id among those of the same time.
pub type PageKey = (Timestamp, Uuid);

/// A page of a list.
pub struct PageRequest {
    list: char,
    filters: String,
    entries: i64,
    /// The entry before the page.
    pub after: Option<PageKey>,
}

impl PageRequest {
    /// One more entry than the page may have, which shows if another page follows.
    pub fn limit(&self) -> i64 {
        self.entries + 1
    }

    /// Cuts a page to its size. If it had more entries, returns the cursor behind its last one; else behind the key at which
    /// the search for more ended, if it did before the end of the list.
    pub fn cut<T>(
        &self,
        page: &mut Vec<T>,
        key: impl Fn(&T) -> PageKey,
        searched: Option<PageKey>,
    ) -> Option<String> {
        let entries = usize::try_from(self.entries).unwrap_or(usize::MAX);
        let last = if page.len() > entries {
            page.truncate(entries);
            page.last().map(key)
        } else {
            searched
        };
        last.map(|key| cursor(self.list, &self.filters, key))
    }
}

/// Answers with a page of a list and a `Link` to the next page (RFC 8288): the same request with another cursor.
///
/// A page may be large, so it is serialized off the threads that answer requests; for `HEAD` it is not serialized at all.
pub async fn page_response(
    request: &HttpRequest,
    next_cursor: Option<String>,
    view: impl Serialize + Send + 'static,
) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = next_cursor {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let given = form_urlencoded::parse(request.query_string().as_bytes());
        query.extend_pairs(given.filter(|(name, _)| name != "cursor")).append_pair("cursor", &cursor);
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

/// The text of a cursor, opaque to clients.
fn cursor(list: char, filters: &str, (at, id): PageKey) -> String {
    format!("{list}{:016x}{}{filters}", at.micros(), id.simple())
}

fn read_cursor(list: char, filters: &str, text: &str) -> Option<PageKey> {
    let (micros, rest) = text.strip_prefix(list)?.split_at_checked(16)?;
    let at = Timestamp::from_micros(i64::from_str_radix(micros, 16).ok()?)?;
    let key = (at, Uuid::try_parse(rest.strip_suffix(filters)?).ok()?);
    // Only a cursor that could have been given out: the databases can't hold times far from today.
    let possible =
        (Timestamp::EARLIEST..=Timestamp::LATEST).contains(&at) && cursor(list, filters, key) == text;
    possible.then_some(key)
}

#[cfg(test)]
#[path = "query_proptests.rs"]
mod proptests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;

    fn filters(query: &str) -> String {
        Query::<Anything>::read(query).expect("a query").filters
    }

    #[derive(Deserr)]
    struct Anything {}

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let key = (now(), Uuid::now_v7());
        let text = cursor('n', &filters("status=ready&limit=5"), key);
        // Pages of another size are pages of the same list.
        assert_eq!(read_cursor('n', &filters("cursor=x&limit=7&status=ready&table="), &text), Some(key));
    }

    #[test]
    fn rubbish_and_other_lists_cursors_are_no_places() {
        let none = filters("");
        let good = cursor('n', &none, (now(), Uuid::now_v7()));
        assert_eq!(read_cursor('w', &none, &good), None);
        for other in ["status=ready", "table=7", "status=ready&table=7"] {
            assert_eq!(read_cursor('n', &filters(other), &good), None, "{other}");
        }
        for text in ["", "n", "nnnnnnnnnnnnnnnnnn", "ñññññññññññññññññññ", &good[..30], &format!("{good}0")]
        {
            assert_eq!(read_cursor('n', &none, text), None, "{text:?}");
        }
    }
}
