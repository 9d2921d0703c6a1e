//! Which state of a thing is meant: who changes what they have seen says so, and nobody overwrites what they have not.

use std::{fmt, str::FromStr};
use uuid::Uuid;

/// One state of one thing. Each change gives it another one, and no other thing ever has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityVersion {
    /// Which thing.
    pub id: Uuid,
    /// Which of its states, counted from 1.
    pub version: i32,
}

impl fmt::Display for EntityVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.id.simple())
    }
}

impl FromStr for EntityVersion {
    type Err = ();

    /// Reads what [`Display`](fmt::Display) writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (version, id) = text.split_once('-').ok_or(())?;
        let stamp =
            Self { id: Uuid::try_parse(id).map_err(|_| ())?, version: version.parse().map_err(|_| ())? };
        (stamp.to_string() == text).then_some(stamp).ok_or(())
    }
}

/// Some states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityVersions {
    /// Any there is.
    Any,
    /// One of these.
    These(Vec<EntityVersion>),
}

impl EntityVersions {
    /// Whether this is one of them.
    pub fn have(&self, stamp: EntityVersion) -> bool {
        match self {
            Self::Any => true,
            Self::These(stamps) => stamps.contains(&stamp),
        }
    }
}

/// In which state something must be to be changed. The default is none: whatever it is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// It must be in one of these.
    pub is: Option<EntityVersions>,
    /// It must be in none of these.
    pub is_not: Option<EntityVersions>,
}

impl Precondition {
    /// Whether what is in this state may be changed.
    pub fn allows(&self, stamp: EntityVersion) -> bool {
        self.is.as_ref().is_none_or(|stamps| stamps.have(stamp))
            && !self.is_not.as_ref().is_some_and(|stamps| stamps.have(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_is_written_and_in_no_other_way() {
        let stamp = EntityVersion { id: Uuid::now_v7(), version: 7 };
        let text = stamp.to_string();
        assert_eq!(text.parse(), Ok(stamp));
        for other in
            [text.to_uppercase(), format!("0{text}"), format!("+{text}"), format!("{text}0"), "7-".into()]
        {
            // A version 7 id has a letter by all probability, but need not have one.
            assert!(other == text || other.parse::<EntityVersion>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_condition_holds_for_the_states_it_names() {
        let [one, two] = [1, 2].map(|version| EntityVersion { id: Uuid::nil(), version });
        let only = |stamps| Precondition { is: Some(stamps), is_not: None };
        assert!(Precondition::default().allows(one) && only(EntityVersions::Any).allows(one));
        assert!(
            only(EntityVersions::These(vec![two, one])).allows(one)
                && !only(EntityVersions::These(vec![two])).allows(one)
        );
        assert!(!only(EntityVersions::These(Vec::new())).allows(one));
        assert!(!Precondition { is: None, is_not: Some(EntityVersions::These(vec![one])) }.allows(one));
    }
}
