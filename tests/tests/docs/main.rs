//! Checks the documents: examples run, tables match the programs' output, links have targets.
//!
//! The word after a block's language, its marker, selects the test. `sh run` and `php run` are executed, and a following `text
//! output` is the expected output. `text wamp` and `text link` are replayed on the wire. All other blocks are checked in their
//! language.

mod glossary;
mod guarantees;
mod languages;
mod markdown;
mod reverse_proxies;
mod sandbox;
mod scale;
mod statements;
mod transcripts;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use orosync_tests::client::{Client, WAMP};
use orosync_tests::server::{self, Server};
use orosync_tests::wait;

use markdown::{Document, matches, repository};
use sandbox::{Sandbox, extension_setting, run};

/// The header of a table of settings.
const SETTINGS: &str = "| key | value | default | meaning |";

#[test]
fn every_example_is_valid_in_its_language() {
    let sandbox = Sandbox::new();
    let problems: Vec<String> = Document::all()
        .iter()
        .flat_map(Document::blocks)
        .filter_map(|block| {
            let checked = languages::check(&block, &sandbox)
                .and_then(|()| languages::check_server_calls(&block, &sandbox));
            checked.err().map(|problem| format!("{}: {problem}", block.location))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_runnable_example_prints_the_documented_output() {
    for document in Document::all() {
        let blocks = document.blocks();
        if !blocks.iter().any(|block| block.marker == "run") {
            continue;
        }
        let sandbox = Sandbox::new();
        for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.marker == "run") {
            let ran = if block.language == "php" {
                sandbox.run_php(&block.text)
            } else {
                sandbox.run_shell(&block.text)
            };
            let printed = ran.unwrap_or_else(|problem| panic!("{}: {problem}", block.location));
            if let Some(output) = blocks.get(index + 1).filter(|next| next.marker == "output") {
                let (expected, printed) = (output.text.trim_end(), printed.trim_end());
                assert!(matches(expected, printed), "{}: the example prints\n{printed}", output.location);
            }
        }
    }
}

#[test]
fn the_transcripts_match_the_traffic_on_the_wire() {
    let document = Document::named("docs/protocol.md");
    let sandbox = Sandbox::new();
    let mut replayed = 0;
    for block in document.blocks() {
        match block.marker.as_str() {
            "wamp" => transcripts::replay_wamp(&block, &sandbox),
            "link" => transcripts::replay_link(&block, &sandbox),
            _ => continue,
        }
        replayed += 1;
    }
    assert!(replayed >= 2, "one transcript for each protocol");
}

#[test]
fn every_link_has_a_target() {
    let documents = Document::all();
    for document in &documents {
        let folder = Path::new(&document.name).parent().unwrap_or(Path::new(""));
        for link in document.links().iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { document.name.clone() } else { folder.join(path).display().to_string() };
            let found = repository().join(&target).canonicalize();
            let found =
                found.unwrap_or_else(|_| panic!("{}: the target of {link} does not exist", document.name));
            if !anchor.is_empty() {
                let other = documents
                    .iter()
                    .find(|other| repository().join(&other.name).canonicalize().ok() == Some(found.clone()));
                let anchors = other.expect("links with an anchor lead to documents").anchors();
                assert!(anchors.contains(anchor), "{}: {link} has no such heading", document.name);
            }
        }
    }
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = fs::read_to_string(repository().join("Makefile")).expect("the Makefile exists");
    for document in Document::all() {
        let blocks = document.blocks().into_iter().filter(|block| block.language == "sh");
        let lines: Vec<String> =
            blocks.flat_map(|b| b.text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let commands = lines
            .iter()
            .flat_map(|line| line.split("&&"))
            .map(|command| command.trim().trim_start_matches("sudo "));
        for command in commands.chain(document.code()) {
            let Some(target) = command.strip_prefix("make ").and_then(|words| words.split(' ').next()) else {
                continue;
            };
            assert!(makefile.contains(&format!("\n{target}:")), "{}: make {target}", document.name);
        }
    }
}

#[test]
fn every_file_that_contributing_names_exists() {
    let document = Document::named("CONTRIBUTING.md");
    let is_path = |code: &&str| {
        code.contains('/') && code.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c))
    };
    let missing: Vec<&str> =
        document.code().filter(is_path).filter(|path| !repository().join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_table_of_settings_matches_check_config() {
    let printed = run(server::command().args(["check-config", "--defaults"]), "").expect("it prints");
    let printed: Vec<&str> = printed.lines().skip(2).collect();
    assert_eq!(Document::named("docs/configuration.md").rows(SETTINGS), printed);
}

#[test]
fn the_table_of_php_settings_matches_the_extension() {
    let script =
        "foreach (ini_get_all('orosync', false) as $name => $default) { echo \"$name|$default\\n\"; }";
    let printed = run(Command::new("php").args(["-n", "-d", &extension_setting(), "-r", script]), "");
    let printed = printed.expect("php prints its settings");
    let real: BTreeSet<(&str, &str)> = printed.lines().filter_map(|line| line.split_once('|')).collect();
    let document = Document::named("docs/configuration.md");
    let documented = document.rows("| setting | default | meaning |").into_iter().map(|row| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`')).skip(1);
        (cells.next().expect("a name"), cells.next().expect("a default"))
    });
    assert_eq!(documented.collect::<BTreeSet<_>>(), real);
}

#[test]
fn every_documented_variable_is_read_by_the_server() {
    let document = Document::named("docs/configuration.md");
    let known: BTreeSet<String> = document
        .rows(SETTINGS)
        .iter()
        .filter_map(|row| row.split('`').nth(1))
        .map(|key| format!("OROSYNC_{}", key.to_uppercase().replace('.', "__")))
        .collect();
    for document in Document::all().iter().filter(|document| document.name.starts_with("docs/")) {
        for rest in document.text().split("OROSYNC_").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
            let variable = format!("OROSYNC_{}", &rest[..end]);
            // The prefix alone is allowed.
            assert!(end == 0 || known.contains(&variable), "{}: {variable}", document.name);
        }
    }
}

#[test]
fn the_table_of_topics_matches_the_built_in_policy() {
    let sandbox = Sandbox::new();
    let printed = run(sandbox.command("orosync-server").arg("check-config"), "").expect("it prints");
    let (_, rules) = printed.split_once("# Topics").expect("the topics come last");
    let built_in: Vec<String> = rules
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!((words[2], words[4], words[5]), ("subscribe", "publish", "publisher"), "{line}");
            format!("| `{}` | `{}` |", words[1], words[3])
        })
        .collect();
    assert_eq!(Document::named("docs/oro.md").rows("| topic | who may subscribe |"), built_in);
}

