//! Several `orosync-server` processes on one Redis.

use std::net::SocketAddr;
use std::thread;

use rustix::process::Signal;

use crate::redis::LIMIT;
use crate::server::Server;
use crate::wait;

/// Nodes with the same secret, identified by their number. Killed on drop.
#[derive(Debug)]
pub struct Nodes(Vec<Option<Server>>);

impl Nodes {
    /// Starts `count` nodes on the Redis of this URL, with additional configuration (TOML without `[broker]`). Waits until they
    /// are ready.
    pub fn start(count: usize, url: &str, configuration: &str) -> Self {
        let configuration = format!("{configuration}\n{}", broker(url));
        Self::start_each((0..count).map(|_| configuration.clone()))
    }

    /// Starts one node per configuration, for nodes that differ. Waits until they are ready.
    pub fn start_each(configurations: impl IntoIterator<Item = String>) -> Self {
        let start = |configuration: String| Some(Server::start_with(&configuration));
        let nodes = Self(configurations.into_iter().map(start).collect());
        (0..nodes.0.len()).for_each(|number| nodes.await_ready(number));
        nodes
    }

    /// The node with this number.
    pub fn node(&self, number: usize) -> &Server {
        self.0[number].as_ref().expect("it was started")
    }

    /// The node with this number, mutable, to read its log.
    pub fn node_mut(&mut self, number: usize) -> &mut Server {
        self.0[number].as_mut().expect("it was started")
    }

    /// Addresses of all nodes, for sessions and publishers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().flatten().map(Server::address).collect()
    }

    /// Kills a node.
    pub fn kill(&mut self, number: usize) {
        let node = self.node_mut(number);
        node.signal(Signal::KILL);
        node.wait();
    }

    /// Restarts an ended node on the same port. Waits until it is ready.
    pub fn start_again(&mut self, number: usize) {
        self.0[number] = self.0[number].take().map(Server::start_again);
        self.await_ready(number);
    }

    /// Waits until a node reports that it is ready.
    pub fn await_ready(&self, number: usize) {
        wait::until_within(LIMIT, "the node is ready", || is_ready(self.node(number)).then_some(()));
    }

    /// Waits until a node reports that it is not ready, and returns the reason.
    pub fn await_not_ready(&self, number: usize) -> String {
        wait::until_within(LIMIT, "the node is not ready", || {
            let answer = self.node(number).admin("/readyz");
            answer.starts_with("HTTP/1.1 503 ").then_some(answer)
        })
    }
}

impl Drop for Nodes {
    /// Prints the nodes' logs when a test fails.
    fn drop(&mut self) {
        if thread::panicking() {
            for node in self.0.iter_mut().flatten() {
                println!("Node {}:\n{}", node.address(), node.log().join("\n"));
            }
        }
    }
}

/// The `[broker]` table with this URL; more of its keys may follow.
pub fn broker(url: &str) -> String {
    format!("[broker]\nurl = \"{url}\"\n")
}

fn is_ready(node: &Server) -> bool {
    node.admin("/readyz").starts_with("HTTP/1.1 200 ")
}
