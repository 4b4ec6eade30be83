//! A primary that is connected: a connection for commands and one for what it pushes; where `broker.wait_replicas` is set, another
//! for what is written: Redis answers nothing on a connection on which somebody waits for replicas.
//!
//! On the connection for pushes nothing is sent but (UN)SUBSCRIBE, or S(UN)SUBSCRIBE in a Cluster. What confirms a subscription is
//! the push that says so, not the answer: the client takes the first push of a kind that confirms for the answer, whichever request
//! it belongs to, and a slot that moves brings such pushes unasked. An error may so be taken for that of another request, or be lost.
//! Therefore an error here is only told, and what stays unconfirmed is asked for again.
//!
//! Bounds: [`CALLS`] calls under way. Each request ends: with its connection at the latest, which is given up when the canary is not
//! answered ([`super::canary`]), or nothing of what is written for [`WRITE_PATIENCE`].

use std::future::Future;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, Value};
use tokio::sync::watch;

use super::calls::{Verbs, milliseconds};
use super::canary::Canary;
use super::confirmations::Confirmations;
use super::connect::{Connector, Place, examine};
use super::keys::{Keys, Partition};
use super::pushes::Pushes;
use super::trouble::Trouble;
use super::{rights, scripts};

/// Calls that may be under way. More do not make Redis faster.
const CALLS: usize = 128;

/// Channels of one SUBSCRIBE.
pub(super) const CHANNELS: usize = 500;

/// How long WAIT waits for replicas; then what was written is sent again.
const REPLICAS_PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing may be answered of what is being written. Each write takes as long as [`REPLICAS_PATIENCE`], and they follow one
/// another.
const WRITE_PATIENCE: Duration = Duration::from_secs(4);

/// Which of several connections, over time, to all primaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PrimaryId(pub(super) u64);

/// The connections to one primary, and what is known of it.
#[derive(Debug)]
pub(super) struct Primary {
    /// Of its process.
    pub(super) run_id: String,
    pub(super) commands: Commands,
    pub(super) writes: Writes,
    /// None: it is being replaced.
    pub(super) pushes: Option<MultiplexedConnection>,
    pub(super) pushes_number: u64,
    /// When that was opened.
    pub(super) pushes_since: Instant,
    /// Of what was asked for on that connection.
    pub(super) confirmations: Confirmations,
    /// Where its canary is published. None: it has no partition.
    pub(super) canary_at: Option<Partition>,
    pub(super) canary: Canary,
    /// What its clock said when: milliseconds since 1970.
    pub(super) clock: Option<(Instant, u64)>,
    /// Dropped with it: that ends what is under way.
    _end: watch::Sender<()>,
}

/// Connections that were opened, and are not in use yet.
pub(super) struct Connected {
    pub(super) about: String,
    run_id: String,
    commands: MultiplexedConnection,
    writes: MultiplexedConnection,
    pushes: MultiplexedConnection,
    pushes_number: u64,
}

/// Opens the connections of a primary that nodes can share, and tells it the scripts.
pub(super) async fn connect(
    connector: &Connector,
    keys: &Keys,
    verbs: Verbs,
    place: &Place,
    pushes: &Pushes,
) -> Result<Connected, Trouble> {
    let mut commands = connector.commands(place).await?;
    let about = examine(&mut commands, connector.is_cluster()).await?;
    let pushes_number = pushes.next_number();
    let mut pushes = connector.pushes(place, pushes.sender(pushes_number)).await?;
    rights::check(&mut commands, &mut pushes, keys, verbs, connector.waits_for_replicas()).await?;
    for script in scripts::all() {
        script.load_async(&mut commands).await?;
    }
    let writes =
        if connector.waits_for_replicas() { connector.commands(place).await? } else { commands.clone() };
    Ok(Connected { about: about.version, run_id: about.run_id, commands, writes, pushes, pushes_number })
}

impl Primary {
    pub(super) fn new(connected: Connected, now: Instant) -> Self {
        let (end, ended) = watch::channel(());
        let writes = Commands { connection: connected.writes, ended: ended.clone() };
        Self {
            run_id: connected.run_id,
            commands: Commands { connection: connected.commands, ended },
            writes: Writes { commands: writes, under_way: 0, progress: now },
            pushes: Some(connected.pushes),
            pushes_number: connected.pushes_number,
            pushes_since: now,
            confirmations: Confirmations::new(),
            canary_at: None,
            canary: Canary::new(now),
            clock: None,
            _end: end,
        }
    }
}

/// What is being written.
#[derive(Debug)]
pub(super) struct Writes {
    commands: Commands,
    under_way: usize,
    /// When one was answered last, or the first of them began.
    progress: Instant,
}

impl Writes {
    /// Whether another call may begin.
    pub(super) fn have_room(&self) -> bool {
        self.under_way < CALLS
    }

    /// One begins, on this connection.
    pub(super) fn begin(&mut self, now: Instant) -> Commands {
        if self.under_way == 0 {
            self.progress = now;
        }
        self.under_way += 1;
        self.commands.clone()
    }

    /// One was answered.
    pub(super) fn end(&mut self, now: Instant) {
        self.under_way -= 1;
        self.progress = now;
    }

    /// Whether nothing is answered any more.
    pub(super) fn are_stuck(&self, now: Instant) -> bool {
        self.under_way > 0 && now.saturating_duration_since(self.progress) > WRITE_PATIENCE
    }
}

/// A connection for commands. Its clones share it.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    connection: MultiplexedConnection,
    ended: watch::Receiver<()>,
}

impl Commands {
    /// One command, and what it answers.
    pub(super) async fn ask(mut self, command: Cmd) -> Result<Value, Trouble> {
        let asking = self.connection.req_packed_command(&command);
        Ok(until_ended(&mut self.ended, asking).await?.extract_error()?)
    }

    /// A command that writes, and whose effect is acknowledged when so many replicas have it.
    pub(super) async fn write(mut self, command: Cmd, replicas: u32) -> Result<Value, Trouble> {
        if replicas == 0 {
            return self.ask(command).await;
        }
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command);
        pipeline.cmd("WAIT").arg(replicas).arg(milliseconds(REPLICAS_PATIENCE));
        let asking = self.connection.req_packed_commands(&pipeline, 0, 2);
        let answers = until_ended(&mut self.ended, asking).await?;
        let [answer, have]: [Value; 2] = answers.try_into().map_err(|_| Trouble::unexpected("Redis"))?;
        let answer = answer.extract_error()?;
        let have: u32 =
            redis::from_redis_value(have.extract_error()?).map_err(|_| Trouble::unexpected("Redis"))?;
        if have < replicas {
            return Err(Trouble::new(
                "replicas",
                format!(
                    "{have} replicas have what was published, and broker.wait_replicas wants {replicas}: nothing is \
                     acknowledged until they have"
                ),
            ));
        }
        Ok(answer)
    }

    /// Tells it all scripts, in order with what is asked behind it.
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
) -> Result<T, Trouble> {
    tokio::select! {
        answer = asking => Ok(answer?),
        _ = ended.changed() => Err(Trouble::ended()),
    }
}
