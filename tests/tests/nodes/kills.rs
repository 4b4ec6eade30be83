//! Nodes that are killed.

use orosync_tests::nodes::Nodes;
use orosync_tests::redis::Redis;

use super::LONG_HISTORY;
use super::load::Load;

const KILLS: usize = 20;

#[test]
fn twenty_kills_of_nodes_lose_duplicate_and_reorder_nothing() {
    let redis = Redis::start();
    let mut nodes = Nodes::start(3, &redis.url(), LONG_HISTORY);
    let load = Load::on(&nodes);
    for kill in 0..KILLS {
        nodes.kill(kill % 3);
        load.await_events();
        nodes.start_again(kill % 3);
    }
    assert!(load.moves() >= KILLS, "each kill moves at least one session");
    let ended = load.assert_complete();
    assert!(ended.iter().any(|ended| ended.reconnects > 0), "{ended:?}");
}
