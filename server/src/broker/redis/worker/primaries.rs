//! The life cycle of primaries: lookup, connection, admission to their partitions, and loss.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use orosync_protocol::ClusterId;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Answer, Completion, FIRST_DELAY, PrimaryEntry, ProblemLog, Worker};
use crate::broker::redis::address::ServerAddress;
use crate::broker::redis::calls::{self, milliseconds};
use crate::broker::redis::canary::{Canary, CanaryAction, NODE_LISTED_MS};
use crate::broker::redis::confirmations::Confirmations;
use crate::broker::redis::connect::Topology;
use crate::broker::redis::keys::Partition;
use crate::broker::redis::primary::{self, Connected, Primary, PrimaryId};
use crate::broker::redis::problem::Problem;
use crate::broker::redis::scripts;
use crate::process::unix_time;

/// The maximum delay between two lookups of the primaries.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Time limit for connecting to a primary and loading the scripts.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for the admission to a partition.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(2);

/// Minimum lifetime of a push connection that is replaced at once. A shorter one means that the primary, or a proxy in front of
/// it, closes connections.
pub(super) const SHORT_LIVED: Duration = Duration::from_secs(1);

impl Worker {
    /// Schedules a lookup of the primaries after a delay.
    pub(super) fn schedule_lookup(&mut self) {
        let delay = self.lookup.delay.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        let at = Instant::now() + delay;
        self.lookup.next = Some(self.lookup.next.map_or(at, |next| next.min(at)));
    }

    /// Starts a lookup of the primaries.
    pub(super) fn look_up(&mut self) {
        let lookup = &mut self.lookup;
        lookup.next = None;
        lookup.is_in_progress = true;
        lookup.attempts += 1;
        if !self.partitions.are_served() {
            lookup.delay = (lookup.delay * 2).min(MAX_DELAY);
        }
        let (connector, nodes, attempt) = (self.connector.clone(), lookup.nodes.clone(), lookup.attempts);
        let (partitions, completions) =
            (self.keys.partitions().collect::<Vec<_>>(), self.completion_sender.clone());
        tokio::spawn(async move {
            let topology = connector.look_up(&partitions, &nodes, attempt).await;
            let _ = completions.send(Completion::Topology(topology));
        });
    }

    pub(super) fn handle_topology(&mut self, topology: Result<Topology, Problem>) {
        self.lookup.is_in_progress = false;
        if let Some(every) = self.connector.lookup_interval() {
            let next = Instant::now() + every;
            self.lookup.next = Some(self.lookup.next.map_or(next, |known| known.min(next)));
        }
        let Topology { primaries, nodes } = match topology {
            Ok(topology) => topology,
            Err(problem) => {
                self.problem_log.report(&problem);
                self.schedule_lookup();
                return;
            }
        };
        self.lookup.nodes = nodes;
        let missing = primaries.iter().filter(|address| address.is_none()).count();
        if missing > 0 {
            let all = primaries.len();
            self.problem_log.report(&Problem::new(
                "clusterdown",
                format!(
                    "the Cluster does not serve all slots: {missing} of {all} partitions have no primary, and their \
                     topics wait. See redis-cli --cluster check"
                ),
            ));
            self.schedule_lookup();
        }
        let mut lost = Vec::new();
        let mut to_admit: BTreeMap<PrimaryId, Vec<Partition>> = BTreeMap::new();
        for (partition, address) in self.keys.partitions().zip(primaries) {
            let known = self.partitions.assigned(partition);
            let is_unchanged =
                known.and_then(|id| self.primaries.get(&id)).map(|entry| &entry.address) == address.as_ref();
            if is_unchanged {
                continue;
            }
            if known.is_some() {
                lost.push(partition);
            }
            if let Some(address) = address {
                to_admit.entry(self.primary_at(address)).or_default().push(partition);
            }
        }
        self.lose(&lost);
        for (id, partitions) in to_admit {
            for partition in &partitions {
                self.partitions.assign(*partition, id);
            }
            self.request_admission(id, &partitions);
        }
        let partitions = &self.partitions;
        self.primaries.retain(|id, _| partitions.of(*id).next().is_some());
    }

