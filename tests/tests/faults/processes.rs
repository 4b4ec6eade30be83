//! PHP processes that PHP-FPM ends under load.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use orosync_tests::client::{Client, OROSYNC, Received};
use orosync_tests::php::Fpm;
use orosync_tests::server::Server;
use orosync_tests::traffic::Subscriber;
use orosync_tests::wait;
use rustix::process::Signal;

use crate::alone;

/// `pm.max_requests`, two reloads and SIGQUIT, all under load: every accepted message arrives once.
#[test]
fn fpm_loses_no_message_when_it_recycles_workers_reloads_and_quits_under_load() {
    const RELOADS: usize = 2;
    let _alone = alone();
    let server = Server::start();
    let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
    let mut fpm = Fpm::start(&server.endpoint(), 3, "pm.max_requests = 20");
    fpm.write(
        "publish.php",
        r#"for ($i = 0; $i < 5; $i++) { echo orosync_publish("oro/ping", [0, $_GET["n"] * 5 + $i]) ? "+" : "-"; }"#,
    );
    let (next, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let accepted = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !ended.load(Ordering::Acquire) {
                    let request = next.fetch_add(1, Ordering::AcqRel);
                    let page = fpm.get("publish.php", &format!("n={request}"));
                    assert_eq!(page, "+++++", "request {request}");
                    accepted.lock().expect("no thread panicked").extend(request * 5..request * 5 + 5);
                }
            });
        }
        for reload in 1..=RELOADS {
            let count = subscriber.count();
            wait::until_true("pages publish", || subscriber.count() > count + 300);
            fpm.signal(Signal::USR2);
            wait::until_true("php-fpm has reloaded", || {
                fpm.log().matches("ready to handle connections").count() == 1 + reload
            });
        }
        let count = subscriber.count();
        wait::until_true("pages publish", || subscriber.count() > count + 300);
        ended.store(true, Ordering::Release);
    });
    assert!(fpm.quit().success());
    assert_eq!(fpm.php_log(), "");
    server.signal(Signal::TERM);
    let (events, end) = subscriber.ended();
    assert_eq!(end, Received::Close(1001));
    let arrived: BTreeSet<usize> = events.iter().map(|(_, number)| *number).collect();
    assert_eq!(events.len(), arrived.len(), "each once");
    assert_eq!(arrived, accepted.into_inner().expect("no thread panicked"));
}
