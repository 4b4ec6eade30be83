//! Several `orosync-server` processes on one Redis.

use std::net::SocketAddr;
use std::thread;

use rustix::process::Signal;

use crate::redis::LIMIT;
use crate::server::Server;
use crate::wait;

/// Nodes with the same secret, named by their number. Killed when it goes out of scope.
#[derive(Debug)]
pub struct Nodes(Vec<Option<Server>>);

impl Nodes {
    /// So many nodes on the Redis of this URL, with more lines of configuration (TOML, all but `[broker]`). Waits until
    /// they are ready.
    pub fn start(count: usize, url: &str, configuration: &str) -> Self {
        let configuration = format!("{configuration}\n{}", broker(url));
        Self::start_each((0..count).map(|_| configuration.clone()))
    }

    /// A node with each of these configurations, for nodes that are not alike. Waits until they are ready.
    pub fn start_each(configurations: impl IntoIterator<Item = String>) -> Self {
        let start = |configuration: String| Some(Server::start_with(&configuration));
        let nodes = Self(configurations.into_iter().map(start).collect());
        (0..nodes.0.len()).for_each(|number| nodes.await_ready(number));
        nodes
    }

    /// One of them.
    pub fn node(&self, number: usize) -> &Server {
        self.0[number].as_ref().expect("it was started")
    }

    /// The same, to read its log.
    pub fn node_mut(&mut self, number: usize) -> &mut Server {
        self.0[number].as_mut().expect("it was started")
    }

    /// Where each of them takes sessions and publishers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().flatten().map(Server::address).collect()
    }

    /// Kills a node.
    pub fn kill(&mut self, number: usize) {
        let node = self.node_mut(number);
        node.signal(Signal::KILL);
        node.wait();
    }

    /// Starts a node again that has ended, on the same port. Waits until it is ready.
    pub fn start_again(&mut self, number: usize) {
        self.0[number] = self.0[number].take().map(Server::start_again);
        self.await_ready(number);
    }

    /// Waits until a node says that it is ready.
    pub fn await_ready(&self, number: usize) {
        wait::until_within(LIMIT, "the node is ready", || is_ready(self.node(number)).then_some(()));
    }

    /// Waits until a node says that it is not ready: what it says.
    pub fn await_not_ready(&self, number: usize) -> String {
        wait::until_within(LIMIT, "the node is not ready", || {
            let answer = self.node(number).admin("/readyz");
            answer.starts_with("HTTP/1.1 503 ").then_some(answer)
        })
    }
}

impl Drop for Nodes {
    /// Whoever looks for the cause of a failure needs to know what the nodes saw.
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
