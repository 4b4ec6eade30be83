//! "Did you mean": the known name that is nearest to an unknown one.

use strsim::normalized_damerau_levenshtein;

/// How alike two names must be, from 0 to 1: `anonymos` and `anonymous` are 0.89, `limit.topics` and `limits.topics`
/// 0.92, `port` and `bind` 0.
const ALIKE: f64 = 0.6;

/// The name of `known` that was probably meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (alike(name, candidate), candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// The end of a sentence: a question if a name is near, else the full stop is the caller's.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |candidate| format!(". Did you mean \"{candidate}\"?"))
}

/// A name without its table counts nearly as much as the whole: `message_bytes` is meant for `limits.message_bytes`.
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
    fn a_slip_is_recognised() {
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
