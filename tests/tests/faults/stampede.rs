//! Many publishers that lose the same server at the same time, like the workers of a PHP-FPM.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use orosync_link::Publisher;
use orosync_tests::php::Fpm;
use orosync_tests::proxy::Proxy;
use orosync_tests::server::Server;
use orosync_tests::wait;
use rustix::process::Signal;

use crate::{alone, message, parameter, processor_time, publisher};

/// Maximum number of attempts of one publisher in the first second: at once, then after 25 ms to 50 ms, 50 ms to 100 ms, and so
/// on.
const MAX_IN_FIRST_SECOND: usize = 6;

/// The second from which on each publisher waits at least 1.6 s between two attempts.
const SLOW_FROM: usize = 5;

/// Kills the server, counts connection attempts per second for eight seconds, and asserts that there are not too many.
fn assert_retries_are_spread(server: &mut Server, proxy: &Proxy, publishers: usize) {
    proxy.close();
    let before = proxy.attempts().len();
    server.signal(Signal::KILL);
    server.wait();
    wait::until_true("eight seconds of attempts", || {
        let attempts = proxy.attempts();
        attempts.len() > before && attempts[attempts.len() - 1] - attempts[before] > Duration::from_secs(8)
    });
    let attempts = proxy.attempts().split_off(before);
    let mut in_second = [0; 8];
    for attempt in &attempts {
        let second = usize::try_from((*attempt - attempts[0]).as_secs()).expect("a few");
        if let Some(count) = in_second.get_mut(second) {
            *count += 1;
        }
    }
    println!("attempts of {publishers} publishers per second: {in_second:?}");
    assert!(in_second[0] >= publishers, "each retries at once: {in_second:?}");
    assert!(in_second[0] <= publishers * MAX_IN_FIRST_SECOND, "{in_second:?}");
    assert!(in_second[SLOW_FROM..].iter().all(|count| *count <= publishers.div_ceil(4) * 3), "{in_second:?}");
}

#[test]
fn two_hundred_publishers_that_lose_their_server_spread_their_retries() {
    let _alone = alone();
    let mut server = Server::start();
    let proxy = Proxy::to(server.address());
    let mut publishers: Vec<Publisher> = (0..200).map(|_| publisher(&proxy.endpoint())).collect();
    for (number, publisher) in publishers.iter_mut().enumerate() {
        publisher.publish(message(number, 0).lend()).expect("there is room");
    }
    assert!(publishers.iter_mut().all(|publisher| publisher.flush(wait::LIMIT)));
    assert_retries_are_spread(&mut server, &proxy, publishers.len());
    let next = Server::start();
    proxy.open(next.address());
    for (number, publisher) in publishers.iter_mut().enumerate() {
        publisher.publish(message(number, 1).lend()).expect("there is room");
    }
    assert!(publishers.iter_mut().all(|publisher| publisher.flush(wait::LIMIT)), "all have reconnected");
}

/// With real workers. Also measures their processor time while they are idle, if `FAULTS_IDLE_SECONDS` is set.
#[test]
fn fpm_workers_that_lose_their_server_spread_their_retries_and_all_reconnect() {
    let _alone = alone();
    let workers = parameter("FAULTS_WORKERS", 20);
    let mut server = Server::start();
    let proxy = Proxy::to(server.address());
    let fpm = Fpm::start(&proxy.endpoint(), workers, "");
    // Requests block until all workers have one, so that each worker gets exactly one.
    let gate = server.directory().join("gate");
    fpm.write(
        "publish.php",
        &format!(
            r#"orosync_publish("oro/ping", [0, 0]); $ok = orosync_flush(20);
               while (!file_exists("{}")) {{ usleep(10000); clearstatcache(); }} echo $ok ? getmypid() : "not flushed";"#,
            gate.display()
        ),
    );
    let pids = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let page = fpm.get("publish.php", "");
                let pid: u32 = page.parse().unwrap_or_else(|_| panic!("{page}"));
                pids.lock().expect("no thread panicked").insert(pid);
            });
        }
        wait::until_true("every worker has a link", || proxy.connections() == workers);
        fs::write(&gate, "").expect("the gate opens");
    });
    let pids = pids.into_inner().expect("no thread panicked");
    assert_eq!(pids.len(), workers);
    let seconds = parameter("FAULTS_IDLE_SECONDS", 0);
    if seconds > 0 {
        let used = || {
            (
                pids.iter().map(|pid| processor_time(*pid)).sum::<u64>(),
                processor_time(server.pid().as_raw_nonzero().get().unsigned_abs()),
            )
        };
        let (before, begun) = (used(), Instant::now());
        wait::let_pass(Duration::from_secs(seconds as u64), "the processor time of idle workers is measured");
        let (after, lasted) = (used(), begun.elapsed());
        println!(
            "{workers} idle workers for {lasted:?}: {} ms of processor time in all workers, {} ms in the server",
            (after.0 - before.0) / 1_000_000,
            (after.1 - before.1) / 1_000_000
        );
    }
    assert_retries_are_spread(&mut server, &proxy, workers);
    let next = Server::start();
    proxy.open(next.address());
    wait::until_true("all have reconnected", || proxy.connections() == workers);
}
