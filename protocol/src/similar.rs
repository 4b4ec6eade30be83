//! Suggestions for misspelled names: "Did you mean ...?"

use strsim::normalized_damerau_levenshtein;

/// Minimum similarity of two names, from 0 to 1 (normalized Damerau-Levenshtein). `anonymos` and `anonymous` have 0.89,
/// `limit.topics` and `limits.topics` 0.92, `port` and `bind` 0.
const MIN_SIMILARITY: f64 = 0.6;

/// Longer names are not compared: the memory of a comparison grows with their length.
const MAX_BYTES: usize = 100;

/// The name of `known` that is most similar to `name`, if any is similar enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_BYTES {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (similarity(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// The end of an error that lists the valid names: the most similar one, or an empty text if none is similar enough.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |candidate| format!(". Did you mean \"{candidate}\"?"))
}

/// The end of an error that does not list the valid names: the most similar one, or all if none is similar enough.
pub fn did_you_mean_or_all(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(candidate) => format!(". Did you mean \"{candidate}\"?"),
        None => format!(". Valid names: {}", known.join(", ")),
    }
}

/// The similarity of two names. A match without the table counts almost fully: `message_bytes` suggests `limits.message_bytes`.
fn similarity(name: &str, candidate: &str) -> f64 {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let whole = normalized_damerau_levenshtein(name, candidate);
    let ends = normalized_damerau_levenshtein(&last(name), &last(candidate));
    whole.max(0.95 * ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["bind", "admin_bind", "limits.message_bytes", "limits.message_burst"];

    #[test]
    fn a_misspelled_name_is_recognized() {
        for (written, meant) in [
            ("bnid", "bind"),
            ("adminbind", "admin_bind"),
            ("limit.message_bytes", "limits.message_bytes"),
            ("message_bytes", "limits.message_bytes"),
            ("limits.mesage_burst", "limits.message_burst"),
        ] {
            assert_eq!(nearest(written, KNOWN), Some(meant), "{written}");
        }
    }

    #[test]
    fn another_name_is_not_mistaken_for_one() {
        for written in ["port", "service_host", "port_8080_tcp_addr", ""] {
            assert_eq!(nearest(written, KNOWN), None, "{written}");
        }
    }

    #[test]
    fn an_error_suggests_a_similar_name_or_lists_all() {
        assert_eq!(did_you_mean("bnid", KNOWN), ". Did you mean \"bind\"?");
        assert_eq!(did_you_mean("port", KNOWN), "");
        assert_eq!(nearest(&"x".repeat(MAX_BYTES + 1), ["x".repeat(MAX_BYTES).as_str()]), None);
        assert_eq!(did_you_mean_or_all("exclud", &["exclude", "eligible"]), ". Did you mean \"exclude\"?");
        assert_eq!(
            did_you_mean_or_all("colour", &["exclude", "eligible"]),
            ". Valid names: exclude, eligible"
        );
    }
}
