//! Fan-out to many sessions: all receive all events in order, whether a shard writes with `io_uring` or without.

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::php;
use orosync_tests::server::Server;

/// More sessions than a shard writes to in one iteration.
const SESSIONS: usize = 600;

const EVENTS: usize = 40;

#[test]
fn every_session_receives_every_event_in_order_with_and_without_io_uring() {
    for io_uring in ["on", "off"] {
        let server =
            Server::start_with_environment(&[("OROSYNC_IO_URING", io_uring), ("OROSYNC_SHARDS", "1")]);
        let mut clients: Vec<Client> = (0..SESSIONS).map(|_| Client::anonymous(&server, OROSYNC)).collect();
        for client in &mut clients {
            client.subscribe("oro/maintenance");
        }
        // The first half of the events one by one, each acknowledged before the next, the second half in a burst.
        let script = format!(
            r#"for ($i = 0; $i < {EVENTS}; $i++) {{
                orosync_publish("oro/maintenance", $i);
                $i < {EVENTS} / 2 && orosync_flush(10);
            }}
            var_dump(orosync_flush(10));"#
        );
        assert_eq!(php::output(&server.endpoint(), &script), "bool(true)\n");
        for (number, client) in clients.iter_mut().enumerate() {
            for event in 0..EVENTS {
                let expected = format!(r#"[8,"oro\/maintenance",{event}]"#);
                assert_eq!(client.text(), expected, "session {number}, io_uring {io_uring}");
            }
        }
    }
}