    /// The primary at this address. Starts to connect if it is new.
    fn primary_at(&mut self, address: ServerAddress) -> PrimaryId {
        if let Some((id, _)) = self.primaries.iter().find(|(_, entry)| entry.address == address) {
            return *id;
        }
        self.last_primary += 1;
        let id = PrimaryId(self.last_primary);
        self.primaries.insert(id, PrimaryEntry { address: address.clone(), connected: None });
        let (connector, pushes, completions) =
            (self.connector.clone(), self.pushes.clone(), self.completion_sender.clone());
        let (keys, verbs) = (self.keys.clone(), self.verbs);
        tokio::spawn(async move {
            let connecting =
                timeout(CONNECT_TIMEOUT, primary::connect(&connector, &keys, verbs, &address, &pushes)).await;
            let connected = connecting.unwrap_or_else(|_| Err(Problem::timeout("Redis")));
            let _ = completions.send(Completion::Connected(id, Box::new(connected)));
        });
        id
    }

    pub(super) fn handle_connected(&mut self, id: PrimaryId, connected: Result<Connected, Problem>) {
        // The primary may have lost all its partitions meanwhile.
        let Some(entry) = self.primaries.get_mut(&id) else { return };
        match connected {
            Err(problem) => {
                self.problem_log.report(&problem);
                self.disconnect(id);
            }
            Ok(connected) => {
                info!(primary = %entry.address, "connected to {}", connected.about);
                let primary = Primary::new(connected, Instant::now());
                let has_ended = self.ended.take(primary.push_connection_number);
                entry.connected = Some(primary);
                if has_ended {
                    self.replace_push_connection(id);
                }
                self.request_admission(id, &self.partitions.of(id).collect::<Vec<_>>());
            }
        }
    }

    /// Requests admission to all partitions again after the secrets changed. Redis must store the new secret while all nodes
    /// still accept the old one.
    pub(super) fn renew_admissions(&mut self) {
        let connected =
            self.primaries.iter().filter(|(_, entry)| entry.connected.is_some()).map(|(id, _)| *id);
        for id in connected.collect::<Vec<_>>() {
            self.request_admission(id, &self.partitions.of(id).collect::<Vec<_>>());
        }
    }

    /// Requests admission to these partitions of a primary, once it is connected.
    fn request_admission(&mut self, id: PrimaryId, partitions: &[Partition]) {
        let Some(primary) = self.primaries.get(&id).and_then(|entry| entry.connected.as_ref()) else {
            return;
        };
        for partition in partitions.iter().copied() {
            let commands = primary.commands.clone();
            let command = calls::admit(
                &self.keys,
                partition,
                &primary.run_id,
                self.cluster,
                &self.settings.secrets.borrow(),
            );
            let completions = self.completion_sender.clone();
            tokio::spawn(async move {
                let reply = timeout(ADMISSION_TIMEOUT, commands.ask(command)).await;
                let admitted = reply.unwrap_or_else(|_| Err(Problem::timeout("Redis")));
                let answer = Answer::Admitted(calls::parse_admission(admitted));
                let _ = completions.send(Completion::Answered { primary: id, partition, answer });
            });
        }
    }

    pub(super) fn handle_admission(
        &mut self,
        id: PrimaryId,
        partition: Partition,
        admitted: Result<Option<ClusterId>, Problem>,
    ) {
        let problem = match admitted {
            Ok(Some(cluster)) => {
                if partition == Partition::CONTROL {
                    self.join(cluster);
                }
                if self.partitions.admit(partition, id) {
                    self.resubscribe.insert(partition);
                    self.outbox.resume(partition);
                    self.assign_canary(id);
                    if self.partitions.are_served() {
                        self.lookup.delay = FIRST_DELAY;
                    }
                }
                return;
            }
            Ok(None) => Problem::new(
                "secret",
                format!(
                    "other nodes use the prefix \"{}\" on this Redis with another secret. Give each application its own \
                     broker.prefix, and the nodes of one application the same secret",
                    self.settings.redis.prefix
                ),
            ),
            Err(problem) => problem,
        };
        self.handle_problem(id, partition, &problem);
        if self.partitions.assigned(partition) != Some(id) {
            return;
        }
        if matches!(problem.cause, "migrating" | "clusterdown" | "noscript") {
            // Other partitions of this primary are not affected.
            self.lose(&[partition]);
            self.schedule_lookup();
        } else {
            self.disconnect(id);
        }
    }

