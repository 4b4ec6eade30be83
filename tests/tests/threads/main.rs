//! PHP with threads (ZTS): the threads of a process publish concurrently over its one link. `scripts/matrix/in-zts` builds
//! `threads.c`, the program that runs PHP in threads, and passes its path in `OROSYNC_THREADS`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use orosync_tests::client::{Client, OROSYNC, Received};
use orosync_tests::php;
use orosync_tests::server::Server;
use orosync_tests::traffic::Subscriber;
use orosync_tests::wait;
use rustix::process::Signal;
use tempfile::TempDir;

/// Number of threads of a process.
const THREADS: usize = 8;

/// A script that is run in several threads.
struct Program {
    directory: TempDir,
    threads: usize,
    rounds: usize,
    stay: bool,
}

impl Program {
    fn new(endpoint: &str, script: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        let log = format!("error_log={}", path.join("php.log").display());
        let settings = [php::settings(endpoint), vec![log]].concat();
        fs::write(path.join("php.ini"), settings.join("\n")).expect("php.ini is written");
        fs::write(path.join("script.php"), format!("<?php {script}")).expect("the script is written");
        Self { directory, threads: THREADS, rounds: 1, stay: false }
    }

    fn command(&self) -> Command {
        let program = std::env::var_os("OROSYNC_THREADS").map(PathBuf::from);
        let mut command = Command::new(program.expect("run by scripts/matrix/in-zts"));
        command
            .arg(self.directory.path().join("script.php"))
            .args([self.threads, self.rounds].map(|number| number.to_string()))
            .args(self.stay.then_some("stay"))
            .env("PHPRC", self.directory.path())
            .env("PHP_INI_SCAN_DIR", "")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program and returns its standard output. Asserts success and an empty log.
    fn run(&self) -> String {
        let output = self.command().output().expect("it starts");
        assert_eq!(self.log(), "", "nothing is logged");
        text(&output)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("php.log")).unwrap_or_default()
    }
}

fn text(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{stdout}\n{stderr}\n{}", output.status);
    stdout.into_owned()
}

/// A server, and a session that receives the messages.
struct Setup {
    server: Server,
    subscriber: Subscriber,
}

impl Setup {
    fn start() -> Self {
        let server = Server::start();
        let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
        Self { server, subscriber }
    }

    fn assert_one_link(&self) {
        let links = self.server.metric(r#"orosync_sessions_opened_total{protocol="link"}"#);
        assert!((links - 1.0).abs() < f64::EPSILON, "one process, one link: {links}");
    }

    /// The received numbers of each publisher, in order of arrival.
    fn received(self) -> BTreeMap<usize, Vec<usize>> {
        self.server.signal(Signal::TERM);
        let (events, end) = self.subscriber.ended();
        assert_eq!(end, Received::Close(1001));
        let mut of = BTreeMap::<_, Vec<_>>::new();
        for (source, number) in events {
            of.entry(source).or_default().push(number);
        }
        of
    }
}

/// Asserts that the numbers of each publisher are 0, 1, and so on, once and in order, up to the published count.
fn assert_each_in_order(
    mut received: BTreeMap<usize, Vec<usize>>,
    published: impl IntoIterator<Item = (usize, usize)>,
) {
    for (source, count) in published {
        let numbers = received.remove(&source).unwrap_or_default();
        let wrong = numbers.iter().enumerate().find(|(place, number)| *place != **number);
        assert!(wrong.is_none(), "publisher {source}: wrong number {wrong:?}");
        assert_eq!(numbers.len(), count, "{source}");
    }
    assert!(received.is_empty(), "unexpected publishers: {:?}", received.keys());
}

#[test]
fn threads_publish_concurrently_over_one_link_each_in_order() {
    const EACH: usize = 500;
    const ROUNDS: usize = 5;
    for stay in [false, true] {
        let setup = Setup::start();
        // Half of the threads use an object with the same settings.
        let script = format!(
            r#"$publisher = new Orosync\Publisher("{}");
            for ($i = 0; $i < {EACH}; $i++) {{
                $message = [$thread, $round * {EACH} + $i];
                // Retry while the queue is full.
                while (!($thread % 2 ? orosync_publish("oro/ping", $message) : $publisher->publish("oro/ping", $message))) {{
                    usleep(100);
                }}
            }}"#,
            setup.server.endpoint()
        );
        let program = Program { rounds: ROUNDS, stay, ..Program::new(&setup.server.endpoint(), &script) };
        assert_eq!(program.run(), "");
        setup.assert_one_link();
        assert_each_in_order(setup.received(), (0..THREADS).map(|thread| (thread, ROUNDS * EACH)));
    }
}

#[test]
fn threads_can_wait_for_acknowledgements_concurrently() {
    let setup = Setup::start();
    let script = r#"for ($i = 0; $i < 20; $i++) {
        orosync_publish("oro/ping", [$thread, $i]);
        $before = orosync_status()["accepted"];
        $flushed = orosync_flush(10);
        $after = orosync_status();
        if (!$flushed || $after["acknowledged"] < $before || !orosync_check(10)) { echo "thread $thread, $i\n"; }
        if ($after["accepted"] !== $after["acknowledged"] + $after["unacknowledged"] + $after["queued"]) { echo "wrong counters\n"; }
    }"#;
    assert_eq!(Program::new(&setup.server.endpoint(), script).run(), "");
    setup.assert_one_link();
    assert_each_in_order(setup.received(), (0..THREADS).map(|thread| (thread, 20)));
}

