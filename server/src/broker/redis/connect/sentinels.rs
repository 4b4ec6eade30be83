//! Lookup of the primary by Sentinels.
//!
//! All Sentinels of the URL are asked concurrently, and the latest configuration is used. Each failover increases the
//! primary's epoch (`config-epoch`), by which the Sentinels themselves decide between configurations. Within an epoch the
//! primary that most Sentinels name counts. `redis::sentinel`, like most clients, uses the first answer whose primary reports
//! itself as one: this Sentinel may have been cut off together with the old primary, or been restarted with an old
//! configuration. The result is checked on connecting ([`super::examine`]), which refuses replicas.
//!
//! Bound: [`ASKED_PATIENCE`] for all Sentinels together.

use std::collections::HashMap;

use redis::aio::ConnectionLike as _;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, Value,
    from_redis_value,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{ASKED_PATIENCE, Connector, Place, as_user};
use crate::broker::redis::trouble::Trouble;
use crate::config::broker::RedisSettings;

/// The answer of a Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    /// The epoch of its configuration.
    epoch: u64,
    primary: Place,
}

impl Connector {
    /// Looks up the primary with this name.
    pub(super) async fn ask_sentinels(
        &self,
        sentinels: &[(String, u16)],
        master: &str,
    ) -> Result<Place, Trouble> {
        let mut asking = JoinSet::new();
        for (number, (host, port)) in sentinels.iter().enumerate() {
            let (connector, master) = (self.clone(), master.to_owned());
            let sentinel = Place::Tcp(host.clone(), *port);
            asking.spawn(async move {
                let said = timeout(ASKED_PATIENCE, connector.ask_sentinel(&sentinel, &master)).await;
                (number, said.unwrap_or_else(|_| Err(Trouble::timeout(&format!("the Sentinel {sentinel}")))))
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_unstable_by_key(|(number, _)| *number);
        let (mut said, mut troubles) = (Vec::new(), Vec::new());
        for (_, answer) in answers {
            match answer {
                Ok(answer) => said.push(answer),
                Err(trouble) => troubles.push(trouble),
            }
        }
        latest(said).ok_or_else(|| telling(troubles))
    }

    async fn ask_sentinel(&self, sentinel: &Place, master: &str) -> Result<Said, Trouble> {
        let RedisSettings { sentinel_username, passwords, .. } = &self.settings;
        let login = RedisConnectionInfo::default();
        let login = as_user(login, sentinel_username.as_ref(), passwords.sentinel.as_ref());
        let client = self.client(sentinel, login)?;
        let trouble = |error: RedisError| Trouble::of_sentinel(sentinel, &error);
        let [known, address] = ask(&client, master).await.map_err(trouble)?;
        let unexpected = || Trouble::unexpected("a Sentinel");
        let address: Option<(String, u16)> =
            from_redis_value(address.extract_error().map_err(trouble)?).map_err(|_| unexpected())?;
        let (host, port) = address.ok_or_else(|| {
            Trouble::new(
                "unknown_master",
                format!(
                    "the Sentinels know no primary that is called \"{master}\". Check the end of broker.url"
                ),
            )
        })?;
        let known: HashMap<String, String> =
            from_redis_value(known.extract_error().map_err(trouble)?).map_err(|_| unexpected())?;
        let epoch = known.get("config-epoch").and_then(|epoch| epoch.parse().ok());
        Ok(Said { epoch: epoch.ok_or_else(unexpected)?, primary: Place::Tcp(host, port) })
    }
}

/// Asks a Sentinel for a primary's state and then for its address. In this order the address may be newer than the epoch, but
/// never older. At the end of a failover, only the address already belongs to the new primary.
async fn ask(client: &Client, master: &str) -> RedisResult<[Value; 2]> {
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut pipeline = redis::pipe();
    pipeline.cmd("SENTINEL").arg("MASTER").arg(master);
    pipeline.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let answers = connection.req_packed_commands(&pipeline, 0, 2).await?;
    answers.try_into().map_err(|_| (ErrorKind::UnexpectedReturnType, "not two answers").into())
}

/// The primary of the latest epoch. Among several, the one named most often, then the one named first.
fn latest(said: Vec<Said>) -> Option<Place> {
    let epoch = said.iter().map(|said| said.epoch).max()?;
    let named: Vec<Place> =
        said.into_iter().filter(|said| said.epoch == epoch).map(|said| said.primary).collect();
    let count = |place: &Place| named.iter().filter(|named| *named == place).count();
    named.iter().rev().max_by_key(|place| count(place)).cloned()
}

/// The most specific error: preferably one that a Sentinel has answered.
fn telling(mut troubles: Vec<Trouble>) -> Trouble {
    let given = troubles.iter().position(|trouble| !matches!(trouble.cause, "connection" | "timeout"));
    match given {
        Some(at) => troubles.swap_remove(at),
        None => troubles.pop().unwrap_or_else(|| Trouble::unexpected("Sentinel")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answers: &[(u64, u16)]) -> Vec<Said> {
        let said = |(epoch, port)| Said { epoch, primary: Place::Tcp("10.0.0.5".to_owned(), port) };
        answers.iter().copied().map(said).collect()
    }

    #[test]
    fn the_latest_configuration_is_believed_and_within_one_most_of_the_sentinels() {
        for (answers, expected) in [
            (&[(0, 1), (0, 1), (0, 1)][..], Some(1)),
            (&[(3, 1), (4, 2), (3, 1)], Some(2)),
            (&[(4, 2), (3, 1), (3, 1)], Some(2)),
            (&[(0, 1), (0, 2), (0, 2)], Some(2)),
            (&[(0, 2), (0, 1), (0, 2)], Some(2)),
            (&[(0, 1), (0, 2)], Some(1)),
            (&[], None),
        ] {
            let place = expected.map(|port| Place::Tcp("10.0.0.5".to_owned(), port));
            assert_eq!(latest(said(answers)), place, "{answers:?}");
        }
    }

    #[test]
    fn what_a_sentinel_answers_tells_more_than_that_others_do_not() {
        let trouble = |cause| Trouble::new(cause, "");
        let told = telling(vec![trouble("connection"), trouble("unknown_master"), trouble("timeout")]);
        assert_eq!(told.cause, "unknown_master");
        assert_eq!(telling(vec![trouble("connection"), trouble("timeout")]).cause, "timeout");
    }
}