    /// Joins a cluster. If its id differs from the previous one, Redis has lost its data and another node has initialized it.
    fn join(&mut self, cluster: ClusterId) {
        let now = unix_time();
        if self.report.cluster.membership(now).is_none() {
            info!(%cluster, "broker: this node has joined a cluster");
        } else if self.cluster != cluster {
            warn!(%cluster, before = %self.cluster, "broker: Redis has lost its data: this node has joined another cluster");
        }
        self.cluster = cluster;
        self.report.cluster.join(cluster, now);
    }

    /// Notes that these partitions have lost their primary.
    pub(super) fn lose(&mut self, lost: &[Partition]) {
        if lost.is_empty() {
            return;
        }
        let mut former_primaries = HashSet::new();
        for partition in lost {
            former_primaries.extend(self.partitions.assigned(*partition));
            self.partitions.lose(*partition);
            self.resubscribe.remove(partition);
        }
        let keys = &self.keys;
        self.unconfirmed.retain(|topic, _| !lost.contains(&keys.partition(topic)));
        self.topics.handle_lost(lost);
        for primary in former_primaries {
            self.assign_canary(primary);
        }
    }

    /// Disconnects a primary, which cancels its requests.
    pub(super) fn disconnect(&mut self, id: PrimaryId) {
        if self.primaries.remove(&id).is_some() {
            self.lose(&self.partitions.of(id).collect::<Vec<_>>());
            self.schedule_lookup();
        }
    }

    pub(super) fn replace_push_connection(&mut self, id: PrimaryId) {
        let Some(entry) = self.primaries.get_mut(&id) else { return };
        let Some(primary) = &mut entry.connected else { return };
        if primary.push_connection_opened.elapsed() < SHORT_LIVED {
            // The primaries are looked up again after a delay.
            self.disconnect(id);
            return;
        }
        warn!(primary = %entry.address, "the push connection has ended or is silent. Replacing it");
        primary.pushes = None;
        let number = self.pushes.next_number();
        let (connector, address) = (self.connector.clone(), entry.address.clone());
        let (pushes, completions) = (self.pushes.clone(), self.completion_sender.clone());
        tokio::spawn(async move {
            let connection = connector.pushes(&address, pushes.sender(number)).await;
            let _ = completions.send(Completion::PushConnection { primary: id, number, connection });
        });
    }

    pub(super) fn handle_push_connection(
        &mut self,
        id: PrimaryId,
        number: u64,
        connection: Result<MultiplexedConnection, Problem>,
    ) {
        match connection {
            Err(problem) => {
                self.problem_log.report(&problem);
                self.disconnect(id);
            }
            Ok(pushes) => {
                let has_ended = self.ended.take(number);
                let Some(primary) = self.primary_mut(id) else { return };
                primary.pushes = Some(pushes);
                primary.push_connection_number = number;
                primary.push_connection_opened = Instant::now();
                primary.confirmations = Confirmations::new();
                if has_ended {
                    self.replace_push_connection(id);
                    return;
                }
                primary.canary.handle_new_connection(Instant::now());
                self.subscribe_to_canary(id);
                for partition in self.partitions.of(id).collect::<Vec<_>>() {
                    self.resubscribe.insert(partition);
                    self.partitions.sweep_when_confirmed(partition);
                }
            }
        }
    }

    /// Assigns the primary's canary to the first partition that it serves.
    fn assign_canary(&mut self, id: PrimaryId) {
        let first = self.partitions.of(id).find(|at| self.partitions.serving(*at) == Some(id));
        let Some(primary) = self.primaries.get_mut(&id).and_then(|entry| entry.connected.as_mut()) else {
            return;
        };
        if primary.canary_partition != first {
            primary.canary_partition = first;
            primary.canary = Canary::new(Instant::now());
            self.subscribe_to_canary(id);
        }
    }

    fn subscribe_to_canary(&self, id: PrimaryId) {
        let Some(primary) = self.primaries.get(&id).and_then(|entry| entry.connected.as_ref()) else {
            return;
        };
        if let (Some(pushes), Some(at)) = (&primary.pushes, primary.canary_partition) {
            let channel = self.keys.canary(at, &self.settings.node);
            self.send_on_push_connection((id, at), pushes, self.verbs.subscribe, &[channel]);
        }
    }

