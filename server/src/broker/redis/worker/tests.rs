//! The broker's loop, iteration by iteration, with a real server.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use orosync_protocol::SessionId;
use orosync_protocol::disconnect::Disconnect;

use super::super::INBOUND_BYTES;
use super::super::record;
use super::super::tests::traffic::Witness;
use super::super::tests::{Server, settings};
use super::primaries::SHORT_LIVED;
use super::*;
use crate::auth::replay::FirstUse;
use crate::auth::used::TicketUse;
use crate::process::unix_time;

/// Time limit of each wait.
const LONG: Duration = Duration::from_secs(20);

/// A worker whose iterations the test runs.
struct Stage {
    worker: Worker,
    commands: UnboundedSender<BrokerCommand>,
    tick: Interval,
}

type UseResult = Arc<Mutex<Option<FirstUse>>>;

impl Stage {
    /// A worker before its first iteration.
    fn new(server: &Server) -> Self {
        let (commands, inbox) = unbounded_channel();
        let inbound = CreditPool::new(usize::MAX, INBOUND_BYTES, || {});
        let report = Report { is_up: Arc::new(AtomicBool::new(false)), cluster: Arc::default() };
        let events = Arc::<Witness>::default();
        let settings = settings(server.servers(), 0);
        let worker = Worker::new(settings, events, inbox, inbound, report, Arc::new(Metrics::new()));
        Self { worker, commands, tick: interval(TICK) }
    }

    /// A worker that has read the disconnects.
    async fn started(server: &Server) -> Self {
        let mut stage = Self::new(server);
        stage.run_until(|worker| worker.topics.knows(&worker.control, None)).await;
        stage
    }

    async fn run_until(&mut self, condition: impl Fn(&Worker) -> bool) {
        let turning = async {
            while !condition(&self.worker) {
                assert!(self.worker.iterate(&mut self.tick).await);
            }
        };
        tokio::time::timeout(LONG, turning).await.expect("the condition is met in time");
    }

    /// Returns the next completion for which `is_it` is true, without handling it. Handles everything else.
    async fn next_completion(&mut self, is_it: impl Fn(&Completion) -> bool) -> Completion {
        let worker = &mut self.worker;
        let waiting = async {
            loop {
                tokio::select! {
                    Some(completion) = worker.completions.recv() => {
                        if is_it(&completion) {
                            return completion;
                        }
                        worker.handle_completion(completion);
                    }
                    Some(command) = worker.inbox.recv() => worker.handle_commands(command),
                    Some(push) = worker.incoming.recv() => worker.handle_pushes(push),
                    _ = self.tick.tick() => worker.handle_timeout(Instant::now()),
                }
                worker.send_pending();
            }
        };
        tokio::time::timeout(LONG, waiting).await.expect("it completes in time")
    }

    /// Uses a ticket.
    fn use_ticket(&self, id: &str) -> UseResult {
        let result = UseResult::default();
        let at = Arc::clone(&result);
        let ticket = TicketUse { id: id.to_owned(), expires: unix_time() + 60, nonce: rand::random() };
        let answer = Box::new(move |first_use| *at.lock().unwrap() = Some(first_use));
        self.commands
            .send(BrokerCommand::UseTicket(ticket, answer))
            .unwrap_or_else(|_| panic!("the worker is running"));
        result
    }

    /// Publishes a disconnect as another node.
    fn disconnect(&self, number: u64) {
        let message = Disconnect::Session(SessionId(1)).message().unwrap();
        let body = record::body(&message);
        let credit = CreditPool::new(1, 1, || {}).take(1);
        let number = Seq::new(number).map(|number| (ALL_NODES, number));
        let messages = vec![Numbered { number, topic: message.topic, body, credit }];
        let command = BrokerCommand::Publish { messages, receipt: None };
        self.commands.send(command).unwrap_or_else(|_| panic!("the worker is running"));
    }
}

fn is_read(completion: &Completion) -> bool {
    matches!(completion, Completion::Answered { answer: Answer::Read { .. }, .. })
}

