//! The endpoints of a publisher: one server, or the nodes of one cluster.
//!
//! Bound: [`Endpoints::MAX`].

use std::fmt;
use std::str::FromStr;

use crate::endpoint::{Endpoint, EndpointError, MAX_ENDPOINTS};

/// A list of distinct endpoints, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    /// Maximum number of endpoints.
    pub const MAX: usize = MAX_ENDPOINTS;

    /// Creates a list. Fails if it is empty, too long, or contains an endpoint twice.
    pub fn new(endpoints: Vec<Endpoint>) -> Result<Self, EndpointError> {
        if endpoints.is_empty() {
            return Err(EndpointError::None);
        }
        if endpoints.len() > Self::MAX {
            return Err(EndpointError::TooMany { count: endpoints.len() });
        }
        for (index, endpoint) in endpoints.iter().enumerate() {
            if endpoints.iter().take(index).any(|before| before == endpoint) {
                return Err(EndpointError::Twice { endpoint: endpoint.to_string() });
            }
        }
        Ok(Self(endpoints))
    }

    /// All endpoints in the given order, at least one.
    pub fn as_slice(&self) -> &[Endpoint] {
        &self.0
    }

    /// Whether there is more than one endpoint.
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// The endpoint with this index.
    pub(crate) fn get(&self, index: usize) -> Option<&Endpoint> {
        self.0.get(index)
    }
}

impl From<Endpoint> for Endpoints {
    fn from(endpoint: Endpoint) -> Self {
        Self(vec![endpoint])
    }
}

/// Parses a list separated by spaces or commas. The path of a unix socket may contain both: it extends to the next endpoint. In
/// a URL they are written as `%20` and `%2C`.
impl FromStr for Endpoints {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut endpoints = Vec::new();
        let mut rest = text.trim_matches(is_separator);
        while !rest.is_empty() {
            let (first, behind) = rest.split_at(end_of_first(rest));
            endpoints.push(first.trim_end_matches(is_separator).parse()?);
            rest = behind.trim_start_matches(is_separator);
        }
        Self::new(endpoints)
    }
}

fn is_separator(c: char) -> bool {
    c == ',' || c.is_whitespace()
}

fn end_of_first(list: &str) -> usize {
    let is_path = list.starts_with("unix:");
    let is_end = |behind: &str| !is_path || begins_an_endpoint(behind.trim_start_matches(is_separator));
    let mut separators = list.match_indices(is_separator).map(|(at, _)| at);
    separators.find(|at| is_end(&list[*at..])).unwrap_or(list.len())
}

fn begins_an_endpoint(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    text.starts_with("unix:") || !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Separated by commas, for use in messages.
impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{endpoint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Endpoints>().unwrap().to_string()
    }

    #[test]
    fn a_list_is_separated_by_spaces_or_commas() {
        let both = "ws://10.0.0.1:8080/, ws://10.0.0.2:8080/";
        for separator in [" ", ",", ", ", " ,\t", "\n", ",,"] {
            assert_eq!(shown(&format!("ws://10.0.0.1:8080{separator}ws://10.0.0.2:8080/")), both);
        }
        assert_eq!(shown(&format!(" {both},\n")), both);
        assert_eq!(shown("unix:/run/a,wss://b/"), "unix:/run/a, wss://b:443/");
        assert_eq!(shown(&shown(both)), both, "the displayed list parses back");
    }

    #[test]
    fn a_unix_path_may_contain_spaces_and_commas() {
        assert!(!"ws://localhost".parse::<Endpoints>().unwrap().are_several());
        assert_eq!(shown("ws://localhost"), "ws://localhost:80/");
        for path in ["unix:/srv/my project, 2nd/orosync.sock", "unix:/run/a,b", "unix:/run/a:/b c"] {
            assert_eq!(shown(path), path);
            assert_eq!(
                shown(&format!("{path} unix:/run/c, ws://d/")),
                format!("{path}, unix:/run/c, ws://d:80/")
            );
        }
    }

    #[test]
    fn each_kind_of_invalid_list_has_its_own_error() {
        let error = |text: &str| text.parse::<Endpoints>().unwrap_err();
        assert_eq!(error(""), EndpointError::None);
        assert_eq!(error(" , "), EndpointError::None);
        assert_eq!(
            error("ws://a/ wss://a/ ws://a:80"),
            EndpointError::Twice { endpoint: "ws://a:80/".to_owned() },
            "however it is written"
        );
        let list =
            |count: u32| (1..=count).map(|port| format!("ws://a:{port}/")).collect::<Vec<_>>().join(" ");
        assert_eq!(list(16).parse::<Endpoints>().unwrap().as_slice().len(), Endpoints::MAX);
        assert_eq!(error(&list(17)), EndpointError::TooMany { count: 17 });
        for (text, no_endpoint) in
            [("ws://a:1/,b:2", "b:2"), ("ws://a/ http://b/", "http://b/"), ("unix:/a,tcp://b", "tcp://b")]
        {
            assert_eq!(error(text), EndpointError::Scheme { endpoint: no_endpoint.to_owned() });
        }
    }
}
