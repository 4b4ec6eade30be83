//! The broker's loop, turn by turn, on a real server.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use orosync_protocol::SessionId;
use orosync_protocol::disconnect::Disconnect;

use super::super::record;
use super::super::tests::traffic::Witness;
use super::super::tests::{Server, settings};
use super::super::{ALL_NODES, INBOUND_BYTES, Numbered, Report};
use super::primaries::SHORT_LIVED;
use super::*;
use crate::auth::replay::FirstUse;
use crate::auth::used::TicketUse;
use crate::process::unix_time;

/// How long something may take.
const LONG: Duration = Duration::from_secs(20);

/// A worker whose turns the test takes.
struct Stage {
    worker: Worker,
    orders: UnboundedSender<Order>,
    tick: Interval,
}

type Told = Arc<Mutex<Option<FirstUse>>>;

impl Stage {
    /// One that has done nothing yet.
    fn new(server: &Server) -> Self {
        let (orders, taken) = unbounded_channel();
        let inbound = CreditPool::new(usize::MAX, INBOUND_BYTES, || {});
        let report = Report { is_up: Arc::new(AtomicBool::new(false)), cluster: Arc::default() };
        let events = Arc::<Witness>::default();
        let settings = settings(server.servers(), 0);
        let worker = Worker::new(settings, events, taken, inbound, report, Arc::new(Metrics::new()));
        Self { worker, orders, tick: interval(TICK) }
    }

    /// One that knows the disconnects.
    async fn started(server: &Server) -> Self {
        let mut stage = Self::new(server);
        stage.turn_until(|worker| worker.topics.knows(&worker.control, None)).await;
        stage
    }

    async fn turn_until(&mut self, condition: impl Fn(&Worker) -> bool) {
        let turning = async {
            while !condition(&self.worker) {
                assert!(self.worker.turn(&mut self.tick).await);
            }
        };
        tokio::time::timeout(LONG, turning).await.expect("it is so soon");
    }

    /// The next of these that ends, which is not handled yet. What else there is to do is done.
    async fn next_done(&mut self, is_it: impl Fn(&Done) -> bool) -> Done {
        let worker = &mut self.worker;
        let waiting = async {
            loop {
                tokio::select! {
                    Some(done) = worker.done.recv() => {
                        if is_it(&done) {
                            return done;
                        }
                        worker.handle_done(done);
                    }
                    Some(order) = worker.orders.recv() => worker.take_orders(order),
                    Some(push) = worker.arriving.recv() => worker.take_pushes(push),
                    _ = self.tick.tick() => worker.handle_timeout(Instant::now()),
                }
                worker.act();
            }
        };
        tokio::time::timeout(LONG, waiting).await.expect("it ends")
    }

    /// Somebody presents a ticket.
    fn use_ticket(&self, id: &str) -> Told {
        let told = Told::default();
        let at = Arc::clone(&told);
        let ticket = TicketUse { id: id.to_owned(), expires: unix_time() + 60, nonce: rand::random() };
        let answer = Box::new(move |first_use| *at.lock().unwrap() = Some(first_use));
        self.orders.send(Order::UseTicket(ticket, answer)).unwrap_or_else(|_| panic!("the worker is there"));
        told
    }

    /// Another node has somebody disconnected.
    fn disconnect(&self, number: u64) {
        let message = Disconnect::Session(SessionId(1)).message().unwrap();
        let body = record::body(&message);
        let credit = CreditPool::new(1, 1, || {}).take(1);
        let number = Seq::new(number).map(|number| (ALL_NODES, number));
        let messages = vec![Numbered { number, topic: message.topic, body, credit }];
        let order = Order::Publish { messages, receipt: None };
        self.orders.send(order).unwrap_or_else(|_| panic!("the worker is there"));
    }
}

fn is_read(done: &Done) -> bool {
    matches!(done, Done::Asked { answer: Answer::Read { .. }, .. })
}

#[tokio::test]
async fn a_ticket_that_a_read_comes_too_early_for_has_the_disconnects_read_again() {
    let server = Server::start();
    let mut one = Stage::started(&server).await;
    let mut other = Stage::started(&server).await;
    one.worker.partitions.take_sweeps(Instant::now(), |_| false);
    one.worker.topics.look(&one.worker.control);
    one.worker.act();
    let early = one.next_done(is_read).await;
    other.disconnect(1);
    other.turn_until(|worker| !worker.topics.knows(&worker.control, None)).await;
    // It was pushed, and that was lost.
    while let Ok(Some(_)) = tokio::time::timeout(TICK, one.worker.arriving.recv()).await {}
    let told = one.use_ticket("x");
    let order = one.worker.orders.recv().await.unwrap();
    one.worker.handle_order(order, Instant::now());
    one.worker.act();
    let answer =
        one.next_done(|done| matches!(done, Done::Asked { answer: Answer::Ticket { .. }, .. })).await;
    one.worker.handle_done(answer);
    one.worker.act();
    one.worker.handle_done(early);
    one.turn_until(|_| told.lock().unwrap().is_some()).await;
    assert_eq!(*told.lock().unwrap(), Some(FirstUse::Yes));
}

