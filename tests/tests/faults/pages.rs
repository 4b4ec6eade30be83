//! Heartbeats of idle pages, which check that their connection is alive.

use std::time::Instant;

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::server::{Server, need_descriptors};

use crate::{alone, parameter, processor_time};

/// The heartbeats arrive one at a time, so each one wakes the server.
#[test]
fn heartbeats_of_idle_pages_are_answered() {
    let _alone = alone();
    let pages = parameter("FAULTS_PAGES", 100);
    need_descriptors(2 * pages as u64);
    let server = Server::start_with("[limits]\nping_interval_seconds = 3600\n");
    let mut clients: Vec<Client> = (0..pages).map(|_| Client::anonymous(&server, OROSYNC)).collect();
    let used = || processor_time(server.pid().as_raw_nonzero().get().unsigned_abs());
    let (before, begun) = (used(), Instant::now());
    for client in &mut clients {
        client.send_text(r#"[2,"orosync-heartbeat","orosync/ping"]"#);
        assert_eq!(client.text(), r#"[3,"orosync-heartbeat",null]"#);
    }
    let (after, lasted) = (used(), begun.elapsed());
    println!(
        "{pages} heartbeats in {lasted:?}: {} us of the server's processor time each",
        (after - before) / 1000 / pages as u64
    );
}
