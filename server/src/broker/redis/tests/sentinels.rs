//! The lookup of the primary by several Sentinels.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::{Server, settings_of};
use crate::broker::redis::address::ServerAddress;
use crate::broker::redis::connect::Connector;
use crate::broker::redis::keys::Partition;
use crate::broker::redis::problem::Problem;
use crate::config::broker::{Password, RedisServers, RedisSettings};

const NAME: &str = "oro";

/// A Sentinel that knows this primary with this epoch.
fn sentinel(primary: u16, epoch: u64) -> Server {
    Server::start_sentinel(&format!(
        "sentinel monitor {NAME} 127.0.0.1 {primary} 1\nsentinel config-epoch {NAME} {epoch}\n"
    ))
}

fn settings(sentinels: &[&Server]) -> RedisSettings {
    let sentinels = sentinels.iter().map(|server| ("127.0.0.1".to_owned(), server.port)).collect();
    settings_of(RedisServers::Sentinel { sentinels, master: NAME.to_owned(), db: 0 }, 0)
}

/// The primary's port.
async fn find(settings: RedisSettings) -> Result<u16, Problem> {
    let topology = Connector::new(settings).look_up(&[Partition::CONTROL], &[], 0).await?;
    match &topology.primaries[..] {
        [Some(ServerAddress::Tcp(_, port))] => Ok(*port),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sentinel_that_missed_a_failover_is_ignored_while_another_answers() {
    let (old, new) = (Server::start(), Server::start());
    let (stale, current) = (sentinel(old.port, 1), sentinel(new.port, 2));
    for sentinels in [[&stale, &current], [&current, &stale]] {
        assert_eq!(find(settings(&sentinels)).await, Ok(new.port));
    }
    let sentinels = settings(&[&stale, &current]);
    drop(current);
    assert_eq!(find(sentinels).await, Ok(old.port));
}

#[tokio::test]
async fn an_unknown_name_is_reported_although_other_sentinels_are_unreachable() {
    let primary = Server::start();
    let (reachable, stopped) = (sentinel(primary.port, 0), sentinel(primary.port, 0));
    let mut settings = settings(&[&reachable, &stopped]);
    drop(stopped);
    assert_eq!(find(settings.clone()).await, Ok(primary.port));
    let RedisServers::Sentinel { master, .. } = &mut settings.servers else { unreachable!() };
    "other".clone_into(master);
    assert_eq!(find(settings).await.unwrap_err().cause, "unknown_master");
}

#[tokio::test]
async fn sentinels_have_their_own_password_and_errors_name_its_setting() {
    let primary = Server::start();
    let monitor = format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", primary.port);
    let sentinel = Server::start_sentinel(&format!("{monitor}requirepass secret\nuser app on >apps +@all\n"));
    let mut settings = settings(&[&sentinel]);
    // The password of Redis differs.
    settings.passwords.redis = Some(Password::new("of Redis".to_owned()));
    for (username, password, cause) in [
        (None, None, Some("noauth")),
        (None, Some("wrong"), Some("wrongpass")),
        (Some("app"), Some("secret"), Some("wrongpass")),
        (None, Some("secret"), None),
        (Some("app"), Some("apps"), None),
    ] {
        settings.sentinel_username = username.map(str::to_owned);
        settings.passwords.sentinel = password.map(|password| Password::new(password.to_owned()));
        let found = find(settings.clone()).await;
        match cause {
            None => assert_eq!(found, Ok(primary.port)),
            Some(cause) => {
                let problem = found.unwrap_err();
                assert_eq!(problem.cause, cause, "{problem}");
                assert!(problem.sentence.contains("broker.sentinel_password_file"), "{problem}");
            }
        }
    }
}

#[tokio::test]
async fn a_silent_sentinel_delays_the_lookup_only_briefly() {
    let primary = Server::start();
    let (reachable, stopped) = (sentinel(primary.port, 0), sentinel(primary.port, 0));
    let settings = settings(&[&stopped, &reachable]);
    drop(stopped);
    let RedisServers::Sentinel { sentinels, .. } = &settings.servers else { unreachable!() };
    let _silent = TcpListener::bind(("127.0.0.1", sentinels[0].1)).unwrap();
    let start = Instant::now();
    assert_eq!(find(settings).await, Ok(primary.port));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
