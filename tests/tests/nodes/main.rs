//! Several nodes on a real Redis with injected faults: accepted messages are delivered once and in order.
//!
//! `NODES_OUTAGE_SECONDS` is the duration of the long outage of Redis (default 20).

mod access;
mod applications;
mod cuts;
mod kills;
mod load;
mod memory;
mod outages;
mod sentinel;
mod upkeep;

use std::time::Duration;

use orosync_tests::nodes::Nodes;
use orosync_tests::server::Server;

/// Time within which delivery resumes once Redis is available.
const RESUME_LIMIT: Duration = Duration::from_secs(5);

const LOST: &str = "orosync_broker_messages_lost_total";

/// Configuration with a long history, for sessions that reconnect late.
const LONG_HISTORY: &str = "\
    [history]\nevents = 10000\n\
    [[topics]]\npattern = \"oro/ping\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n\
    [[topics]]\npattern = \"acme/{name}\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n";

/// Starts two nodes on this Redis with [`LONG_HISTORY`].
fn two_nodes(url: &str) -> Nodes {
    Nodes::start(2, url, LONG_HISTORY)
}

/// The sum of a metric over the first `count` nodes.
fn sum(nodes: &Nodes, count: usize, metric: &str) -> f64 {
    (0..count).map(|number| nodes.node(number).metric(metric)).sum()
}

fn is_ready(node: &Server) -> bool {
    node.admin("/readyz").starts_with("HTTP/1.1 200 ")
}

fn assert_alive(node: &Server) {
    let answer = node.admin("/livez");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
