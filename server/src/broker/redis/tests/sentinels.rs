//! The primary that several Sentinels name.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::{Server, settings_of};
use crate::broker::redis::connect::{Connector, Place};
use crate::broker::redis::keys::Partition;
use crate::broker::redis::trouble::Trouble;
use crate::config::broker::{Password, RedisServers, RedisSettings};

const NAME: &str = "oro";

/// A Sentinel that has heard of this primary by a failover with this epoch.
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
async fn find(settings: RedisSettings) -> Result<u16, Trouble> {
    let found = Connector::new(settings).find(&[Partition::CONTROL], &[], 0).await?;
    match &found.primaries[..] {
        [Some(Place::Tcp(_, port))] => Ok(*port),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sentinel_that_has_missed_a_failover_is_not_believed_while_another_answers() {
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
async fn a_name_that_no_sentinel_knows_is_told_although_others_are_away() {
    let primary = Server::start();
    let (here, away) = (sentinel(primary.port, 0), sentinel(primary.port, 0));
    let mut settings = settings(&[&here, &away]);
    drop(away);
    assert_eq!(find(settings.clone()).await, Ok(primary.port));
    let RedisServers::Sentinel { master, .. } = &mut settings.servers else { unreachable!() };
    "other".clone_into(master);
    assert_eq!(find(settings).await.unwrap_err().cause, "unknown_master");
}

#[tokio::test]
async fn sentinels_that_want_a_password_get_theirs_and_name_the_setting_that_is_missing() {
    let primary = Server::start();
    let monitor = format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", primary.port);
    let sentinel = Server::start_sentinel(&format!("{monitor}requirepass secret\nuser app on >apps +@all\n"));
    let mut settings = settings(&[&sentinel]);
    // Redis has another one, or none.
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
                let trouble = found.unwrap_err();
                assert_eq!(trouble.cause, cause, "{trouble}");
                assert!(trouble.sentence.contains("broker.sentinel_password_file"), "{trouble}");
            }
        }
    }
}

#[tokio::test]
async fn a_sentinel_that_never_answers_holds_up_nobody_for_long() {
    let primary = Server::start();
    let (well, away) = (sentinel(primary.port, 0), sentinel(primary.port, 0));
    let settings = settings(&[&away, &well]);
    drop(away);
    let RedisServers::Sentinel { sentinels, .. } = &settings.servers else { unreachable!() };
    let _silent = TcpListener::bind(("127.0.0.1", sentinels[0].1)).unwrap();
    let start = Instant::now();
    assert_eq!(find(settings).await, Ok(primary.port));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
