//! Errors in the fields of an input, with their paths.

use deserr::{DeserializeError, ErrorKind, IntoValue, MergeWithError, Value, ValueKind, ValuePointerRef};
use serde::de::DeserializeOwned;
use std::{fmt, ops::ControlFlow};

/// Characters of an unknown name that an error repeats.
const MAX_SHOWN_CHARS: usize = 80;

/// The path of a value in an input, as a list of keys and indexes. Not as text: a client may use dots and brackets in the names of
/// its fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldPath(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

impl FieldPath {
    pub const ROOT: Self = Self(Vec::new());

    #[must_use]
    pub fn key(mut self, name: impl Into<String>) -> Self {
        self.0.push(Segment::Key(name.into()));
        self
    }

    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    pub fn value_in<'v>(&self, input: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        input.pointer(&self.pointer())
    }

    /// The index in the list of this name, if the path leads into it.
    pub fn index_in(&self, list: &str) -> Option<usize> {
        match self.0.as_slice() {
            [Segment::Key(name), Segment::Index(index), ..] if name == list => Some(*index),
            _ => None,
        }
    }

    /// The JSON Pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        self.0.iter().fold(String::new(), |pointer, segment| match segment {
            Segment::Key(name) => pointer + "/" + &name.replace('~', "~0").replace('/', "~1"),
            Segment::Index(index) => format!("{pointer}/{index}"),
        })
    }
}

impl fmt::Display for FieldPath {
    /// For people: `items[2].quantity`, or `body` for the root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("body");
        }
        self.0.iter().enumerate().try_for_each(|(at, segment)| match segment {
            Segment::Key(name) if at == 0 => f.write_str(name),
            Segment::Key(name) => write!(f, ".{name}"),
            Segment::Index(index) => write!(f, "[{index}]"),
        })
    }
}

impl From<&str> for FieldPath {
    fn from(name: &str) -> Self {
        Self::ROOT.key(name)
    }
}

impl From<ValuePointerRef<'_>> for FieldPath {
    fn from(path: ValuePointerRef<'_>) -> Self {
        match path {
            ValuePointerRef::Origin => Self::ROOT,
            ValuePointerRef::Key { key, prev } => Self::from(*prev).key(key),
            ValuePointerRef::Index { index, prev } => Self::from(*prev).index(index),
        }
    }
}

/// An error in a field of an input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    pub field: FieldPath,
    /// Readable after the field's name: `must be 1 to 20`.
    pub problem: String,
    /// Values that may have been meant, best first.
    pub suggestions: Vec<String>,
}

impl FieldError {
    pub fn new(field: impl Into<FieldPath>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), suggestions: Vec::new() }
    }

    /// An unknown drink, with names that may have been meant.
    pub fn not_on_menu(field: impl Into<FieldPath>, name: &str, suggestions: Vec<String>) -> Self {
        let shown: String = name.chars().take(MAX_SHOWN_CHARS).collect();
        let problem = format!("there is no {shown:?} on the menu");
        let problem = match alternatives(&suggestions) {
            Some(names) => format!("{problem}; did you mean {names}?"),
            None => problem,
        };
        Self { suggestions, ..Self::new(field, problem) }
    }
}

/// The errors of an input. Reading stops at the limit; that of a body is as many as anybody reads.
#[derive(Debug, Default)]
pub struct FieldErrors<const CAPACITY: usize = 10>(Vec<FieldError>);

impl<const CAPACITY: usize> FieldErrors<CAPACITY> {
    pub const CAPACITY: usize = CAPACITY;

    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    fn with(mut self, errors: impl IntoIterator<Item = FieldError>) -> ControlFlow<Self, Self> {
        let room = CAPACITY.saturating_sub(self.0.len());
        self.0.extend(errors.into_iter().take(room));
        if self.0.len() < CAPACITY { ControlFlow::Continue(self) } else { ControlFlow::Break(self) }
    }
}

impl<const CAPACITY: usize> MergeWithError<Self> for FieldErrors<CAPACITY> {
    fn merge(before: Option<Self>, more: Self, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        before.unwrap_or_default().with(more.0)
    }
}

impl<const CAPACITY: usize> DeserializeError for FieldErrors<CAPACITY> {
    fn error<V: IntoValue>(
        before: Option<Self>,
        error: ErrorKind<'_, V>,
        path: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let here = FieldPath::from(path);
        let invalid = match error {
            ErrorKind::MissingField { field } => FieldError::new(here.key(field), "must be given"),
            ErrorKind::UnknownKey { key, accepted } => {
                FieldError::new(here.key(key), format!("unknown field, expected {}", one_of(accepted)))
            }
            ErrorKind::IncorrectValueKind { actual, accepted } => {
                let mut kinds: Vec<_> = accepted.iter().copied().map(in_words).collect();
                kinds.dedup();
                FieldError::new(
                    here,
                    format!("must be {}, not {}", kinds.join(" or "), in_words(actual.kind())),
                )
            }
            ErrorKind::UnknownValue { accepted, .. } => {
                FieldError::new(here, format!("must be {}", one_of(accepted)))
            }
            ErrorKind::BadSequenceLen { expected, .. } => {
                FieldError::new(here, format!("must have {expected} elements"))
            }
            ErrorKind::Unexpected { msg } => FieldError::new(here, msg),
        };
        before.unwrap_or_default().with([invalid])
    }
}

