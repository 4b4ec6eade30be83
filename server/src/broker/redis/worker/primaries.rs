//! The life cycle of primaries: lookup, connection, admission to their partitions, and loss.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use orosync_protocol::ClusterId;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Answer, Complaints, Done, FIRST_PAUSE, Member, Worker};
use crate::broker::redis::calls::{self, milliseconds};
use crate::broker::redis::canary::{Canary, NODE_KEPT_MS, Verdict};
use crate::broker::redis::confirmations::Confirmations;
use crate::broker::redis::connect::{Found, Place};
use crate::broker::redis::keys::Partition;
use crate::broker::redis::primary::{self, Connected, Primary, PrimaryId};
use crate::broker::redis::scripts;
use crate::broker::redis::trouble::Trouble;
use crate::process::unix_time;

/// The maximum delay between two lookups of the primaries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Time limit for connecting to a primary and loading the scripts.
const CONNECT: Duration = Duration::from_secs(10);

/// Time limit for the admission to a partition.
const ENTER: Duration = Duration::from_secs(2);

/// A push connection that ends sooner than this is not replaced at once, because the primary, or a proxy before it, does not
/// keep connections open.
pub(super) const SHORT_LIVED: Duration = Duration::from_secs(1);

impl Worker {
    /// Looks for the primaries after a pause.
    pub(super) fn find_soon(&mut self) {
        let pause = self.finding.pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        let at = Instant::now() + pause;
        self.finding.next = Some(self.finding.next.map_or(at, |next| next.min(at)));
    }

    pub(super) fn find(&mut self) {
        let finding = &mut self.finding;
        finding.next = None;
        finding.is_under_way = true;
        finding.turn += 1;
        if !self.partitions.are_served() {
            finding.pause = (finding.pause * 2).min(LONGEST_PAUSE);
        }
        let (connector, nodes, turn) = (self.connector.clone(), finding.nodes.clone(), finding.turn);
        let (partitions, done) = (self.keys.partitions().collect::<Vec<_>>(), self.done_sender.clone());
        tokio::spawn(async move {
            let found = connector.find(&partitions, &nodes, turn).await;
            let _ = done.send(Done::Found(found));
        });
    }

    pub(super) fn handle_found(&mut self, found: Result<Found, Trouble>) {
        self.finding.is_under_way = false;
        if let Some(every) = self.connector.finds_every() {
            let next = Instant::now() + every;
            self.finding.next = Some(self.finding.next.map_or(next, |known| known.min(next)));
        }
        let Found { primaries, nodes } = match found {
            Ok(found) => found,
            Err(trouble) => {
                self.complaints.tell(&trouble);
                self.find_soon();
                return;
            }
        };
        self.finding.nodes = nodes;
        let missing = primaries.iter().filter(|place| place.is_none()).count();
        if missing > 0 {
            let all = primaries.len();
            self.complaints.tell(&Trouble::new(
                "clusterdown",
                format!(
                    "the Cluster does not serve all slots: {missing} of {all} partitions have no primary, and their \
                     topics wait. See redis-cli --cluster check"
                ),
            ));
            self.find_soon();
        }
        let mut lost = Vec::new();
        let mut entering: BTreeMap<PrimaryId, Vec<Partition>> = BTreeMap::new();
        for (partition, place) in self.keys.partitions().zip(primaries) {
            let known = self.partitions.assigned(partition);
            let is_there =
                known.and_then(|id| self.members.get(&id)).map(|member| &member.place) == place.as_ref();
            if is_there {
                continue;
            }
            if known.is_some() {
                lost.push(partition);
            }
            if let Some(place) = place {
                entering.entry(self.member(place)).or_default().push(partition);
            }
        }
        self.lose(&lost);
        for (id, partitions) in entering {
            for partition in &partitions {
                self.partitions.assign(*partition, id);
            }
            self.enter(id, &partitions);
        }
        let partitions = &self.partitions;
        self.members.retain(|id, _| partitions.of(*id).next().is_some());
    }

    /// The primary at this address. Opens a connection if it is new.
    fn member(&mut self, place: Place) -> PrimaryId {
        if let Some((id, _)) = self.members.iter().find(|(_, member)| member.place == place) {
            return *id;
        }
        self.last_primary += 1;
        let id = PrimaryId(self.last_primary);
        self.members.insert(id, Member { place: place.clone(), up: None });
        let (connector, pushes, done) =
            (self.connector.clone(), self.pushes.clone(), self.done_sender.clone());
        let (keys, verbs) = (self.keys.clone(), self.verbs);
        tokio::spawn(async move {
            let connecting =
                timeout(CONNECT, primary::connect(&connector, &keys, verbs, &place, &pushes)).await;
            let connected = connecting.unwrap_or_else(|_| Err(Trouble::timeout("Redis")));
            let _ = done.send(Done::Connected(id, Box::new(connected)));
        });
        id
    }

