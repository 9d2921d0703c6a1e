//! Enumerations that travel as words.

/// Declares an enumeration whose variants are lower-case words in JSON and in the database. Their comments are descriptions in the
/// API's document.
macro_rules! words {
    ($(#[doc = $about:literal])+ pub enum $name:ident { $($(#[doc = $meaning:literal])+ $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        // Through text: Serde itself also takes an object for an enum, and reports a number as a syntax error.
        #[serde(into = "&'static str", try_from = "String")]
        pub enum $name { $($(#[doc = $meaning])+ $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        $crate::domain::validation::via_serde!($name);

        $crate::domain::openapi_schema::described!($name: $crate::domain::openapi_schema::word(
            concat!($($about),+),
            &[$(($word, concat!($($meaning),+))),+],
        ));

        impl From<$name> for &'static str {
            fn from(value: $name) -> &'static str {
                value.as_str()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(word: String) -> Result<Self, String> {
                word.parse()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}
pub(super) use words;
