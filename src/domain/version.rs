//! Versions of entities for optimistic concurrency: a client changes the version that it has read, and no later one.

use std::{fmt, str::FromStr};
use uuid::Uuid;

/// One version of one entity. No two entities share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityVersion {
    pub id: Uuid,
    /// Counted from 1.
    pub version: i32,
}

impl fmt::Display for EntityVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.id.simple())
    }
}

impl FromStr for EntityVersion {
    type Err = ();

    /// Accepts only the canonical form that [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (version, id) = text.split_once('-').ok_or(())?;
        let parsed =
            Self { id: Uuid::try_parse(id).map_err(|_| ())?, version: version.parse().map_err(|_| ())? };
        (parsed.to_string() == text).then_some(parsed).ok_or(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityVersions {
    Any,
    These(Vec<EntityVersion>),
}

impl EntityVersions {
    pub fn contains(&self, version: EntityVersion) -> bool {
        match self {
            Self::Any => true,
            Self::These(versions) => versions.contains(&version),
        }
    }
}

/// A condition on the version of an entity that is to be changed (`If-Match`, `If-None-Match`). The default allows any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    pub is: Option<EntityVersions>,
    pub is_not: Option<EntityVersions>,
}

impl Precondition {
    pub fn allows(&self, version: EntityVersion) -> bool {
        self.is.as_ref().is_none_or(|versions| versions.contains(version))
            && !self.is_not.as_ref().is_some_and(|versions| versions.contains(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written_and_in_no_other_way() {
        let version = EntityVersion { id: Uuid::now_v7(), version: 7 };
        let text = version.to_string();
        assert_eq!(text.parse(), Ok(version));
        for other in
            [text.to_uppercase(), format!("0{text}"), format!("+{text}"), format!("{text}0"), "7-".into()]
        {
            // An id nearly always has a letter, but need not.
            assert!(other == text || other.parse::<EntityVersion>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_precondition_holds_for_the_versions_it_names() {
        let [one, two] = [1, 2].map(|version| EntityVersion { id: Uuid::nil(), version });
        let only = |versions| Precondition { is: Some(versions), is_not: None };
        assert!(Precondition::default().allows(one) && only(EntityVersions::Any).allows(one));
        assert!(
            only(EntityVersions::These(vec![two, one])).allows(one)
                && !only(EntityVersions::These(vec![two])).allows(one)
        );
        assert!(!only(EntityVersions::These(Vec::new())).allows(one));
        assert!(!Precondition { is: None, is_not: Some(EntityVersions::These(vec![one])) }.allows(one));
    }
}