    pub(super) fn handle_connected(&mut self, id: PrimaryId, connected: Result<Connected, Trouble>) {
        // The primary may have lost all its partitions meanwhile.
        let Some(member) = self.members.get_mut(&id) else { return };
        match connected {
            Err(trouble) => {
                self.complaints.tell(&trouble);
                self.disconnect(id);
            }
            Ok(connected) => {
                info!(primary = %member.place, "connected to {}", connected.about);
                let primary = Primary::new(connected, Instant::now());
                let has_ended = self.ended.take(primary.pushes_number);
                member.up = Some(primary);
                if has_ended {
                    self.replace_pushes(id);
                }
                self.enter(id, &self.partitions.of(id).collect::<Vec<_>>());
            }
        }
    }

    /// Enters all partitions again after the secrets changed. Redis must learn the new ones while all nodes accept the old
    /// ones.
    pub(super) fn enter_again(&mut self) {
        let up = self.members.iter().filter(|(_, member)| member.up.is_some()).map(|(id, _)| *id);
        for id in up.collect::<Vec<_>>() {
            self.enter(id, &self.partitions.of(id).collect::<Vec<_>>());
        }
    }

    /// Requests admission to these partitions of a primary, once it is connected.
    fn enter(&mut self, id: PrimaryId, partitions: &[Partition]) {
        let Some(primary) = self.members.get(&id).and_then(|member| member.up.as_ref()) else { return };
        for partition in partitions.iter().copied() {
            let commands = primary.commands.clone();
            let command = calls::enter(
                &self.keys,
                partition,
                &primary.run_id,
                self.cluster,
                &self.settings.secrets.borrow(),
            );
            let done = self.done_sender.clone();
            tokio::spawn(async move {
                let entering = timeout(ENTER, commands.ask(command)).await;
                let entered = entering.unwrap_or_else(|_| Err(Trouble::timeout("Redis")));
                let answer = Answer::Entered(calls::entered(entered));
                let _ = done.send(Done::Asked { primary: id, partition, answer });
            });
        }
    }

    pub(super) fn handle_entered(
        &mut self,
        id: PrimaryId,
        partition: Partition,
        entered: Result<Option<ClusterId>, Trouble>,
    ) {
        let trouble = match entered {
            Ok(Some(cluster)) => {
                if partition == Partition::CONTROL {
                    self.join(cluster);
                }
                if self.partitions.enter(partition, id) {
                    self.resubscribe.insert(partition);
                    self.outbox.resume(partition);
                    self.place_canary(id);
                    if self.partitions.are_served() {
                        self.finding.pause = FIRST_PAUSE;
                    }
                }
                return;
            }
            Ok(None) => Trouble::new(
                "secret",
                format!(
                    "other nodes use the prefix \"{}\" on this Redis with another secret. Give each application its own \
                     broker.prefix, and the nodes of one application the same secret",
                    self.settings.redis.prefix
                ),
            ),
            Err(trouble) => trouble,
        };
        self.handle_trouble(id, partition, &trouble);
        if self.partitions.assigned(partition) != Some(id) {
            return;
        }
        if matches!(trouble.cause, "migrating" | "clusterdown" | "noscript") {
            // Other partitions of this primary are not affected.
            self.lose(&[partition]);
            self.find_soon();
        } else {
            self.disconnect(id);
        }
    }

