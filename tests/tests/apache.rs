//! PHP as an Apache module: accepted messages arrive, however Apache ends its children.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use orosync_tests::apache::Apache;
use orosync_tests::client::{Client, OROSYNC, Received};
use orosync_tests::server::Server;
use orosync_tests::traffic::Subscriber;
use orosync_tests::wait::{self, let_pass};
use rustix::process::Signal;

/// Messages per page.
const MESSAGES_PER_PAGE: usize = 5;

/// Number of browsers that load pages.
const BROWSERS: usize = 3;

/// Publishes, and records the accepted messages in a file before it sends the response.
const PAGE: &str = r#"
    $accepted = fopen($_GET["file"], "a");
    for ($i = 0; $i < 5; $i++) {
        $number = $_GET["n"] * 5 + $i;
        if (orosync_publish("oro/ping", [0, $number])) { fwrite($accepted, "$number\n"); echo "+"; }
    }
"#;

/// A server, a subscriber, and an Apache with pages that publish.
struct Site {
    server: Server,
    subscriber: Subscriber,
    apache: Apache,
    accepted: PathBuf,
}

impl Site {
    fn start(configuration: &str) -> Self {
        let server = Server::start();
        let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
        let apache = Apache::start(&server.endpoint(), configuration);
        apache.write("publish.php", PAGE);
        let accepted = apache.file("accepted");
        Self { server, subscriber, apache, accepted }
    }

    fn pages(&self) -> Pages<'_> {
        Pages { apache: &self.apache, accepted: &self.accepted }
    }

    /// The messages that `orosync_publish()` has accepted so far.
    fn accepted(&self) -> BTreeSet<usize> {
        let numbers = fs::read_to_string(&self.accepted).expect("it was written");
        numbers.lines().map(|number| number.parse().expect("a number")).collect()
    }

    /// Lets browsers load pages while `meanwhile` runs. With `must_answer`, asserts that each page is answered, except in an MPM with
    /// threads, where Apache itself ends some requests early.
    fn under_load(&self, first: usize, must_answer: bool, meanwhile: impl FnOnce()) {
        let must_answer = must_answer && self.apache.is_prefork();
        let (pages, next, ended) = (self.pages(), AtomicUsize::new(first), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..BROWSERS {
                scope.spawn(|| {
                    while !ended.load(Ordering::Acquire) {
                        let number = next.fetch_add(1, Ordering::AcqRel);
                        let page = pages.get(number);
                        assert!(!must_answer || page.as_deref() == Some("+++++"), "page {number}: {page:?}");
                    }
                });
            }
            meanwhile();
            ended.store(true, Ordering::Release);
        });
    }

    /// Waits until pages have published `count` more messages.
    fn await_more(&self, count: usize) {
        let before = self.subscriber.count();
        wait::until_true("pages publish", || self.subscriber.count() > before + count);
    }

    /// Asserts, after the end of Apache, that each accepted message has arrived once and that PHP has logged nothing.
    fn assert_complete(self) {
        assert_eq!(self.apache.php_log(), "");
        let accepted = fs::read_to_string(&self.accepted).expect("it was written");
        let accepted: BTreeSet<usize> =
            accepted.lines().map(|line| line.parse().expect("a number")).collect();
        self.server.signal(Signal::TERM);
        let (events, end) = self.subscriber.ended();
        assert_eq!(end, Received::Close(1001));
        let arrived: BTreeSet<usize> = events.iter().map(|(_, number)| *number).collect();
        assert_eq!(events.len(), arrived.len(), "each once");
        let lost: Vec<_> = accepted.difference(&arrived).collect();
        assert!(
            lost.is_empty(),
            "{} of {} messages are lost: {lost:?}\n{}",
            lost.len(),
            accepted.len(),
            self.apache.log()
        );
    }
}

/// The part of a site that browsers use.
#[derive(Clone, Copy)]
struct Pages<'a> {
    apache: &'a Apache,
    accepted: &'a Path,
}

impl Pages<'_> {
    fn get(self, number: usize) -> Option<String> {
        self.apache.get("publish.php", &format!("n={number}&file={}", self.accepted.display()))
    }
}

#[test]
fn children_that_end_after_each_connection_lose_no_message() {
    let mut site = Site::start("MaxConnectionsPerChild 1");
    site.under_load(0, true, || site.await_more(60 * MESSAGES_PER_PAGE));
    site.apache.signal(Signal::WINCH);
    assert!(site.apache.ended().success());
    site.assert_complete();
}

#[test]
fn graceful_restarts_and_a_graceful_stop_under_load_lose_no_message() {
    let mut site = Site::start("");
    site.under_load(0, true, || {
        for _ in 0..2 {
            site.await_more(60 * MESSAGES_PER_PAGE);
            site.apache.restart(Signal::USR1);
        }
        site.await_more(60 * MESSAGES_PER_PAGE);
    });
    site.under_load(1_000_000, false, || {
        site.await_more(20 * MESSAGES_PER_PAGE);
        site.apache.signal(Signal::WINCH);
        wait::until_true("Apache accepts no more connections", || !site.apache.listens());
    });
    assert!(site.apache.ended().success());
    site.assert_complete();
}

#[test]
fn a_restart_and_a_stop_under_load_lose_no_message() {
    let mut site = Site::start("");
    site.under_load(0, false, || {
        site.await_more(60 * MESSAGES_PER_PAGE);
        site.apache.restart(Signal::HUP);
        site.await_more(60 * MESSAGES_PER_PAGE);
        site.apache.signal(Signal::TERM);
        wait::until_true("Apache accepts no more connections", || !site.apache.listens());
    });
    assert!(site.apache.ended().success());
    site.assert_complete();
}

#[test]
fn an_ending_child_has_time_to_send_its_queued_messages() {
    for signal in [Signal::USR1, Signal::WINCH, Signal::HUP, Signal::TERM] {
        println!("{signal:?}");
        let graceful = matches!(signal, Signal::USR1 | Signal::WINCH);
        let mut site = Site::start(
            "StartServers 1\n<IfModule mpm_prefork_module>\nMinSpareServers 1\nMaxSpareServers 1\n</IfModule>",
        );
        site.apache.write("publish.php", &format!("{PAGE} usleep(300_000);"));
        // The link connects with the first message, so no message is sent while the server is frozen.
        site.server.freeze();
        thread::scope(|scope| {
            let pages = site.pages();
            let page = scope.spawn(move || pages.get(0));
            wait::until_true("the page has published", || site.accepted().len() == MESSAGES_PER_PAGE);
            site.apache.signal(signal);
            let page = page.join().expect("no thread panicked");
            assert_eq!(
                page.as_deref(),
                graceful.then_some("+++++"),
                "only graceful signals let the page finish"
            );
        });
        let_pass(Duration::from_millis(300), "the child ends while the server does not answer");
        site.server.thaw();
        if matches!(signal, Signal::USR1 | Signal::HUP) {
            wait::until_true("Apache has restarted", || site.apache.starts() == 2);
            site.apache.signal(Signal::TERM);
        }
        assert!(site.apache.ended().success());
        site.assert_complete();
    }
}
