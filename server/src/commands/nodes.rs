//! `nodes`: lists the nodes that share the broker, as each reports itself, and compares their versions and rules.

use std::collections::BTreeSet;
use std::io::Write;

use serde::Serialize;
use tokio::runtime::Builder;

use super::common::{Failure, output_failed};
use crate::broker::redis::nodes::{Listed, list};
use crate::cli::NodesArgs;
use crate::config::Settings;
use crate::config::broker::BrokerSettings;
use crate::process::unix_time;

/// The column headings.
const HEAD: [&str; 8] = ["HOST", "BIND", "VERSION", "UP", "BROWSERS", "PUBLISHERS", "RULES", "LAST SEEN"];

/// Number of characters of a hash in the table.
const SHOWN: usize = 8;

/// Prints the nodes. Fails if there is none, or if [`problems`] finds any.
pub(super) fn nodes(
    arguments: &NodesArgs,
    settings: Settings,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let BrokerSettings::Redis(redis) = settings.broker else {
        return Err(Failure::Usage(
            "broker.url is not set, so there is no broker to share. Use --config with the configuration of a node that has one"
                .to_owned(),
        ));
    };
    let prefix = redis.prefix.clone();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(error.to_string()))?;
    let nodes = runtime.block_on(list(*redis)).map_err(|error| Failure::Failed(error.to_string()))?;
    let problems = problems(&nodes, &prefix);
    let text = if arguments.json { json(&nodes, &problems) } else { table(&nodes, unix_time()) };
    output.write_all(text.as_bytes()).map_err(|error| output_failed(&error))?;
    if problems.is_empty() { Ok(()) } else { Err(Failure::Failed(problems.join("\n"))) }
}

/// Silent nodes, and differences between the others; a sentence each.
fn problems(nodes: &[Listed], prefix: &str) -> Vec<String> {
    if nodes.is_empty() {
        return vec![format!(
            "no node reported itself in the last 10 s under the prefix \"{prefix}\". Check that one runs with this broker.url and broker.prefix, and that its /readyz answers 200"
        )];
    }
    let silent = nodes.iter().filter(|node| !node.is_present).map(|node| {
        format!(
            "{} {} has been silent for {}: it has stopped, or it cannot reach the broker",
            node.host,
            node.bind,
            seconds(node.silent_milliseconds)
        )
    });
    let mut problems: Vec<String> = silent.collect();
    // Silent nodes are not compared.
    let present = || nodes.iter().filter(|node| node.is_present);
    let versions: BTreeSet<&str> = present().map(|node| node.version.as_str()).collect();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        problems.push(format!("the nodes run different versions: {}", versions.join(", ")));
    }
    let rules: BTreeSet<&str> = present().map(|node| node.rules.as_str()).collect();
    if rules.len() > 1 {
        problems.push(
            "the nodes have different rules, so permissions depend on the node. Compare their [[topics]], auth.allowed_origins \
             and [history], and send SIGHUP to the nodes that have not loaded the last change"
                .to_owned(),
        );
    }
    problems
}

#[derive(Serialize)]
struct Json<'a> {
    nodes: &'a [Listed],
    problems: &'a [String],
}

fn json(nodes: &[Listed], problems: &[String]) -> String {
    // A struct of strings and numbers always serializes.
    let mut text = serde_json::to_string_pretty(&Json { nodes, problems }).unwrap_or_default();
    text.push('\n');
    text
}

fn table(nodes: &[Listed], now: u64) -> String {
    if nodes.is_empty() {
        return String::new();
    }
    let rows = nodes.iter().map(|node| {
        [
            printable(&node.host),
            printable(&node.bind),
            printable(&node.version),
            time(now.saturating_sub(node.started)),
            node.sessions.to_string(),
            node.publishers.to_string(),
            printable(&node.rules).chars().take(SHOWN).collect(),
            format!("{} ago", seconds(node.silent_milliseconds)),
        ]
    });
    let rows: Vec<[String; HEAD.len()]> = std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; HEAD.len()] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let lines = rows.iter().map(|row| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    });
    lines.collect()
}

/// Text from Redis without control characters, because any client of Redis may have written it.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// A duration in its two largest units.
fn time(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if days > 0 => format!("{days}d {}h", hours % 24),
        () if hours > 0 => format!("{hours}h {}m", minutes % 60),
        () if minutes > 0 => format!("{minutes}m {}s", seconds % 60),
        () => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str) -> Listed {
        Listed {
            name: "0f".repeat(16),
            host: host.to_owned(),
            bind: "0.0.0.0:8080".to_owned(),
            version: "0.1.0".to_owned(),
            started: 1_000_000,
            sessions: 1203,
            publishers: 16,
            rules: "0123456789abcdef".to_owned(),
            silent_milliseconds: 450,
            is_present: true,
        }
    }

    #[test]
    fn nodes_that_agree_are_a_table_and_no_problem() {
        let nodes = [node("web1"), node("web22")];
        assert_eq!(
            table(&nodes, 1_000_000 + 3 * 3600 + 125),
            "HOST   BIND          VERSION  UP     BROWSERS  PUBLISHERS  RULES     LAST SEEN\n\
             web1   0.0.0.0:8080  0.1.0    3h 2m  1203      16          01234567  0.4 s ago\n\
             web22  0.0.0.0:8080  0.1.0    3h 2m  1203      16          01234567  0.4 s ago\n"
        );
        assert!(problems(&nodes, "orosync").is_empty());
    }

    #[test]
    fn silent_nodes_and_differences_are_reported() {
        let reported = |nodes: &[Listed]| problems(nodes, "crm").join("\n");
        assert!(reported(&[]).contains("no node reported itself in the last 10 s under the prefix \"crm\""));
        let silent = Listed { silent_milliseconds: 4210, is_present: false, ..node("web2") };
        assert!(
            reported(&[node("web1"), silent.clone()])
                .starts_with("web2 0.0.0.0:8080 has been silent for 4.2 s")
        );
        let newer = Listed { version: "0.2.0".to_owned(), ..node("web2") };
        assert_eq!(reported(&[node("web1"), newer]), "the nodes run different versions: 0.1.0, 0.2.0");
        let other = Listed { rules: "f".to_owned(), ..node("web2") };
        assert!(reported(&[node("web1"), other]).starts_with("the nodes have different rules"));
        let ended = Listed { rules: "f".to_owned(), version: "0.0.9".to_owned(), ..silent };
        assert_eq!(problems(&[node("web1"), ended], "crm").len(), 1);
    }

    #[test]
    fn durations_are_shown_in_two_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7261, "2h 1m"), (86_400 * 3 + 3600, "3d 1h")]
        {
            assert_eq!(time(seconds), text);
        }
    }
}
