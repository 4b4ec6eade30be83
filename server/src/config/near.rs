//! Suggestions for misspelled names: "Did you mean ...?"

use strsim::normalized_damerau_levenshtein;

/// Minimum similarity of two names, from 0 to 1 (normalized Damerau-Levenshtein). `anonymos` and `anonymous` have 0.89,
/// `limit.topics` and `limits.topics` 0.92, `port` and `bind` 0.
const ALIKE: f64 = 0.6;

/// The name of `known` that is most similar to `name`, if any is similar enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (alike(name, candidate), candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// The suggestion that ends an error sentence, or an empty text if no known name is similar enough.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |candidate| format!(". Did you mean \"{candidate}\"?"))
}

/// The similarity of two names. A match without the table counts almost fully: `message_bytes` suggests `limits.message_bytes`.
fn alike(name: &str, candidate: &str) -> f64 {
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
        assert_eq!(did_you_mean("port", KNOWN), "");
        assert_eq!(did_you_mean("bnid", KNOWN), ". Did you mean \"bind\"?");
    }
}
