//! A publisher with several endpoints: it switches to another node when it loses its own, reports the endpoint in use, and logs if
//! the nodes are not a cluster. The nodes here are never a cluster, because their brokers are in memory.

use std::io::{BufRead, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::php;
use orosync_tests::proxy::Proxy;
use orosync_tests::server::{self, Server};
use orosync_tests::wait;
use rustix::process::Signal;

const NOT_A_CLUSTER: &str = "are not nodes of one cluster";

/// Minimum run time of a node before a restart can be detected: nodes report their run time in whole seconds.
const MIN_RUN_TIME: Duration = Duration::from_secs(2);

/// A PHP process that publishes each line of its input, and prints its status after the acknowledgement.
struct Publisher {
    process: Child,
    lines: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

struct Answer {
    endpoint: String,
    last_error: String,
}

impl Publisher {
    fn to(endpoints: &str) -> Self {
        let script = r#"
            while (($line = fgets(STDIN)) !== false) {
                orosync_publish("oro/ping", (int) $line);
                $flushed = orosync_flush(20);
                $status = orosync_status();
                echo json_encode([$flushed, $status["endpoint"], (string) $status["last_error"]], JSON_UNESCAPED_SLASHES), "\n";
            }
        "#;
        let mut process = php::command(endpoints)
            .arg("-r")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("php starts");
        let lines = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process, lines, answers }
    }

    fn publish(&mut self, number: u32) -> Answer {
        writeln!(self.lines, "{number}").expect("PHP reads");
        let answer = self.answers.next().expect("PHP answers").expect("a line");
        let (flushed, endpoint, last_error): (bool, String, String) =
            serde_json::from_str(&answer).expect("a status");
        assert!(flushed, "{answer}");
        Answer { endpoint, last_error }
    }

    /// Ends the process and returns its log.
    fn log(self) -> String {
        drop(self.lines);
        let output = self.process.wait_with_output().expect("it ends");
        String::from_utf8(output.stderr).expect("text")
    }
}

fn assert_receives(session: &mut Client, number: u32) {
    assert_eq!(session.text(), format!(r#"[8,"oro\/ping",{number}]"#));
}

fn subscribed(server: &Server) -> Client {
    let mut session = Client::user(server, OROSYNC, 1);
    session.subscribe("oro/ping");
    session.sync();
    session
}

#[test]
fn a_publisher_switches_to_another_node_and_logs_once_that_the_nodes_are_not_a_cluster() {
    let mut servers = [Server::start(), Server::start()];
    let mut sessions = servers.each_ref().map(subscribed);
    let endpoints = servers.each_ref().map(Server::endpoint);
    let mut publisher = Publisher::to(&endpoints.join(" "));
    wait::let_pass(MIN_RUN_TIME, "both have run for some time");
    let first = publisher.publish(1);
    let used = endpoints.iter().position(|endpoint| *endpoint == first.endpoint).expect("one of the two");
    let other = 1 - used;
    assert_receives(&mut sessions[used], 1);
    publisher.publish(2);
    assert_receives(&mut sessions[used], 2);
    servers[used].signal(Signal::KILL);
    servers[used].wait();
    for number in 3..=5 {
        let answer = publisher.publish(number);
        assert_eq!(answer.endpoint, endpoints[other]);
        assert_receives(&mut sessions[other], number);
        assert!(answer.last_error.contains(NOT_A_CLUSTER), "{}", answer.last_error);
        for endpoint in &endpoints {
            assert!(answer.last_error.contains(endpoint), "{}", answer.last_error);
        }
    }
    let log = publisher.log();
    assert_eq!(log.matches(NOT_A_CLUSTER).count(), 1, "{log}");
    assert_eq!(log.lines().count(), 1, "a switch is not logged as an outage: {log}");
}

#[test]
fn a_restarted_node_counts_as_a_member_of_the_cluster() {
    let mut server = Server::start();
    let mut publisher = Publisher::to(&server.endpoint());
    wait::let_pass(MIN_RUN_TIME, "it has run for some time");
    for number in 1..=2 {
        publisher.publish(number);
        server = server.restart();
    }
    let answer = publisher.publish(3);
    let log = publisher.log();
    assert!(!log.contains(NOT_A_CLUSTER) && !answer.last_error.contains(NOT_A_CLUSTER), "{log}");
}

#[test]
fn a_restarted_node_counts_as_a_member_of_the_cluster_at_another_address_too() {
    let mut server = Server::start();
    let names = [Proxy::to(server.address()), Proxy::closed()];
    let endpoints = names.each_ref().map(Proxy::endpoint);
    let mut publisher = Publisher::to(&endpoints.join(","));
    wait::let_pass(MIN_RUN_TIME, "it has run for some time");
    assert_eq!(publisher.publish(1).endpoint, endpoints[0]);
    names[0].close();
    server = server.restart();
    names[1].open(server.address());
    let answer = publisher.publish(2);
    assert_eq!(answer.endpoint, endpoints[1]);
    let log = publisher.log();
    assert!(!log.contains(NOT_A_CLUSTER) && !answer.last_error.contains(NOT_A_CLUSTER), "{log}");
}

#[test]
fn processes_spread_over_the_nodes_and_skip_a_dead_one() {
    let servers = [Server::start(), Server::start()];
    let dead = {
        let mut server = Server::start();
        server.signal(Signal::KILL);
        server.wait();
        server.endpoint()
    };
    let endpoints = format!("{} {dead}, {}", servers[0].endpoint(), servers[1].endpoint());
    let mut used = [false; 2];
    // A third of the processes starts with one server, and two thirds end at the other.
    for _ in 0..60 {
        let endpoint =
            php::output(&endpoints, r#"if (orosync_check(10)) { echo orosync_status()["endpoint"]; }"#);
        used[servers.iter().position(|server| server.endpoint() == endpoint).expect(&endpoint)] = true;
        if used == [true; 2] {
            return;
        }
    }
    panic!("all processes use one node: {used:?}");
}

#[test]
fn the_servers_commands_accept_several_endpoints() {
    let mut dead = Server::start();
    dead.signal(Signal::KILL);
    dead.wait();
    let server = Server::start();
    let endpoints = format!("{},{}", dead.endpoint(), server.endpoint());
    let command = |name: &str| -> Command {
        let mut command = server::command();
        command.args([name, "--endpoint", &endpoints, "--secret-file"]).arg(server.secret_file());
        command
    };
    let mut watch = command("watch")
        .arg("oro/ping")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stderr = BufReader::new(watch.stderr.take().expect("a pipe")).lines();
    assert!(stderr.next().expect("a line").expect("text").starts_with("subscribed to"));
    let published = command("publish").args(["oro/ping", "7"]).output().expect("it starts");
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    let mut events = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    assert_eq!(events.next().expect("a line").expect("text"), "oro/ping\t7");
    let disconnected =
        command("disconnect").args(["--role", "user", "--uid", "7"]).output().expect("it starts");
    assert!(disconnected.status.success(), "{}", String::from_utf8_lossy(&disconnected.stderr));
    // The watch command runs until it is killed.
    watch.kill().expect("it runs");
    watch.wait().expect("it ends");
}