    /// Joins a cluster. If it differs from the previous one, Redis has lost its data and another node has initialized it.
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
        let mut losers = HashSet::new();
        for partition in lost {
            losers.extend(self.partitions.assigned(*partition));
            self.partitions.lose(*partition);
            self.resubscribe.remove(partition);
        }
        let keys = &self.keys;
        self.awaited.retain(|topic, _| !lost.contains(&keys.partition(topic)));
        self.topics.handle_lost(lost);
        for loser in losers {
            self.place_canary(loser);
        }
    }

    /// Disconnects a primary, which cancels its requests.
    pub(super) fn disconnect(&mut self, id: PrimaryId) {
        if self.members.remove(&id).is_some() {
            self.lose(&self.partitions.of(id).collect::<Vec<_>>());
            self.find_soon();
        }
    }

    pub(super) fn replace_pushes(&mut self, id: PrimaryId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(primary) = &mut member.up else { return };
        if primary.pushes_since.elapsed() < SHORT_LIVED {
            // The primaries are looked up again after a delay.
            self.disconnect(id);
            return;
        }
        warn!(primary = %member.place, "published messages do not come back: replacing the push connection");
        primary.pushes = None;
        let number = self.pushes.next_number();
        let (connector, place) = (self.connector.clone(), member.place.clone());
        let (pushes, done) = (self.pushes.clone(), self.done_sender.clone());
        tokio::spawn(async move {
            let pushing = connector.pushes(&place, pushes.sender(number)).await;
            let _ = done.send(Done::Pushing { primary: id, number, pushing });
        });
    }

    pub(super) fn handle_pushing(
        &mut self,
        id: PrimaryId,
        number: u64,
        pushing: Result<MultiplexedConnection, Trouble>,
    ) {
        match pushing {
            Err(trouble) => {
                self.complaints.tell(&trouble);
                self.disconnect(id);
            }
            Ok(pushes) => {
                let has_ended = self.ended.take(number);
                let Some(primary) = self.primary_mut(id) else { return };
                primary.pushes = Some(pushes);
                primary.pushes_number = number;
                primary.pushes_since = Instant::now();
                primary.confirmations = Confirmations::new();
                if has_ended {
                    self.replace_pushes(id);
                    return;
                }
                primary.canary.begin(Instant::now());
                self.subscribe_to_canary(id);
                for partition in self.partitions.of(id).collect::<Vec<_>>() {
                    self.resubscribe.insert(partition);
                    self.partitions.sweep_when_confirmed(partition);
                }
            }
        }
    }

    /// Assigns the primary's canary to the first partition that it serves.
    fn place_canary(&mut self, id: PrimaryId) {
        let first = self.partitions.of(id).find(|at| self.partitions.server(*at) == Some(id));
        let Some(primary) = self.members.get_mut(&id).and_then(|member| member.up.as_mut()) else { return };
        if primary.canary_at != first {
            primary.canary_at = first;
            primary.canary = Canary::new(Instant::now());
            self.subscribe_to_canary(id);
        }
    }

    fn subscribe_to_canary(&self, id: PrimaryId) {
        let Some(primary) = self.members.get(&id).and_then(|member| member.up.as_ref()) else { return };
        if let (Some(pushes), Some(at)) = (&primary.pushes, primary.canary_at) {
            let channel = self.keys.canary(at, &self.settings.node);
            self.ask_for_pushes((id, at), pushes, self.verbs.subscribe, &[channel]);
        }
    }

    pub(super) fn look_at_canary(&mut self, id: PrimaryId, now: Instant) {
        let Some(primary) = self.primary_mut(id) else { return };
        let Some(at) = primary.canary_at else { return };
        let verdict =
            if primary.writes.are_stuck(now) { Verdict::NoAnswer } else { primary.canary.look(now) };
        match verdict {
            Verdict::Well => {}
            Verdict::Send(nonce) => self.send_canary(at, &nonce),
            Verdict::NothingComesBack => self.replace_pushes(id),
            Verdict::NoAnswer => {
                self.complaints.tell(&Trouble::timeout("Redis"));
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
            .arg(NODE_KEPT_MS);
        self.ask(at, command, |answer| Answer::Canary(calls::canary(answer)));
    }

    /// Handles a canary that came back.
    pub(super) fn come_back(&mut self, channel: &str, nonce: &[u8]) {
        let now = Instant::now();
        let (keys, node) = (&self.keys, &self.settings.node);
        let is_its = |primary: &Primary| primary.canary_at.is_some_and(|at| keys.canary(at, node) == channel);
        let primary = self
            .members
            .iter_mut()
            .filter_map(|(id, member)| Some((*id, member.up.as_mut()?)))
            .find(|(_, primary)| is_its(primary));
        let Some((id, primary)) = primary else { return };
        primary.canary.come_back(nonce, now);
        self.partitions.come_back(id, now);
        if self.partitions.count_silent(now) == 0 && !self.report.is_up.swap(true, Ordering::Relaxed) {
            info!("broker: published messages come back");
            self.complaints = Complaints::default();
        }
    }

    pub(super) fn handle_canary(
        &mut self,
        id: PrimaryId,
        partition: Partition,
        answer: Result<(u64, Option<ClusterId>), Trouble>,
    ) {
        let now = Instant::now();
        match answer {
            Ok((milliseconds, cluster)) => {
                let Some(primary) = self.primary_mut(id) else { return };
                primary.canary.answer(now);
                primary.clock = Some((now, milliseconds));
                self.set_clock(now);
                match cluster {
                    Some(cluster) if partition == Partition::CONTROL => self.join(cluster),
                    Some(_) => {}
                    // The epoch and the owner of the prefix are lost as well.
                    None => self.enter(id, &self.partitions.of(id).collect::<Vec<_>>()),
                }
            }
            Err(trouble) => {
                if let Some(primary) = self.primary_mut(id)
                    && !matches!(trouble.cause, "ended" | "connection" | "timeout")
                {
                    primary.canary.refuse(now);
                }
                self.handle_trouble(id, partition, &trouble);
            }
        }
    }

    /// Uses the clock of the primary that is furthest behind, so that a recovery by time returns too much rather than too
    /// little.
    fn set_clock(&mut self, now: Instant) {
        let clocks = self.members.values().filter_map(|member| member.up.as_ref()?.clock);
        let shows = clocks.map(|(then, said)| said + milliseconds(now.saturating_duration_since(then)));
        if let Some(earliest) = shows.min() {
            self.topics.set_clock(now, earliest);
        }
    }

    pub(super) fn primary_mut(&mut self, id: PrimaryId) -> Option<&mut Primary> {
        self.members.get_mut(&id)?.up.as_mut()
    }

    /// The primary that serves this partition.
    pub(super) fn server(&self, partition: Partition) -> Option<(PrimaryId, &Primary)> {
        let id = self.partitions.server(partition)?;
        Some((id, self.members.get(&id)?.up.as_ref()?))
    }
}
