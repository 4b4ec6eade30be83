//! Roles that the application gives its users, as a ticket and a policy name them.

use std::fmt;

/// Names of roles of the application, such as `ROLE_SALES`: at most [`RoleNames::MAX`], of ASCII letters, digits, `_`, `-` and
/// `.`, of up to [`RoleNames::MAX_BYTES`] each. None takes no memory of its own, several take one allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleNames(Box<str>);

/// Between two names; in none of them.
const SEPARATOR: char = ',';

impl RoleNames {
    /// The most names: a ticket travels in a URL.
    pub const MAX: usize = 32;

    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 100;

    /// Checks names.
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

    /// Reads names with commas between them, at least one.
    pub fn parse(list: &str) -> Result<Self, RoleNamesError> {
        Self::new(list.split(SEPARATOR).map(str::trim))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(SEPARATOR).filter(|name| !name.is_empty())
    }

    /// Whether at least one name is among those of `other`.
    pub fn meets(&self, other: &Self) -> bool {
        self.iter().any(|name| other.iter().any(|candidate| candidate == name))
    }
}

const fn is_of_a_name(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.')
}

/// With commas between them, as [`RoleNames::parse`] reads them.
impl fmt::Display for RoleNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why these are no names of roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleNamesError {
    /// More than anybody takes.
    #[error("more than {max} roles", max = RoleNames::MAX)]
    TooMany,
    /// A name that is none.
    #[error(
        "{name:?} is no name of a role. Write letters, digits, _, - and ., at most {max}, for example ROLE_SALES",
        max = RoleNames::MAX_BYTES
    )]
    Name {
        /// The name, cut where it is too long.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whole() {
        let held = RoleNames::new(["ROLE_USER", "ROLE_SALES_LEAD"]).unwrap();
        assert!(RoleNames::parse("ROLE_SALES, ROLE_SALES_LEAD").unwrap().meets(&held));
        for other in ["ROLE_SALES", "ROLE_USE", "role_user", "ROLE_USER.ROLE_SALES_LEAD"] {
            assert!(!RoleNames::parse(other).unwrap().meets(&held), "{other}");
        }
        assert!(!RoleNames::default().meets(&RoleNames::default()));
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
