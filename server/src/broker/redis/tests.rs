//! The broker on a real server: `redis-server`, or what `OROSYNC_REDIS_SERVER` names.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{RedisBroker, Settings};
use crate::broker::contract;
use crate::broker::history::HistoryRules;
use crate::broker::{Broker, EventHandler};
use crate::config::broker::{RedisAddress, RedisServers, RedisSettings};
use crate::config::settings::HistorySettings;
use crate::metrics::Metrics;
use crate::policy::Policies;

/// A server of the test's own, which keeps nothing.
pub(super) struct Server {
    process: Child,
    pub(super) port: u16,
}

impl Server {
    pub(super) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = std::env::var("OROSYNC_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let process = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed by scripts/install-deps");
        let server = Self { process, port };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "redis-server does not listen");
            std::thread::yield_now();
        }
        server
    }

    fn open(&self, events: Arc<dyn EventHandler>) -> Box<dyn Broker> {
        let settings = Settings {
            redis: RedisSettings {
                servers: RedisServers::Single(
                    RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: self.port },
                    0,
                ),
                tls: None,
                prefix: "orosync".to_owned(),
                username: None,
                password_file: None,
                password: None,
                wait_replicas: 0,
            },
            password: watch::Sender::new(None).subscribe(),
            rules: HistoryRules { settings: HistorySettings::default(), policies: Policies::new(Vec::new()) },
            max_publishers: 10,
            secrets: vec!["a secret".to_owned()],
            node: format!("{:032x}", rand::random::<u128>()),
        };
        Box::new(RedisBroker::start(settings, events, Arc::new(Metrics::new())).unwrap())
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
    contract::test(|events| server.open(events));
    contract::test_order_over_topics(|events| server.open(events));
    contract::test_nodes(|events| server.open(events));
}
