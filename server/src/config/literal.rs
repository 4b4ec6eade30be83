//! Values in the notation of the configuration file: how they are parsed from a text, and how they are shown.

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

/// Parses a TOML array from a text.
pub(super) fn toml_list(text: &str) -> Option<Vec<Value>> {
    let document: Dict = Toml::from_str(&format!("list = {text}")).ok()?;
    document.get("list").and_then(Value::as_array).map(<[Value]>::to_vec)
}

/// A value in the notation of the configuration file, on one line.
pub(super) fn shown(value: &Value) -> String {
    match value {
        // A JSON string is a valid TOML string except for one control character, which JSON does not escape.
        Value::String(_, text) => {
            serde_json::Value::from(text.as_str()).to_string().replace('\u{7f}', "\\u007f")
        }
        Value::Char(_, character) => shown(&Value::from(character.to_string())),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(number), _, _) => number.to_string(),
            (_, Some(number), _) => number.to_string(),
            (_, _, Some(number)) => format!("{number:?}"),
            (None, None, None) => "nan".to_owned(),
        },
        Value::Empty(..) => "\"\"".to_owned(),
        Value::Array(_, items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, table) => {
            let pairs = table.iter().map(|(key, value)| format!("{} = {}", shown_key(key), shown(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn shown_key(key: &str) -> String {
    let bare = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { shown(&Value::from(key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_in_the_notation_of_the_file() {
        for literal in [
            "\"a \\\"b\\\" \\n\"",
            "5",
            "0.5",
            "true",
            "[\"a\", \"b\"]",
            "{ a = 1, \"b c\" = \"x\" }",
            "[{ a = [] }]",
        ] {
            let document: Dict = Toml::from_str(&format!("value = {literal}")).unwrap();
            assert_eq!(shown(&document["value"]), literal);
        }
    }
}
