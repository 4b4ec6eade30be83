//! Several applications on one Redis.

use std::time::Duration;

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::nodes::{Nodes, broker};
use orosync_tests::redis::Redis;
use orosync_tests::server::Server;
use orosync_tests::source::Source;
use orosync_tests::wait;
use serde_json::json;

use super::LONG_HISTORY;

#[test]
fn applications_with_different_prefixes_are_isolated() {
    let redis = Redis::start();
    let names = ["shop", "shop2"];
    let configurations =
        names.map(|name| format!("{LONG_HISTORY}\n{}prefix = \"{name}\"\n", broker(&redis.url())));
    let nodes = Nodes::start_each(configurations);
    let mut pages = [0, 1].map(|number| Client::user(nodes.node(number), OROSYNC, 7));
    for page in &mut pages {
        page.recover("acme/orders", &json!({}));
    }
    for (number, name) in names.into_iter().enumerate() {
        Source::to(&nodes.node(number).endpoint()).publish_all("acme/orders", [name]);
    }
    for (page, name) in pages.iter_mut().zip(names) {
        assert_eq!(page.event("acme/orders").payload, name);
        page.assert_no_message();
    }
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]);
    assert!(keys.iter().all(|key| key.starts_with("shop:") || key.starts_with("shop2:")), "{keys:?}");
}

#[test]
fn a_node_with_another_secret_is_refused_and_logs_the_reason() {
    let redis = Redis::start();
    let nodes = Nodes::start(1, &redis.url(), LONG_HISTORY);
    let secret = redis.directory().join("secret");
    std::fs::write(&secret, "quite another secret, longer than 32 bytes").unwrap();
    let configuration =
        format!("[auth]\nsecret_file = \"{}\"\n{LONG_HISTORY}\n{}", secret.display(), broker(&redis.url()));
    let mut other = Server::start_with(&configuration);
    let line = other.await_line("with another secret");
    assert!(line.contains("broker.prefix"), "{line}");
    wait::let_pass(Duration::from_secs(2), "the node stays refused");
    let answer = other.admin("/readyz");
    assert!(answer.ends_with("\r\n\r\nbroker\n"), "{answer}");
    assert!(super::is_ready(nodes.node(0)));
}
