//! `check-config`: prints every key with its value and source as a valid configuration file, then the effective topic rules.
//! Also prints the table of keys for the documentation.

use std::io::Write;

use super::common::{Failure, output_failed};
use crate::config::keys::{self, Declaration};
use crate::config::{HistorySettings, Settings, Written};
use crate::policy::{HistoryLimits, Policies};

/// Runs all checks that `serve` runs before it listens, then prints the configuration.
pub(super) fn check(written: &Written, output: &mut impl Write) -> Result<(), Failure> {
    let settings = Settings::to_serve(written)?;
    for warning in &written.warnings {
        eprintln!("orosync-server: {warning}");
    }
    let text = format!("{}\n{}", show(written), show_policies(&settings.policies, settings.history));
    output.write_all(text.as_bytes()).map_err(|error| output_failed(&error))
}

/// Prints the table of all keys in Markdown.
pub(super) fn show_defaults(output: &mut impl Write) -> Result<(), Failure> {
    output.write_all(markdown().as_bytes()).map_err(|error| output_failed(&error))
}

fn show(written: &Written) -> String {
    let lines: Vec<(String, String)> = keys::ALL.iter().map(|key| line(written, key)).collect();
    let width = lines
        .iter()
        .map(|(setting, _)| setting.chars().count())
        .filter(|width| *width < 60)
        .max()
        .unwrap_or(0);
    let lines: Vec<String> =
        lines.into_iter().map(|(setting, source)| format!("{setting:width$}  # {source}\n")).collect();
    lines.concat()
}

fn line(written: &Written, key: &Declaration) -> (String, String) {
    let value = written.shown(key);
    let setting = if key.is_secret() && value != "\"\"" {
        format!("# {} is set, value not shown", key.name)
    } else if written.is_masked(key) {
        format!("# {} = {value}, password not shown", key.name)
    } else {
        format!("{} = {value}", key.name)
    };
    (setting, written.source_name(key))
}

/// All rules in effect, including the built-in rules for Oro.
fn show_policies(policies: &Policies, history: HistorySettings) -> String {
    let rules = policies.rules().iter().map(|rule| {
        let (pattern, subscribe, publish) =
            (rule.pattern(), rule.subscribe().label(), rule.publish().label());
        let history = show_history(rule.history().over(history.limits), history.bytes);
        format!("#   {:60} subscribe {subscribe:9} publish {publish:9} history {history}\n", pattern.as_str())
    });
    std::iter::once("# Topics, the first match decides:\n".to_owned()).chain(rules).collect()
}

fn show_history(limits: HistoryLimits, bytes: usize) -> String {
    if limits.events == 0 || bytes == 0 {
        return "none".to_owned();
    }
    format!("{} events, {} s", limits.events, limits.age.as_secs_f64())
}

fn markdown() -> String {
    let defaults = Written::defaults();
    let rows = keys::ALL.iter().map(|key| {
        format!("| `{}` | {} | `{}` | {} |\n", key.name, key.values(), defaults.shown(key), key.description)
    });
    std::iter::once("| key | value | default | meaning |\n| --- | --- | --- | --- |\n".to_owned())
        .chain(rows)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn the_table_has_a_row_for_each_key() {
        let table = markdown();
        assert_eq!(table.lines().count(), keys::ALL.len() + 2);
        let row = "| `limits.message_bytes` | size (1K to 1M) | `\"64K\"` | Maximum size of a message from a browser. |\n";
        assert!(table.contains(row), "{table}");
    }

    #[test]
    fn each_rule_is_shown_with_the_history_that_its_topics_have() {
        let topics = "[{pattern = \"acme/chat\", subscribe = \"user\", history = {events = 5, seconds = 0.5}}, \
                      {pattern = \"acme/{any}\", subscribe = \"role:ROLE_SALES\", publish = \"user\"}]";
        let shown = |variables: &[(&str, &str)]| {
            let variables = [&[("OROSYNC_TOPICS", topics)], variables].concat();
            let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            let secret = ("OROSYNC_AUTH__SECRET".to_owned(), "0123456789abcdef0123456789abcdef".to_owned());
            let settings = Settings::new(&load(&[], variables.chain([secret]), []).unwrap()).unwrap();
            show_policies(&settings.policies, settings.history)
        };
        let history = |shown: &str, topic: &str| {
            let line = shown.lines().find(|line| line.contains(&format!(" {topic} "))).unwrap();
            line.split_once(" history ").unwrap().1.to_owned()
        };
        let text = shown(&[]);
        assert_eq!(history(&text, "acme/chat"), "5 events, 0.5 s");
        assert_eq!(history(&text, "acme/{any}"), "1000 events, 600 s");
        assert_eq!(history(&text, "oro/data/update"), "20000 events, 3600 s");
        assert_eq!(history(&text, "oro/ping"), "none");
        let text = shown(&[("OROSYNC_HISTORY__EVENTS", "0")]);
        assert_eq!(history(&text, "acme/chat"), "5 events, 0.5 s");
        assert_eq!(history(&text, "acme/{any}"), "none");
        let text = shown(&[("OROSYNC_HISTORY__BYTES", "0")]);
        assert_eq!(history(&text, "acme/chat"), "none");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = "0123456789abcdef0123456789abcdef";
        let written = load(&[], [("OROSYNC_AUTH__SECRET".to_owned(), secret.to_owned())], []).unwrap();
        let shown = show(&written);
        assert!(!shown.contains(secret), "{shown}");
        assert!(shown.contains("# auth.secret is set, value not shown"), "{shown}");
        assert!(shown.contains("# OROSYNC_AUTH__SECRET\n"), "{shown}");
    }

    #[test]
    fn a_url_with_a_password_is_shown_masked_and_as_a_comment() {
        let shown =
            |url: &str| show(&load(&[], [("OROSYNC_BROKER__URL".to_owned(), url.to_owned())], []).unwrap());
        let masked = shown("redis://crm:0123456789@redis:6379/1");
        assert!(!masked.contains("0123456789"), "{masked}");
        let line = "# broker.url = \"redis://crm:***@redis:6379/1\", password not shown";
        assert!(masked.lines().any(|shown| shown.starts_with(line)), "{masked}");
        let whole = shown("redis://redis:6379/1");
        assert!(whole.contains("\nbroker.url = \"redis://redis:6379/1\" "), "{whole}");
    }
}