#[test]
fn messages_accepted_from_a_full_queue_arrive_before_the_process_ends() {
    // A small queue, which is often full. Only accepted messages count.
    let script = r#"
        $publisher = new Orosync\Publisher(ini_get("orosync.endpoint"), ["queue_messages" => 100, "shutdown_timeout" => 30]);
        for ($accepted = $i = 0; $i < 3000; $i++) {
            if ($publisher->publish("oro/ping", [$thread, $accepted])) { $accepted++; } else { usleep(100); }
        }
        echo "$thread $accepted\n";"#;
    for stay in [false, true] {
        let setup = Setup::start();
        let output = Program { stay, ..Program::new(&setup.server.endpoint(), script) }.run();
        let accepted: Vec<(usize, usize)> = output
            .lines()
            .map(|line| line.split_once(' ').expect("two numbers"))
            .map(|(thread, count)| (thread.parse().expect("a number"), count.parse().expect("a number")))
            .collect();
        assert_eq!(accepted.len(), THREADS);
        let all = accepted.iter().map(|(_, count)| count).sum::<usize>();
        assert!((100..THREADS * 3000).contains(&all), "the queue was full: {all}");
        assert_each_in_order(setup.received(), accepted);
    }
}

#[test]
fn messages_of_an_ended_thread_are_still_delivered() {
    let setup = Setup::start();
    // Each thread publishes once and ends with its PHP, while the others continue.
    let script = r#"usleep($thread * 2000); orosync_publish("oro/ping", [$thread, 0]);"#;
    let program = Program { threads: 60, ..Program::new(&setup.server.endpoint(), script) };
    assert_eq!(program.run(), "");
    setup.assert_one_link();
    assert_each_in_order(setup.received(), (0..60).map(|thread| (thread, 1)));
}

#[test]
fn a_child_forked_by_a_thread_opens_its_own_link() {
    const FORKS: usize = 20;
    let setup = Setup::start();
    let script = format!(
        r#"if ($thread) {{
            for ($i = 0; $i < 1000; $i++) {{ orosync_publish("oro/ping", [$thread, $i]); usleep(50); }}
            return;
        }}
        for ($n = 0; $n < {FORKS}; $n++) {{
            orosync_publish("oro/ping", [0, $n]);
            if (($pid = pcntl_fork()) === 0) {{
                for ($i = 0; $i < 5; $i++) {{ orosync_publish("oro/ping", [100 + $n, $i]); }}
                if (!orosync_flush(10)) {{ echo "child $n\n"; }}
                posix_kill(posix_getpid(), 9);
            }}
            pcntl_waitpid($pid, $status);
        }}"#
    );
    assert_eq!(Program::new(&setup.server.endpoint(), &script).run(), "");
    let threads = (0..THREADS).map(|thread| (thread, if thread == 0 { FORKS } else { 1000 }));
    assert_each_in_order(setup.received(), threads.chain((0..FORKS).map(|child| (100 + child, 5))));
}

#[test]
fn an_outage_is_logged_by_one_thread_only() {
    let mut server = Server::start();
    let script = r#"
        orosync_publish("oro/ping", [$thread, 0]);
        for ($end = microtime(true) + 60; microtime(true) < $end && orosync_status()["last_error"] === null;) { usleep(1000); }
        for ($i = 0; $i < 20; $i++) { orosync_publish("oro/ping", [$thread, $i]); usleep(1000); }"#;
    let program = Program::new(&server.endpoint(), script);
    let ini = program.directory.path().join("php.ini");
    let settings = fs::read_to_string(&ini).expect("php.ini is there") + "\norosync.shutdown_timeout=0.1\n";
    fs::write(ini, settings).expect("php.ini is written");
    let mut running = program.command().spawn().expect("it starts");
    wait::until_true("all threads have published", || {
        server.metric(r#"orosync_messages_accepted_total{source="link"}"#) >= 8.0
    });
    server.signal(Signal::KILL);
    server.wait();
    assert!(running.wait().expect("it runs").success());
    let log = program.log();
    let outages = log.lines().filter(|line| line.contains("does not answer")).count();
    let left = log.lines().filter(|line| line.contains("left undelivered")).count();
    assert_eq!((outages, left, log.lines().count()), (1, 1, 2), "{log}");
}
