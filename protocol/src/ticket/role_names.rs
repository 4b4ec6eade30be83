//! Names of the application's roles, in tickets and in policies.

use std::fmt;

/// Names of the application's roles, such as `ROLE_SALES`: at most [`RoleNames::MAX`] names of up to [`RoleNames::MAX_BYTES`]
/// ASCII letters, digits, `_`, `-` and `.`. An empty list takes no allocation, any other list a single one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleNames(Box<str>);

/// The separator between names, which names cannot contain.
const SEPARATOR: char = ',';

impl RoleNames {
    /// Maximum number of names, since a ticket is part of a URL.
    pub const MAX: usize = 32;

    /// Maximum length of a name in bytes.
    pub const MAX_BYTES: usize = 100;

    /// Validates names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, RoleNamesError> {
        let mut joined = String::new();
        for (index, name) in names.into_iter().enumerate() {
            if index == Self::MAX {
                return Err(RoleNamesError::TooMany);
            }
            if name.is_empty() || name.len() > Self::MAX_BYTES || !name.bytes().all(is_of_a_name) {
                let shown = name.chars().take(Self::MAX_BYTES).collect();
                return Err(RoleNamesError::Name { name: shown });
            }
            if index > 0 {
                joined.push(SEPARATOR);
            }
            joined.push_str(name);
        }
        Ok(Self(joined.into_boxed_str()))
    }

    /// Parses a list of names separated by commas, with at least one name.
    pub fn parse(list: &str) -> Result<Self, RoleNamesError> {
        Self::new(list.split(SEPARATOR).map(str::trim))
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(SEPARATOR).filter(|name| !name.is_empty())
    }

    /// Whether the two lists have a name in common.
    pub fn intersects(&self, other: &Self) -> bool {
        self.iter().any(|name| other.iter().any(|candidate| candidate == name))
    }
}

const fn is_of_a_name(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.')
}

/// The names separated by commas, as [`RoleNames::parse`] expects them.
impl fmt::Display for RoleNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a list of role names is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleNamesError {
    /// The list has too many names.
    #[error("more than {max} roles", max = RoleNames::MAX)]
    TooMany,
    /// A name is invalid.
    #[error(
        "{name:?} is not a valid role name. Write letters, digits, _, - and ., at most {max}, for example ROLE_SALES",
        max = RoleNames::MAX_BYTES
    )]
    Name {
        /// The name, truncated if it is too long.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_a_whole() {
        let held = RoleNames::new(["ROLE_USER", "ROLE_SALES_LEAD"]).unwrap();
        assert!(RoleNames::parse("ROLE_SALES, ROLE_SALES_LEAD").unwrap().intersects(&held));
        for other in ["ROLE_SALES", "ROLE_USE", "role_user", "ROLE_USER.ROLE_SALES_LEAD"] {
            assert!(!RoleNames::parse(other).unwrap().intersects(&held), "{other}");
        }
        assert!(!RoleNames::default().intersects(&RoleNames::default()));
        assert_eq!(held.to_string(), "ROLE_USER,ROLE_SALES_LEAD");
    }

    #[test]
    fn names_are_bounded() {
        let longest = "R".repeat(RoleNames::MAX_BYTES);
        assert!(RoleNames::new(vec![longest.as_str(); RoleNames::MAX]).is_ok());
        assert_eq!(RoleNames::new(vec!["R"; RoleNames::MAX + 1]), Err(RoleNamesError::TooMany));
        for name in ["", "ROLE SALES", "ROLE/X", "RÔLE", "a\n", &"R".repeat(RoleNames::MAX_BYTES + 1)] {
            assert!(matches!(RoleNames::new([name]), Err(RoleNamesError::Name { .. })), "{name:?}");
        }
        assert!(RoleNames::parse("").is_err());
        assert!(RoleNames::parse("A,,B").is_err());
    }
}
