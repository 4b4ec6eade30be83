//! A connected primary: a connection for commands and one for pushes. If `broker.wait_replicas` is set, it has a third one for
//! writes, because WAIT blocks its connection.
//!
//! Only (UN)SUBSCRIBE, or S(UN)SUBSCRIBE in a Cluster, is sent on the push connection. A subscription is confirmed by the
//! confirming push, not by the answer: the client library takes the first confirming push for the answer, whichever request it
//! belongs to, and a moving slot causes such pushes unasked. An error may therefore be attributed to another request, or be
//! lost. So errors are only logged here, and unconfirmed subscriptions are requested again.
//!
//! Bounds: [`MAX_CALLS`] calls in flight. Every request ends, at the latest with its connection, which is closed when the canary
//! gets no answer ([`super::canary`]), or writes get none for [`WRITE_TIMEOUT`].

use std::future::Future;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, Value};
use tokio::sync::watch;

use super::address::ServerAddress;
use super::calls::{Verbs, milliseconds};
use super::canary::Canary;
use super::confirmations::Confirmations;
use super::connect::{Connector, check_server};
use super::keys::{Keys, Partition};
use super::problem::Problem;
use super::pushes::Pushes;
use super::{rights, scripts};

/// Maximum number of calls in flight. More do not increase the throughput of Redis.
const MAX_CALLS: usize = 128;

/// Maximum number of channels per SUBSCRIBE.
pub(super) const MAX_CHANNELS: usize = 500;

/// Time limit of WAIT, after which the write is retried.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time without an answer to any write after which the connection is closed. Redis executes writes one after the other, each
/// for up to [`WAIT_TIMEOUT`].
const WRITE_TIMEOUT: Duration = Duration::from_secs(4);

/// Id of the connections to a primary. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PrimaryId(pub(super) u64);

/// The connections to a primary, and its state.
#[derive(Debug)]
pub(super) struct Primary {
    /// The run id of its process.
    pub(super) run_id: String,
    pub(super) commands: Commands,
    pub(super) writes: Writes,
    /// The push connection. `None`: it is being replaced.
    pub(super) pushes: Option<MultiplexedConnection>,
    pub(super) push_connection_number: u64,
    /// When the push connection was opened.
    pub(super) push_connection_opened: Instant,
    /// The confirmations of subscriptions on the push connection.
    pub(super) confirmations: Confirmations,
    /// The partition in which its canary is published. `None`: it serves no partition.
    pub(super) canary_partition: Option<Partition>,
    pub(super) canary: Canary,
    /// The last reading of its clock (Unix time in milliseconds), and when it was taken.
    pub(super) clock: Option<(Instant, u64)>,
    /// Dropped with the primary, which cancels everything in flight.
    _end: watch::Sender<()>,
}

/// The result of [`connect`]: open connections that are not in use yet.
pub(super) struct Connected {
    pub(super) about: String,
    run_id: String,
    commands: MultiplexedConnection,
    writes: MultiplexedConnection,
    pushes: MultiplexedConnection,
    push_connection_number: u64,
}

/// Opens the connections to a primary, checks that nodes can share it, and loads the scripts.
pub(super) async fn connect(
    connector: &Connector,
    keys: &Keys,
    verbs: Verbs,
    address: &ServerAddress,
    pushes: &Pushes,
) -> Result<Connected, Problem> {
    let mut commands = connector.commands(address).await?;
    let about = check_server(&mut commands, connector.is_cluster()).await?;
    let push_connection_number = pushes.next_number();
    let mut pushes = connector.pushes(address, pushes.sender(push_connection_number)).await?;
    rights::check(&mut commands, &mut pushes, keys, verbs, connector.waits_for_replicas()).await?;
    for script in scripts::all() {
        script.load_async(&mut commands).await?;
    }
    let writes =
        if connector.waits_for_replicas() { connector.commands(address).await? } else { commands.clone() };
    Ok(Connected {
        about: about.version,
        run_id: about.run_id,
        commands,
        writes,
        pushes,
        push_connection_number,
    })
}

impl Primary {
    pub(super) fn new(connected: Connected, now: Instant) -> Self {
        let (end, ended) = watch::channel(());
        let writes = Commands { connection: connected.writes, ended: ended.clone() };
        Self {
            run_id: connected.run_id,
            commands: Commands { connection: connected.commands, ended },
            writes: Writes { commands: writes, in_flight: 0, progress: now },
            pushes: Some(connected.pushes),
            push_connection_number: connected.push_connection_number,
            push_connection_opened: now,
            confirmations: Confirmations::new(),
            canary_partition: None,
            canary: Canary::new(now),
            clock: None,
            _end: end,
        }
    }
}

/// The writes in flight.
#[derive(Debug)]
pub(super) struct Writes {
    commands: Commands,
    in_flight: usize,
    /// When the last answer arrived, or when the first of these writes was sent.
    progress: Instant,
}

impl Writes {
    /// Whether another call may begin.
    pub(super) fn have_room(&self) -> bool {
        self.in_flight < MAX_CALLS
    }

    /// Notes the start of a write. Returns its connection.
    pub(super) fn begin(&mut self, now: Instant) -> Commands {
        if self.in_flight == 0 {
            self.progress = now;
        }
        self.in_flight += 1;
        self.commands.clone()
    }

    /// Notes the answer to a write.
    pub(super) fn end(&mut self, now: Instant) {
        self.in_flight -= 1;
        self.progress = now;
    }

    /// Whether writes have got no answer for [`WRITE_TIMEOUT`].
    pub(super) fn are_stuck(&self, now: Instant) -> bool {
        self.in_flight > 0 && now.saturating_duration_since(self.progress) > WRITE_TIMEOUT
    }
}

/// A connection for commands. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    connection: MultiplexedConnection,
    ended: watch::Receiver<()>,
}

impl Commands {
    /// Sends a command and returns its answer.
    pub(super) async fn ask(mut self, command: Cmd) -> Result<Value, Problem> {
        let asking = self.connection.req_packed_command(&command);
        Ok(until_ended(&mut self.ended, asking).await?.extract_error()?)
    }

    /// Sends a write, and waits until this many replicas have it.
    pub(super) async fn write(mut self, command: Cmd, replicas: u32) -> Result<Value, Problem> {
        if replicas == 0 {
            return self.ask(command).await;
        }
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command);
        pipeline.cmd("WAIT").arg(replicas).arg(milliseconds(WAIT_TIMEOUT));
        let asking = self.connection.req_packed_commands(&pipeline, 0, 2);
        let answers = until_ended(&mut self.ended, asking).await?;
        let [answer, have]: [Value; 2] = answers.try_into().map_err(|_| Problem::unexpected("Redis"))?;
        let answer = answer.extract_error()?;
        let have: u32 =
            redis::from_redis_value(have.extract_error()?).map_err(|_| Problem::unexpected("Redis"))?;
        if have < replicas {
            return Err(Problem::new(
                "replicas",
                format!(
                    "{have} replicas have a write, and broker.wait_replicas requires {replicas}. Nothing is acknowledged until \
                     then"
                ),
            ));
        }
        Ok(answer)
    }

    /// Loads all scripts, in order before later commands.
    pub(super) async fn load_scripts(mut self) {
        for script in scripts::all() {
            let loading = script.load_async(&mut self.connection);
            if until_ended(&mut self.ended, loading).await.is_err() {
                return;
            }
        }
    }
}

async fn until_ended<T>(
    ended: &mut watch::Receiver<()>,
    asking: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Problem> {
    tokio::select! {
        answer = asking => Ok(answer?),
        _ = ended.changed() => Err(Problem::ended()),
    }
}
