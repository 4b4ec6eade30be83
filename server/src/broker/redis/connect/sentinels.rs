//! Lookup of the primary by Sentinels.
//!
//! All Sentinels of the URL are asked concurrently, and the latest configuration is used. Each failover increases the
//! primary's epoch (`config-epoch`), by which the Sentinels themselves decide between configurations. Within an epoch the
//! primary that most Sentinels name counts. `redis::sentinel`, like most clients, uses the first answer whose primary reports
//! itself as one: this Sentinel may have been cut off together with the old primary, or been restarted with an old
//! configuration. The result is checked on connecting ([`super::check_server`]), which refuses replicas.
//!
//! Bound: [`LOOKUP_TIMEOUT`] for all Sentinels together.

use std::collections::HashMap;

use redis::aio::ConnectionLike as _;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, Value,
    from_redis_value,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Connector, LOOKUP_TIMEOUT, as_user};
use crate::broker::redis::address::ServerAddress;
use crate::broker::redis::problem::Problem;
use crate::config::broker::RedisSettings;

/// The primary that a Sentinel names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// The epoch of its configuration.
    epoch: u64,
    primary: ServerAddress,
}

impl Connector {
    /// Looks up the primary with this name.
    pub(super) async fn ask_sentinels(
        &self,
        sentinels: &[(String, u16)],
        master: &str,
    ) -> Result<ServerAddress, Problem> {
        let mut asking = JoinSet::new();
        for (number, (host, port)) in sentinels.iter().enumerate() {
            let (connector, master) = (self.clone(), master.to_owned());
            let sentinel = ServerAddress::Tcp(host.clone(), *port);
            asking.spawn(async move {
                let reply = timeout(LOOKUP_TIMEOUT, connector.ask_sentinel(&sentinel, &master)).await;
                (number, reply.unwrap_or_else(|_| Err(Problem::timeout(&format!("the Sentinel {sentinel}")))))
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_unstable_by_key(|(number, _)| *number);
        let (mut replies, mut problems) = (Vec::new(), Vec::new());
        for (_, answer) in answers {
            match answer {
                Ok(answer) => replies.push(answer),
                Err(problem) => problems.push(problem),
            }
        }
        latest(replies).ok_or_else(|| most_specific(problems))
    }

    async fn ask_sentinel(&self, sentinel: &ServerAddress, master: &str) -> Result<Named, Problem> {
        let RedisSettings { sentinel_username, passwords, .. } = &self.settings;
        let login = RedisConnectionInfo::default();
        let login = as_user(login, sentinel_username.as_ref(), passwords.sentinel.as_ref());
        let client = self.client(sentinel, login)?;
        let problem = |error: RedisError| Problem::of_sentinel(sentinel, &error);
        let [known, address] = ask(&client, master).await.map_err(problem)?;
        let unexpected = || Problem::unexpected("a Sentinel");
        let address: Option<(String, u16)> =
            from_redis_value(address.extract_error().map_err(problem)?).map_err(|_| unexpected())?;
        let (host, port) = address.ok_or_else(|| {
            Problem::new(
                "unknown_master",
                format!(
                    "the Sentinels do not know a primary named \"{master}\". Check the name at the end of broker.url"
                ),
            )
        })?;
        let known: HashMap<String, String> =
            from_redis_value(known.extract_error().map_err(problem)?).map_err(|_| unexpected())?;
        let epoch = known.get("config-epoch").and_then(|epoch| epoch.parse().ok());
        Ok(Named { epoch: epoch.ok_or_else(unexpected)?, primary: ServerAddress::Tcp(host, port) })
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
fn latest(replies: Vec<Named>) -> Option<ServerAddress> {
    let epoch = replies.iter().map(|reply| reply.epoch).max()?;
    let named: Vec<ServerAddress> =
        replies.into_iter().filter(|reply| reply.epoch == epoch).map(|reply| reply.primary).collect();
    let count = |address: &ServerAddress| named.iter().filter(|named| *named == address).count();
    named.iter().rev().max_by_key(|address| count(address)).cloned()
}

/// The most specific error: preferably one that a Sentinel has answered.
fn most_specific(mut problems: Vec<Problem>) -> Problem {
    let given = problems.iter().position(|problem| !matches!(problem.cause, "connection" | "timeout"));
    match given {
        Some(at) => problems.swap_remove(at),
        None => problems.pop().unwrap_or_else(|| Problem::unexpected("Sentinel")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(answers: &[(u64, u16)]) -> Vec<Named> {
        let reply = |(epoch, port)| Named { epoch, primary: ServerAddress::Tcp("10.0.0.5".to_owned(), port) };
        answers.iter().copied().map(reply).collect()
    }

    #[test]
    fn the_latest_configuration_counts_and_within_it_the_majority() {
        for (answers, expected) in [
            (&[(0, 1), (0, 1), (0, 1)][..], Some(1)),
            (&[(3, 1), (4, 2), (3, 1)], Some(2)),
            (&[(4, 2), (3, 1), (3, 1)], Some(2)),
            (&[(0, 1), (0, 2), (0, 2)], Some(2)),
            (&[(0, 2), (0, 1), (0, 2)], Some(2)),
            (&[(0, 1), (0, 2)], Some(1)),
            (&[], None),
        ] {
            let address = expected.map(|port| ServerAddress::Tcp("10.0.0.5".to_owned(), port));
            assert_eq!(latest(replies(answers)), address, "{answers:?}");
        }
    }

    #[test]
    fn the_error_of_a_sentinel_is_preferred_to_those_of_unreachable_ones() {
        let of = |cause| Problem::new(cause, "");
        let problem = most_specific(vec![of("connection"), of("unknown_master"), of("timeout")]);
        assert_eq!(problem.cause, "unknown_master");
        assert_eq!(most_specific(vec![of("connection"), of("timeout")]).cause, "timeout");
    }
}