#[test]
fn the_table_of_metrics_matches_the_server() {
    let server = Server::start_with(
        "bind = [\"127.0.0.1:0\", \"127.0.0.1:0 proxy_protocol\"]\ntrusted_proxies = [\"192.0.2.1\"]\n",
    );
    // A metric with a reason is reported after its first count, so each is counted once.
    let mut client = Client::anonymous(&server, WAMP);
    client.send_text(r#"[5,"nowhere"]"#);
    client.send_text(r#"[7,"nowhere"]"#);
    client.sync();
    let mut rejected = Client::connect(&server);
    assert!(rejected.handshake("/?ticket=nonsense", WAMP).starts_with("HTTP/1.1 401 "));
    let _untrusted = Client::connect_to(server.address_with("proxy_protocol"));
    await_count(&server, r#"orosync_connections_refused_total{reason="untrusted_proxy"}"#);
    drop(client);
    await_count(&server, r#"orosync_sessions_closed_total{reason="gone"}"#);
    let text = server.admin("/metrics");
    let real: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("`{name}_total` | counter"),
            "info" => format!("`{name}_info` | info"),
            other => format!("`{name}` | {other}"),
        })
        .collect();
    let document = Document::named("docs/operate.md");
    let documented: BTreeSet<String> = document
        .rows("| metric | type | meaning |")
        .into_iter()
        .filter_map(|row| Some(row.strip_prefix("| ")?.rsplit_once(" | ")?.0.to_owned()))
        .collect();
    assert_eq!(documented, real);
}

fn await_count(server: &Server, metric: &str) {
    wait::until_true(metric, || server.metric(metric) > 0.0);
}