#[tokio::test]
async fn a_ticket_whose_disconnects_an_earlier_read_lacks_causes_another_read() {
    let server = Server::start();
    let mut one = Stage::started(&server).await;
    let mut other = Stage::started(&server).await;
    one.worker.partitions.take_due_sweeps(Instant::now(), |_| false);
    one.worker.topics.ensure_read(&one.worker.control);
    one.worker.send_pending();
    let early = one.next_completion(is_read).await;
    other.disconnect(1);
    other.run_until(|worker| !worker.topics.knows(&worker.control, None)).await;
    // The push of the disconnect is lost.
    while let Ok(Some(_)) = tokio::time::timeout(TICK, one.worker.incoming.recv()).await {}
    let result = one.use_ticket("x");
    let command = one.worker.inbox.recv().await.unwrap();
    one.worker.handle_command(command, Instant::now());
    one.worker.send_pending();
    let answer = one
        .next_completion(|completion| {
            matches!(completion, Completion::Answered { answer: Answer::Ticket { .. }, .. })
        })
        .await;
    one.worker.handle_completion(answer);
    one.worker.send_pending();
    one.worker.handle_completion(early);
    one.run_until(|_| result.lock().unwrap().is_some()).await;
    assert_eq!(*result.lock().unwrap(), Some(FirstUse::Yes));
}

#[tokio::test]
async fn a_ticket_is_not_marked_as_used_before_the_disconnects_were_read() {
    let server = Server::start();
    let mut stage = Stage::new(&server);
    let answer = stage.use_ticket("x");
    let read = stage.next_completion(is_read).await;
    stage.worker.tickets.settle(|_| false, Instant::now() + LONG);
    assert_eq!(*answer.lock().unwrap(), Some(FirstUse::Unavailable));
    stage.worker.handle_completion(read);
    let answer = stage.use_ticket("x");
    stage.run_until(|_| answer.lock().unwrap().is_some()).await;
    assert_eq!(*answer.lock().unwrap(), Some(FirstUse::Yes));
}

#[tokio::test]
async fn a_push_connection_that_ends_before_its_use_is_opened_again_after_a_delay() {
    let server = Server::start();
    let mut stage = Stage::new(&server);
    for _ in 0..2 {
        let opened =
            stage.next_completion(|completion| matches!(completion, Completion::Connected(..))).await;
        let number = stage.worker.pushes.next_number() - 1;
        stage.worker.handle_pushes(Push::Ended { connection: number });
        stage.worker.handle_completion(opened);
        stage.worker.send_pending();
        assert!(stage.worker.primaries.is_empty() && stage.worker.lookup.next.is_some());
    }
    stage.run_until(|worker| worker.topics.knows(&worker.control, None)).await;
}

#[tokio::test]
async fn a_push_connection_that_ends_later_is_replaced_and_so_is_its_replacement() {
    let server = Server::start();
    let mut stage = Stage::started(&server).await;
    let (_, entry) = stage.worker.primaries.iter_mut().next().unwrap();
    let primary = entry.connected.as_mut().unwrap();
    primary.push_connection_opened -= SHORT_LIVED;
    let connection = primary.push_connection_number;
    stage.worker.handle_pushes(Push::Ended { connection });
    let opened =
        stage.next_completion(|completion| matches!(completion, Completion::PushConnection { .. })).await;
    let number = stage.worker.pushes.next_number() - 1;
    stage.worker.handle_pushes(Push::Ended { connection: number });
    stage.worker.handle_completion(opened);
    stage.worker.send_pending();
    assert!(stage.worker.primaries.is_empty() && stage.worker.lookup.next.is_some());
    stage.run_until(|worker| worker.primaries.values().any(|entry| entry.connected.is_some())).await;
}

#[tokio::test]
async fn subscriptions_are_not_retried_while_confirmations_arrive() {
    let server = Server::start();
    let Stage { mut worker, .. } = Stage::started(&server).await;
    let [first, second] = ["first", "second"].map(|name| Topic::parse(name).unwrap());
    let start = Instant::now();
    worker.unconfirmed.extend([(first.clone(), start), (second.clone(), start)]);
    let later = |seconds| start + Duration::from_secs(seconds);
    worker.note_confirmation(&first, later(3));
    worker.retry_subscriptions(later(4));
    assert_eq!(worker.unconfirmed, HashMap::from([(second.clone(), start)]));
    worker.retry_subscriptions(later(6));
    assert!(worker.unconfirmed[&second] > start);
}

#[tokio::test]
async fn a_topic_with_an_invalid_push_is_read() {
    let server = Server::start();
    let mut stage = Stage::started(&server).await;
    let topic = Topic::parse("t").unwrap();
    let command = BrokerCommand::Subscribe(topic.clone());
    stage.commands.send(command).unwrap_or_else(|_| panic!("the worker is running"));
    let first = stage.next_completion(is_read).await;
    stage.worker.handle_completion(first);
    assert!(stage.worker.topics.is_confirmed(&topic));
    let credit = CreditPool::new(1, 1, || {}).take(1);
    let channel = stage.worker.keys.channel(&topic);
    stage.worker.handle_pushes(Push::Message { channel, payload: "nonsense".into(), credit });
    assert!(stage.worker.problem_log.0.contains_key("unexpected"));
    stage.next_completion(is_read).await;
}