fn one_of(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none".into(),
        [name] => name.clone(),
        [one, other] => format!("{one} or {other}"),
        _ => format!("one of {}", names.join(", ")),
    }
}

fn in_words(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Null => "null",
        ValueKind::Boolean => "true or false",
        ValueKind::Integer | ValueKind::NegativeInteger | ValueKind::Float => "a number",
        ValueKind::String => "text",
        ValueKind::Sequence => "a list",
        ValueKind::Map => "an object",
    }
}

pub const TEXT: &[ValueKind] = &[ValueKind::String];
pub const NUMBER: &[ValueKind] = &[ValueKind::Integer, ValueKind::NegativeInteger, ValueKind::Float];
pub const TEXT_OR_NUMBER: &[ValueKind] =
    &[ValueKind::String, ValueKind::Integer, ValueKind::NegativeInteger, ValueKind::Float];

/// Reads a scalar value through Serde. A value of another kind is refused here, because Serde's message for it is written for
/// programmers.
pub fn read_via_serde<T: DeserializeOwned, E: DeserializeError, V: IntoValue>(
    value: Value<V>,
    accepted: &[ValueKind],
    problem: Option<&str>,
    path: ValuePointerRef<'_>,
) -> Result<T, E> {
    if !accepted.contains(&value.kind()) {
        let error = ErrorKind::IncorrectValueKind { actual: value, accepted };
        return Err(deserr::take_cf_content(E::error::<V>(None, error, path)));
    }
    serde_json::from_value(value.into()).map_err(|error| {
        let problem = problem.map_or_else(|| error.to_string(), str::to_owned);
        value_error::<E, V>(problem, path)
    })
}

pub fn value_error<E: DeserializeError, V: IntoValue>(
    problem: impl Into<String>,
    path: ValuePointerRef<'_>,
) -> E {
    deserr::take_cf_content(E::error::<V>(None, ErrorKind::Unexpected { msg: problem.into() }, path))
}

/// Implements deserr's trait for a scalar type through Serde. It is read from text unless other kinds of values are given. A third
/// argument replaces Serde's message where that is written for programmers.
macro_rules! via_serde {
    ($name:ty) => {
        $crate::domain::validation::via_serde!($name, $crate::domain::validation::TEXT);
    };
    ($name:ty, $accepted:expr $(, $problem:literal)?) => {
        impl<E: deserr::DeserializeError> deserr::Deserr<E> for $name {
            fn deserialize_from_value<V: deserr::IntoValue>(
                value: deserr::Value<V>,
                path: deserr::ValuePointerRef<'_>,
            ) -> Result<Self, E> {
                let problem: Option<&str> = [$($problem)?].into_iter().next();
                $crate::domain::validation::read_via_serde(value, $accepted, problem, path)
            }
        }
    };
}
pub(crate) use via_serde;

/// Joins names for people: `"Negroni" or "Negroni Sbagliato"`. None without names.
pub fn alternatives(names: &[String]) -> Option<String> {
    let quoted = |name: &String| format!("\"{name}\"");
    match names {
        [] => None,
        [name] => Some(quoted(name)),
        [others @ .., last] => {
            let others: Vec<_> = others.iter().map(quoted).collect();
            Some(format!("{} or {}", others.join(", "), quoted(last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_to_people_and_points_for_machines() {
        for (path, shown, pointer) in [
            (FieldPath::ROOT, "body", ""),
            ("table".into(), "table", "/table"),
            (FieldPath::from("items").index(2).key("quantity"), "items[2].quantity", "/items/2/quantity"),
            ("[0]".into(), "[0]", "/[0]"),
            ("a.b/c~d".into(), "a.b/c~d", "/a.b~1c~0d"),
        ] {
            assert_eq!((path.to_string().as_str(), path.pointer().as_str()), (shown, pointer));
        }
    }

    #[test]
    fn a_path_leads_to_its_value() {
        let input = serde_json::json!({ "items": [{ "note": "a" }, { "note": "b" }] });
        let path = FieldPath::from("items").index(1).key("note");
        assert_eq!(path.value_in(&input), Some(&"b".into()));
        assert_eq!((path.index_in("items"), path.index_in("note")), (Some(1), None));
        assert_eq!(FieldPath::from("items").index(2).value_in(&input), None);
        assert_eq!(FieldPath::ROOT.value_in(&input), Some(&input));
    }

    #[test]
    fn no_more_errors_are_kept_than_anybody_reads() {
        let errors =
            (0..100).map(|at| FieldError::new(FieldPath::from("items").index(at), "must be an object"));
        match <FieldErrors>::default().with(errors) {
            ControlFlow::Break(errors) => assert_eq!(errors.into_vec().len(), <FieldErrors>::CAPACITY),
            ControlFlow::Continue(errors) => panic!("went on after {errors:?}"),
        }
    }

    #[test]
    fn several_names_are_told_as_a_choice() {
        let choice =
            |names: &[&str]| alternatives(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(choice(&[]), None);
        assert_eq!(choice(&["A"]).as_deref(), Some("\"A\""));
        assert_eq!(choice(&["A", "B", "C"]).as_deref(), Some("\"A\", \"B\" or \"C\""));
    }
}
