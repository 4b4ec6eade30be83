//! Runs the configurations of `docs/scale.md`: nodes, load balancer, Redis with its user, Sentinels, passwords.

use std::fs;

use ::redis::Value;
use orosync_protocol::ticket::Role;
use orosync_tests::certificate::Certificate;
use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::nodes::{Nodes, broker};
use orosync_tests::redis::{Cluster, Redis, ReplicaSet};
use orosync_tests::server::{self, Server, ticket};
use orosync_tests::source::Source;
use orosync_tests::{SECRET, wait};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::markdown::{Block, Document};
use crate::reverse_proxies::{Program, ReverseProxy};
use crate::sandbox::Sandbox;
use crate::statements::sources;

/// The Redis user in the document.
const USER: &str = "orosync";

/// The placeholder for the password.
const PASSWORD: &str = "PASSWORD";

/// The path of the readiness check. Its body contains the reason if the node is unready.
const READY: &str = "/readyz";

fn document() -> Document {
    Document::named("docs/scale.md")
}

/// The blocks with this language and marker.
fn blocks(language: &str, marker: &str) -> Vec<Block> {
    let blocks = document().blocks().into_iter();
    blocks.filter(|block| block.language == language && block.marker == marker).collect()
}

/// The block with this language and marker that contains this text.
fn block(language: &str, marker: &str, text: &str) -> String {
    let mut found = blocks(language, marker).into_iter().filter(|block| block.text.contains(text));
    let block =
        found.next().unwrap_or_else(|| panic!("docs/scale.md has no {language} {marker} with {text}"));
    assert!(found.next().is_none(), "several blocks contain {text}");
    block.text
}

/// The ACL rules in the document.
fn rules() -> Vec<String> {
    let line = block("redis", "acl", "user ");
    let rules = line.split_whitespace().skip(4).map(str::to_owned).collect();
    assert!(line.starts_with(&format!("user {USER} on >{PASSWORD} ")), "{line}");
    rules
}

/// Checks that Redis starts with a configuration block.
pub(crate) fn check(block: &Block) {
    match (block.language.as_str(), block.marker.as_str()) {
        // The tests below run these blocks on a running server.
        ("redis-cli", _) | (_, "sentinel") => {}
        _ => drop(Redis::start_with(&block.text)),
    }
}

/// The directory with the files that the document names.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().expect("a temporary directory"));
        files.write("secret", SECRET);
        files.write("redis-password", PASSWORD);
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("a file is written");
    }

    /// Replaces the paths, addresses and Redis URL of a documented configuration with those of this test.
    fn translate(&self, toml: &str, url: &str) -> String {
        let (_, rest) = toml.split_once("url = \"").expect("a URL");
        let (documented, _) = rest.split_once('"').expect("its end");
        toml.replace(documented, url)
            .replace("/etc/orosync", &self.0.path().display().to_string())
            .replace("0.0.0.0:8080", "127.0.0.1:0")
            .replace("0.0.0.0:8081", "127.0.0.1:0")
    }
}

/// Starts a Redis with the documented settings and user.
fn redis() -> Redis {
    Redis::start_with(&format!("{}{}", block("redis", "", "maxmemory "), block("redis", "acl", "user ")))
}

/// Starts `count` nodes with the documented configuration, and returns the configuration.
fn nodes(files: &Files, redis: &Redis, count: usize) -> (Nodes, String) {
    let toml = files.translate(&block("toml", "", "bind = "), &redis.url());
    (Nodes::start_each((0..count).map(|_| toml.clone())), toml)
}