    pub(super) fn check_canary(&mut self, id: PrimaryId, now: Instant) {
        let Some(primary) = self.primary_mut(id) else { return };
        let Some(at) = primary.canary_partition else { return };
        let action =
            if primary.writes.are_stuck(now) { CanaryAction::Disconnect } else { primary.canary.poll(now) };
        match action {
            CanaryAction::Nothing => {}
            CanaryAction::Send(nonce) => self.send_canary(at, &nonce),
            CanaryAction::ReplacePushConnection => self.replace_push_connection(id),
            CanaryAction::Disconnect => {
                self.problem_log.report(&Problem::timeout("Redis"));
                self.disconnect(id);
            }
        }
    }

    fn send_canary(&self, at: Partition, nonce: &str) {
        let mut command = scripts::call(&scripts::CANARY, &[self.keys.nodes(at), self.keys.id(at)]);
        command
            .arg(self.verbs.publish)
            .arg(self.keys.canary(at, &self.settings.node))
            .arg(nonce)
            .arg(&self.settings.node)
            .arg(self.description.text(&self.metrics, &self.settings.rules_hash.borrow()))
            .arg(NODE_LISTED_MS);
        self.ask(at, command, |answer| Answer::Canary(calls::parse_canary(answer)));
    }

    /// Handles a pushed canary.
    pub(super) fn handle_canary_push(&mut self, channel: &str, nonce: &[u8]) {
        let now = Instant::now();
        let (keys, node) = (&self.keys, &self.settings.node);
        let is_sender =
            |primary: &Primary| primary.canary_partition.is_some_and(|at| keys.canary(at, node) == channel);
        let primary = self
            .primaries
            .iter_mut()
            .filter_map(|(id, entry)| Some((*id, entry.connected.as_mut()?)))
            .find(|(_, primary)| is_sender(primary));
        let Some((id, primary)) = primary else { return };
        primary.canary.handle_push(nonce, now);
        self.partitions.note_canary(id, now);
        if self.partitions.count_silent(now) == 0 && !self.report.is_up.swap(true, Ordering::Relaxed) {
            info!("broker: the node is ready, because Redis pushes its canaries");
            self.problem_log = ProblemLog::default();
        }
    }

    pub(super) fn handle_canary_reply(
        &mut self,
        id: PrimaryId,
        partition: Partition,
        answer: Result<(u64, Option<ClusterId>), Problem>,
    ) {
        let now = Instant::now();
        match answer {
            Ok((milliseconds, cluster)) => {
                let Some(primary) = self.primary_mut(id) else { return };
                primary.canary.handle_reply(now);
                primary.clock = Some((now, milliseconds));
                self.set_clock(now);
                match cluster {
                    Some(cluster) if partition == Partition::CONTROL => self.join(cluster),
                    Some(_) => {}
                    // Redis has lost the epoch and the secret as well.
                    None => self.request_admission(id, &self.partitions.of(id).collect::<Vec<_>>()),
                }
            }
            Err(problem) => {
                if let Some(primary) = self.primary_mut(id)
                    && !matches!(problem.cause, "ended" | "connection" | "timeout")
                {
                    primary.canary.handle_refusal(now);
                }
                self.handle_problem(id, partition, &problem);
            }
        }
    }

    /// Uses the clock of the primary that is furthest behind, so that a recovery by time returns too many events rather than too
    /// few.
    fn set_clock(&mut self, now: Instant) {
        let clocks = self.primaries.values().filter_map(|entry| entry.connected.as_ref()?.clock);
        let readings =
            clocks.map(|(then, reading)| reading + milliseconds(now.saturating_duration_since(then)));
        if let Some(earliest) = readings.min() {
            self.topics.set_clock(now, earliest);
        }
    }

    pub(super) fn primary_mut(&mut self, id: PrimaryId) -> Option<&mut Primary> {
        self.primaries.get_mut(&id)?.connected.as_mut()
    }

    /// The primary that serves this partition.
    pub(super) fn serving(&self, partition: Partition) -> Option<(PrimaryId, &Primary)> {
        let id = self.partitions.serving(partition)?;
        Some((id, self.primaries.get(&id)?.connected.as_ref()?))
    }
}
