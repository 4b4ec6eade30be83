//! The broker on real servers: `redis-server`, or what `OROSYNC_REDIS_SERVER` names.

mod cluster;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{RedisBroker, Settings};
use crate::broker::contract::{self, Highest};
use crate::broker::history::HistoryRules;
use crate::broker::{Broker, EventHandler};
use crate::config::broker::{RedisAddress, RedisServers, RedisSettings};
use crate::config::settings::HistorySettings;
use crate::metrics::Metrics;
use crate::policy::Policies;

/// A server of the test's own, which keeps nothing.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        Self::start_at(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(), &[])
    }

    fn start_at(port: u16, more: &[&str]) -> Self {
        let program = std::env::var("OROSYNC_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let process = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(more)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed by scripts/install-deps");
        let server = Self { process, port };
        wait_for("redis-server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        server
    }

    fn open(&self, events: Arc<dyn EventHandler>) -> Box<dyn Broker> {
        let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: self.port };
        Box::new(open(RedisServers::Single(address, 0), 0, events))
    }
}

/// A broker on these servers.
fn open(servers: RedisServers, wait_replicas: u32, events: Arc<dyn EventHandler>) -> RedisBroker {
    let settings = Settings {
        redis: RedisSettings {
            servers,
            tls: None,
            prefix: "orosync".to_owned(),
            username: None,
            password_file: None,
            password: None,
            wait_replicas,
        },
        password: watch::Sender::new(None).subscribe(),
        rules: HistoryRules { settings: HistorySettings::default(), policies: Policies::new(Vec::new()) },
        max_publishers: 10,
        secrets: vec!["a secret".to_owned()],
        node: format!("{:032x}", rand::random::<u128>()),
    };
    RedisBroker::start(settings, events, Arc::new(Metrics::new())).unwrap()
}

fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(met) = condition() {
            return met;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_keeps_the_contract() {
    let server = Server::start();
    contract::test(|events| server.open(events), Highest::Known);
    contract::test_order_over_topics(|events| server.open(events));
    contract::test_nodes(|events| server.open(events), Highest::Known);
}