/// Runs `orosync-server nodes` with this configuration. Returns success, standard output and standard error.
fn run_nodes_command(files: &Files, toml: &str, json: bool) -> (bool, String, String) {
    files.write("orosync.toml", toml);
    let mut command = server::command();
    command
        .args(["nodes", "--config"])
        .arg(files.0.path().join("orosync.toml"))
        .args(json.then_some("--json"));
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn subscribed(server: &Server) -> Client {
    let mut session = Client::user(server, OROSYNC, 1);
    session.subscribe("oro/ping");
    session.sync();
    await_subscription(server);
    session
}

/// Waits until this node has subscribed to the topic in Redis, and therefore knows the topic's position.
fn await_subscription(node: &Server) {
    Client::user(node, OROSYNC, 9).recover("oro/ping", &json!({}));
}

fn assert_delivered(node: &Server, sessions: &mut [Client], number: u32) {
    let mut source = Source::to(&node.endpoint());
    source.publish("oro/ping", &number.into());
    source.flush();
    for session in sessions {
        assert_eq!(session.text(), format!(r#"[8,"oro\/ping",{number}]"#));
    }
}

#[test]
fn documented_nodes_deliver_behind_nginx_and_a_dead_node_costs_no_session() {
    let (files, redis) = (Files::new(), redis());
    let (mut nodes, toml) = nodes(&files, &redis, 2);
    let addresses = nodes.addresses();
    let nginx = block("nginx", "nodes", "upstream ")
        .replace("10.0.0.1:8080", &addresses[0].to_string())
        .replace("10.0.0.2:8080", &addresses[1].to_string());
    let sandbox = Sandbox::new();
    let proxy = ReverseProxy::start(Program::Nginx, &nginx, &sandbox);
    let mut sessions: Vec<Client> = (0..4).map(|_| proxy.session().0).collect();
    for session in &mut sessions {
        session.subscribe("oro/ping");
        session.sync();
    }
    for number in 0..2 {
        await_subscription(nodes.node(number));
    }
    for number in 0..2 {
        // Distributed by least_conn.
        nodes.node(number).await_metric(r#"orosync_sessions_open{protocol="orosync"}"#, 2.0);
        assert_delivered(nodes.node(number), &mut sessions, 7);
    }

    let listed = wait::until("both nodes report their sessions", || {
        let (is_ok, table, error) = run_nodes_command(&files, &toml, false);
        assert!(is_ok, "{error}");
        let rows: Vec<Vec<String>> = table
            .lines()
            .map(|line| {
                line.split("  ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
            })
            .collect();
        let has_two = |row: &Vec<String>| row[4] == "2";
        (rows.len() == 3 && rows[1..].iter().all(has_two)).then_some(rows)
    });
    let documented = block("text", "output", "LAST SEEN");
    for line in documented.lines() {
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells.len(), listed[0].len(), "{line}");
    }
    assert_eq!(
        documented.lines().next().expect("a head").split_whitespace().collect::<Vec<_>>(),
        listed[0].iter().flat_map(|cell| cell.split(' ')).collect::<Vec<_>>()
    );

    nodes.kill(0);
    for _ in 0..4 {
        proxy.session();
    }
    let (json, error) = wait::until("the dead node is reported", || {
        let (is_ok, json, error) = run_nodes_command(&files, &toml, true);
        (!is_ok).then_some((json, error))
    });
    assert!(error.contains("has been silent for "), "{error}");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let there: Vec<bool> = json["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| node["is_present"].as_bool().expect("yes or no"))
        .collect();
    assert_eq!(there.iter().filter(|is_there| **is_there).count(), 1, "{json}");
    wait::until_true("the dead node is no longer listed", || {
        let (is_ok, table, _) = run_nodes_command(&files, &toml, false);
        is_ok && table.lines().count() == 2
    });
}

#[test]
fn nodes_with_different_rules_are_reported_until_a_sighup_reloads_them() {
    let (files, redis) = (Files::new(), Redis::start());
    let (rule, broker) = ("[[topics]]\npattern = \"acme/x\"\nsubscribe = \"user\"\n", broker(&redis.url()));
    let nodes = Nodes::start_each([broker.clone(), format!("{broker}{rule}")]);
    let toml = format!("[auth]\nsecret_file = \"{}/secret\"\n{broker}", files.0.path().display());
    let (is_ok, table, error) = run_nodes_command(&files, &toml, false);
    assert!(!is_ok && error.contains("the nodes have different rules"), "{table}{error}");
    nodes.node(0).rewrite(&format!("{broker}{rule}"));
    nodes.node(0).signal(Signal::HUP);
    wait::until_true("the nodes have the same topics", || run_nodes_command(&files, &toml, false).0);
}

#[test]
fn the_nodes_command_fails_if_no_node_is_registered() {
    let (files, redis) = (Files::new(), Redis::start());
    let hash = "orosync:{0}:nodes";
    redis.run(&["HSET", hash, "an expired node", "1 {}"]);
    let toml =
        |broker: &str| format!("[auth]\nsecret_file = \"{}/secret\"\n{broker}", files.0.path().display());
    let (is_ok, table, error) = run_nodes_command(&files, &toml(&broker(&redis.url())), false);
    assert!(!is_ok && table.is_empty() && error.contains("no node reported itself"), "{error}");
    let (is_ok, _, error) = run_nodes_command(&files, &toml(""), false);
    assert!(!is_ok && error.contains("broker.url is not set"), "{error}");
    let unreachable = broker("redis://127.0.0.1:1");
    let (is_ok, _, error) = run_nodes_command(&files, &toml(&unreachable), false);
    assert!(!is_ok && error.contains("no connection to Redis"), "{error}");
    let _nodes = Nodes::start(1, &redis.url(), "");
    let (is_ok, table, _) = run_nodes_command(&files, &toml(&broker(&redis.url())), false);
    assert!(is_ok && table.lines().count() == 2, "{table}");
    // A node that starts removes expired entries.
    assert_eq!(redis.ask::<Vec<String>>(&["HKEYS", hash]).len(), 1);
}

/// Sets the rules of the user.
fn allow(redis: &Redis, rules: &[String]) {
    let password = format!(">{PASSWORD}");
    let words = ["ACL", "SETUSER", USER, "reset", "on", &password].into_iter();
    redis.run(&words.chain(rules.iter().map(String::as_str)).collect::<Vec<_>>());
}

fn with_user(url: &str) -> String {
    url.replacen("://", &format!("://{USER}:{PASSWORD}@"), 1)
}

#[test]
fn the_documented_acl_is_sufficient_and_each_rule_is_needed() {
    let redis = redis();
    let url = with_user(&redis.url());
    let nodes = Nodes::start(2, &url, "");
    let mut sessions = [subscribed(nodes.node(0)), subscribed(nodes.node(1))];
    assert_delivered(nodes.node(0), &mut sessions, 1);
    let [first, second] = &mut sessions;
    let position = first.recover("oro/ping", &json!({})).position;
    assert_delivered(nodes.node(1), std::slice::from_mut(second), 2);
    assert_eq!(first.event("oro/ping").payload, 2);
    let recovered = Client::user(nodes.node(1), OROSYNC, 3).recover_since("oro/ping", &position);
    assert!(recovered.complete && recovered.payloads() == [2], "{recovered:?}");
    drop(sessions);
    // A node unsubscribes from a topic 10 s after its last subscriber has left.
    wait::until_true("no node is subscribed to the topic", || {
        let subscribers: Vec<Value> = redis.ask(&["PUBSUB", "NUMSUB", "orosync:{0}:c:oro/ping"]);
        subscribers.get(1).is_some_and(|count| *count == Value::Int(0))
    });
    let denied: Vec<Value> = redis.ask(&["ACL", "LOG"]);
    assert!(denied.is_empty(), "{denied:?}");
    drop(nodes);

    let all: Vec<String> = rules().into_iter().chain(["+wait".to_owned(), "+select".to_owned()]).collect();
    let configuration = format!("{}wait_replicas = 1\n", broker(&format!("{url}/1")));
    let is_permission = |rule: &&String| !rule.starts_with("resetchannels") && *rule != "-@all";
    for missing in all.iter().filter(is_permission) {
        let others: Vec<String> = all.iter().filter(|rule| *rule != missing).cloned().collect();
        allow(&redis, &others);
        assert_logged(missing, &configuration);
    }
}

/// Asserts that a node without this rule is unready and logs the rule.
fn assert_logged(missing: &str, configuration: &str) {
    let mut node = Server::start_with(configuration);
    let line = node.await_line(r#""cause":"noperm""#);
    let named = [missing.to_owned(), format!("'{}'", missing.trim_start_matches('+'))];
    assert!(named.iter().any(|name| line.contains(name)), "without {missing}: {line}");
    assert!(node.admin(READY).ends_with("broker\n"));
}

/// The ACL rules for a Cluster: the documented ones, with the changes in the document's table.
fn rules_of_a_cluster() -> Vec<String> {
    let document = document();
    let row = document.rows("| where | rules |").into_iter().find(|row| row.starts_with("| a Cluster |"));
    let cells: Vec<String> = row
        .expect("a row")
        .replace("\\|", "/")
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|cell| cell.replace('/', "|"))
        .collect();
    let [more, fewer] = cells.as_slice() else { panic!("{cells:?}") };
    let kept = rules().into_iter().filter(|rule| !fewer.split(' ').any(|fewer| fewer == rule));
    kept.chain(more.split(' ').map(str::to_owned)).collect()
}

#[test]
fn the_documented_acl_of_a_cluster_is_sufficient_and_each_rule_is_needed() {
    let cluster = Cluster::start();
    let all = rules_of_a_cluster();
    let allow_everywhere = |rules: &[String]| (0..3).for_each(|number| allow(cluster.server(number), rules));
    let url = with_user(&cluster.url());
    allow_everywhere(&all);
    let nodes = Nodes::start(2, &url, "");
    let mut sessions = [subscribed(nodes.node(0)), subscribed(nodes.node(1))];
    assert_delivered(nodes.node(0), &mut sessions, 1);
    let files = Files::new();
    let toml = format!("[auth]\nsecret_file = \"{}/secret\"\n{}", files.0.path().display(), broker(&url));
    let (is_ok, table, error) = run_nodes_command(&files, &toml, false);
    assert!(is_ok && table.lines().count() == 3, "{table}{error}");
    drop((sessions, nodes));
    for missing in all.iter().filter(|rule| rule.contains("cluster") || rule.starts_with("+s")) {
        allow_everywhere(&all.iter().filter(|rule| *rule != missing).cloned().collect::<Vec<_>>());
        assert_logged(missing, &broker(&url));
    }
}

#[test]
fn the_documented_acl_of_a_sentinel_is_sufficient_and_each_command_is_needed() {
    let line = block("redis", "sentinel", "user ");
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let replica_set = ReplicaSet::start();
    let allow = |rules: &[&str]| {
        for number in 0..3 {
            replica_set.sentinel(number).run(&[&["ACL", "SETUSER", words[0], "reset"], rules].concat());
        }
    };
    let configuration = broker(&replica_set.url());
    let commands: Vec<&&str> = words.iter().filter(|word| word.starts_with("+sentinel|")).collect();
    assert_eq!(commands.len(), 2);
    for missing in commands {
        let rules: Vec<&str> = words[1..].iter().filter(|word| *word != missing).copied().collect();
        allow(&rules);
        assert_logged(missing, &configuration);
    }
    let node = Server::start_with(&configuration);
    allow(&words[1..]);
    wait::until_true("it is ready", || node.admin(READY).ends_with("\r\nready\n"));
}

#[test]
fn with_wait_replicas_only_replicated_messages_are_acknowledged() {
    let replica_set = ReplicaSet::start_with(&block("redis", "", "min-replicas"));
    let toml = Files::new().translate(&block("toml", "", "wait_replicas"), &replica_set.url());
    let toml = toml.split_once("[broker]").map(|(_, broker)| format!("[broker]{broker}")).expect("a table");
    let mut nodes = Nodes::start_each([toml]);
    let mut sessions = [subscribed(nodes.node(0))];
    assert_delivered(nodes.node(0), &mut sessions, 1);
    replica_set.detach_replicas();
    let mut source = Source::to(&nodes.node(0).endpoint());
    source.publish("oro/ping", &2.into());
    nodes.node_mut(0).await_line(r#""cause":"noreplicas""#);
    replica_set.attach_replicas();
    source.flush();
    assert_eq!(sessions[0].text(), r#"[8,"oro\/ping",2]"#);
}

#[test]
fn another_secret_is_refused_under_the_same_prefix_only() {
    let (files, redis) = (Files::new(), Redis::start());
    let _nodes = Nodes::start(1, &redis.url(), "");
    let other_secret = "another secret of at least thirty-two bytes";
    let mut other = Server::start_with_environment(&[
        ("OROSYNC_BROKER__URL", &redis.url()),
        ("OROSYNC_AUTH__SECRET", other_secret),
    ]);
    let line = other.await_line(r#""cause":"secret""#);
    let sentence = "on this Redis with another secret";
    assert!(line.contains(r#"other nodes use the prefix \"orosync\""#) && line.contains(sentence), "{line}");
    assert!(other.admin(READY).ends_with("broker\n"));
    assert!(document().text().contains(sentence));

    let toml = files.translate(&block("toml", "", "prefix = "), &redis.url());
    let (_, broker) = toml.split_once("[broker]").expect("a table");
    files.write("another", other_secret);
    let other = format!("[auth]\nsecret_file = \"{}/another\"\n[broker]{broker}", files.0.path().display());
    Nodes::start_each([other]);
}

#[test]
fn a_new_password_of_redis_applies_after_sighup() {
    let (files, redis) = (Files::new(), redis());
    let (mut nodes, _) = nodes(&files, &redis, 1);
    let mut sessions = [subscribed(nodes.node(0))];
    let steps = blocks("redis-cli", "");
    assert_eq!(steps.len(), 2);
    let run = |block: &Block| {
        for line in block.text.lines().filter(|line| !line.starts_with("ACL SAVE")) {
            let line = line.replace("<OLD", &format!("<{PASSWORD}"));
            redis.run(&line.split(' ').collect::<Vec<_>>());
        }
    };
    run(&steps[0]);
    files.write("redis-password", "NEW");
    nodes.node(0).signal(Signal::HUP);
    nodes.node_mut(0).await_line("SIGHUP: ");
    run(&steps[1]);
    let connected =
        |node: &mut Server| node.log().iter().filter(|line| line.contains("connected to ")).count();
    let before = connected(nodes.node_mut(0));
    redis.run(&["CLIENT", "KILL", "USER", USER]);
    wait::until_true("the node has reconnected", || connected(nodes.node_mut(0)) > before);
    assert_delivered(nodes.node(0), &mut sessions, 1);
}

#[test]
fn the_documented_tls_configuration_connects_to_redis() {
    let (files, certificate) = (Files::new(), Certificate::new());
    certificate.write(files.0.path());
    let redis = Redis::start_with_tls(&certificate, "");
    let toml = files.translate(&block("toml", "", "ca_file"), &redis.tls_url());
    let nodes = Nodes::start_each([toml]);
    assert_delivered(nodes.node(0), &mut [subscribed(nodes.node(0))], 1);
}

#[test]
fn while_redis_is_unreachable_sessions_stay_open_and_delivery_resumes_afterwards() {
    let redis = Redis::start();
    let nodes = Nodes::start(1, &redis.url(), "");
    let node = nodes.node(0);
    let mut sessions = [subscribed(node)];
    redis.freeze();
    let mut source = Source::to(&node.endpoint());
    source.publish("oro/ping", &1.into());
    let mut late = Client::connect(node);
    let head = late.handshake(&format!("/?ticket={}", ticket(Role::User, Some(2))), OROSYNC);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(nodes.await_not_ready(0).ends_with("broker\n"));
    assert!(node.admin("/livez").starts_with("HTTP/1.1 200 "));
    redis.thaw();
    source.flush();
    assert_eq!(sessions[0].text(), r#"[8,"oro\/ping",1]"#);
    nodes.await_ready(0);
}

#[test]
fn messages_are_delivered_later_if_redis_runs_out_of_memory() {
    let redis = redis();
    let nodes = &mut Nodes::start(1, &with_user(&redis.url()), "");
    let mut sessions = [subscribed(nodes.node(0))];
    redis.set("maxmemory", "1");
    let mut source = Source::to(&nodes.node(0).endpoint());
    for number in 0..100 {
        source.publish("oro/ping", &number.into());
    }
    nodes.node_mut(0).await_line(r#""cause":"oom""#);
    let has_other = |line: &String| line.contains(r#""cause":"unexpected""#);
    assert!(!nodes.node_mut(0).log().iter().any(has_other), "{:?}", nodes.node_mut(0).log());
    let mut late = Client::connect(nodes.node(0));
    let head = late.handshake(&format!("/?ticket={}", ticket(Role::User, Some(2))), OROSYNC);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(nodes.await_not_ready(0).ends_with("broker\n"));
    // Flushed scripts make no difference.
    redis.flush_scripts();
    redis.set("maxmemory", "1gb");
    source.flush();
    for number in 0..100 {
        assert_eq!(sessions[0].text(), format!(r#"[8,"oro\/ping",{number}]"#));
    }
    nodes.await_ready(0);
}

#[test]
fn the_documented_log_lines_are_those_of_the_broker() {
    let sources: String = sources("server/src/broker/redis").into_iter().map(|(_, text)| text).collect();
    // A sentence may span several lines of code.
    let lines: Vec<&str> = sources.lines().map(|line| line.trim().trim_end_matches('\\')).collect();
    let sources = lines.concat();
    let document = document();
    for row in document.rows("| line | meaning |") {
        let cell = row.split('|').nth(1).expect("a line");
        for line in cell.split('`').skip(1).step_by(2) {
            // The sentence follows the prefix.
            let parts = line.strip_prefix("broker: ").unwrap_or(line).split('…').map(str::trim);
            for part in parts.filter(|part| part.len() > 4) {
                assert!(sources.contains(part), "{line}: not in the code: {part}");
            }
        }
    }
}
