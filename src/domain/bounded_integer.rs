//! Integers from 1 to a maximum.

/// Declares an integer from 1 to a maximum. Its comment is a description in the API's document.
macro_rules! bounded_integer {
    ($(#[doc = $about:literal])+ $name:ident($int:ty), max $max:literal) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "crate::domain::json::JsonInteger", into = "i64")]
        pub struct $name($int);

        $crate::domain::validation::via_serde!($name, $crate::domain::validation::NUMBER);

        $crate::domain::openapi_schema::described!($name: $crate::domain::openapi_schema::integer(concat!($($about),+), 1, $max));

        impl $crate::domain::json::MayBeAbsent for $name {}

        impl $name {
            pub const MAX: $int = $max;

            pub fn get(self) -> $int {
                self.0
            }
        }

        impl TryFrom<$crate::domain::json::JsonInteger> for $name {
            type Error = &'static str;

            fn try_from(number: $crate::domain::json::JsonInteger) -> Result<Self, Self::Error> {
                number.0.try_into()
            }
        }

        impl TryFrom<i64> for $name {
            type Error = &'static str;

            fn try_from(number: i64) -> Result<Self, Self::Error> {
                match <$int>::try_from(number) {
                    Ok(number @ 1..=$max) => Ok(Self(number)),
                    _ => Err(concat!("must be 1 to ", $max)),
                }
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> i64 {
                number.0.into()
            }
        }
    };
}
pub(super) use bounded_integer;