#[tokio::test]
async fn a_ticket_that_comes_before_the_disconnects_were_read_is_not_used_up_for_nothing() {
    let server = Server::start();
    let mut stage = Stage::new(&server);
    let told = stage.use_ticket("x");
    let read = stage.next_done(is_read).await;
    stage.worker.tickets.settle(|_| false, Instant::now() + LONG);
    assert_eq!(*told.lock().unwrap(), Some(FirstUse::Unavailable));
    stage.worker.handle_done(read);
    let told = stage.use_ticket("x");
    stage.turn_until(|_| told.lock().unwrap().is_some()).await;
    assert_eq!(*told.lock().unwrap(), Some(FirstUse::Yes));
}

#[tokio::test]
async fn a_connection_for_pushes_that_has_ended_before_it_is_in_use_is_opened_again_after_a_pause() {
    let server = Server::start();
    let mut stage = Stage::new(&server);
    for _ in 0..2 {
        let opened = stage.next_done(|done| matches!(done, Done::Connected(..))).await;
        let number = stage.worker.pushes.next_number() - 1;
        stage.worker.take_pushes(Push::Ended { connection: number });
        stage.worker.handle_done(opened);
        stage.worker.act();
        assert!(stage.worker.members.is_empty() && stage.worker.finding.next.is_some());
    }
    stage.turn_until(|worker| worker.topics.knows(&worker.control, None)).await;
}

#[tokio::test]
async fn a_connection_for_pushes_that_ends_later_is_replaced_and_again_if_the_next_one_ends_too() {
    let server = Server::start();
    let mut stage = Stage::started(&server).await;
    let (_, member) = stage.worker.members.iter_mut().next().unwrap();
    let primary = member.up.as_mut().unwrap();
    primary.pushes_since -= SHORT_LIVED;
    let connection = primary.pushes_number;
    stage.worker.take_pushes(Push::Ended { connection });
    let opened = stage.next_done(|done| matches!(done, Done::Pushing { .. })).await;
    let number = stage.worker.pushes.next_number() - 1;
    stage.worker.take_pushes(Push::Ended { connection: number });
    stage.worker.handle_done(opened);
    stage.worker.act();
    assert!(stage.worker.members.is_empty() && stage.worker.finding.next.is_some());
    stage.turn_until(|worker| worker.members.values().any(|member| member.up.is_some())).await;
}

#[tokio::test]
async fn subscriptions_are_not_asked_for_again_while_confirmations_come() {
    let server = Server::start();
    let Stage { mut worker, .. } = Stage::started(&server).await;
    let [first, second] = ["first", "second"].map(|name| Topic::parse(name).unwrap());
    let start = Instant::now();
    worker.awaited.extend([(first.clone(), start), (second.clone(), start)]);
    let later = |seconds| start + Duration::from_secs(seconds);
    worker.note_confirmation(&first, later(3));
    worker.ask_again_for_pushes(later(4));
    assert_eq!(worker.awaited, HashMap::from([(second.clone(), start)]));
    worker.ask_again_for_pushes(later(6));
    assert!(worker.awaited[&second] > start);
}

#[tokio::test]
async fn a_topic_of_which_something_was_pushed_that_cannot_be_decoded_is_read() {
    let server = Server::start();
    let mut stage = Stage::started(&server).await;
    let topic = Topic::parse("t").unwrap();
    let order = Order::Subscribe(topic.clone());
    stage.orders.send(order).unwrap_or_else(|_| panic!("the worker is there"));
    let first = stage.next_done(is_read).await;
    stage.worker.handle_done(first);
    assert!(stage.worker.topics.is_confirmed(&topic));
    let credit = CreditPool::new(1, 1, || {}).take(1);
    let channel = stage.worker.keys.channel(&topic);
    stage.worker.take_pushes(Push::Message { channel, payload: "nonsense".into(), credit });
    assert!(stage.worker.complaints.0.contains_key("unexpected"));
    stage.next_done(is_read).await;
}
