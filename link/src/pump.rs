//! The pump: joins queue, machine and connection, and moves messages and acknowledgements between them.
//!
//! Held by one thread at a time, through a lock. The link thread holds it whenever it is awake; while it sleeps, a publisher
//! may take it to send a lone message itself ([`Pump::send_alone`]). This wakes no thread, and the message reaches the browser
//! in an eighth less time (bench `publish_to_browser`); the call takes some 10 microseconds longer than a bare write to a
//! socket. A publisher never waits for the lock or the kernel: the thread sends what it cannot send at once. Bounds: those
//! of the queue, the window and the transport.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orosync_protocol::link_frame::ServerFrame;

use crate::error::{LinkError, panic_text};
use crate::machine::{Machine, Transmit};
use crate::options::Options;
use crate::queue::Exit;
use crate::status::Record;
use crate::transport::{Incoming, Transport, Watched};

/// Largest message that a publisher sends itself. Masking and copying a larger one takes it longer than waking the thread.
const ALONE_BYTES: usize = 8 << 10;

/// Maximum number of unread acknowledgements of lone messages in the 50 ms between two reads by the thread. Their messages
/// still count in the queue: a queue with little room leaves everything to the thread.
const MAX_UNREAD: usize = 16;

/// A message that follows another one within this time is not a lone one: more may follow, and the thread takes them without a
/// system call in the publisher.
pub(crate) const FOLLOWS: Duration = Duration::from_millis(1);

pub(crate) struct Pump {
    pub(crate) machine: Machine,
    pub(crate) exit: Exit,
    pub(crate) transport: Option<Transport>,
    /// The last probe sent to the server.
    pub(crate) probe: u64,
    /// When a publisher last sent a message itself.
    pub(crate) sent_alone: Option<Instant>,
    /// Whether somebody waits for an answer from the link thread, which therefore must read it.
    pub(crate) is_awaited: bool,
    /// [`MAX_UNREAD`], or 0 if the queue is too small.
    max_unread: usize,
    /// An error that occurred while a publisher was sending. The thread drops the connection.
    failed: Option<LinkError>,
    options: Arc<Options>,
    record: Arc<Record>,
}

/// Result of [`Pump::exchange`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exchanged {
    /// Whether anything was read or written.
    pub(crate) worked: bool,
    /// The latest probe that the server has answered, by a pong or by its Welcome.
    pub(crate) answered: Option<u64>,
}

impl Pump {
    /// Creates a pump without a connection.
    pub(crate) fn new(machine: Machine, exit: Exit, options: Arc<Options>, record: Arc<Record>) -> Self {
        Self {
            machine,
            exit,
            transport: None,
            probe: 0,
            sent_alone: None,
            is_awaited: false,
            max_unread: if options.bounds.messages() < 2 * MAX_UNREAD { 0 } else { MAX_UNREAD },
            failed: None,
            options,
            record,
        }
    }

    /// For the link thread: reads all available messages and writes what the kernel takes.
    pub(crate) fn exchange(&mut self, now: Instant) -> Result<Exchanged, LinkError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut exchanged = Exchanged::default();
        loop {
            let read = self.read(now)?;
            if !read.worked {
                break;
            }
            exchanged.worked = true;
            exchanged.answered = exchanged.answered.max(read.answered);
        }
        exchanged.worked |= self.write(now)?;
        Ok(exchanged)
    }

    /// Drops the connection, if any.
    pub(crate) fn disconnect(&mut self) {
        self.transport = None;
        self.failed = None;
    }

    /// For a publisher, while the link thread sleeps: sends the only waiting message, if there is nothing else to do. Returns
    /// whether it was sent. If not, the thread must be woken; it also handles an error.
    pub(crate) fn send_alone(&mut self, now: Instant) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.try_send_alone(now)));
        let error = match outcome {
            Ok(Ok(sent)) => return sent,
            Ok(Err(error)) => error,
            Err(panic) => LinkError::Panic(panic_text(&*panic)),
        };
        self.failed = Some(error);
        false
    }

    fn try_send_alone(&mut self, now: Instant) -> Result<bool, LinkError> {
        let is_small = self.exit.next_bytes().is_some_and(|bytes| bytes <= ALONE_BYTES);
        let follows = self.sent_alone.is_some_and(|before| now.saturating_duration_since(before) < FOLLOWS);
        if !is_small || follows || self.is_awaited || self.failed.is_some() || self.max_unread == 0 {
            return Ok(false);
        }
        let Some(transport) = self.transport.as_mut().filter(|transport| transport.is_plain()) else {
            return Ok(false);
        };
        let max_unread = self.max_unread;
        let has_room = |machine: &Machine| machine.with_one_more().is_some_and(|unread| unread <= max_unread);
        if !has_room(&self.machine) {
            transport.handle_readable();
            // The acknowledgements of lone messages. Whatever else a server sends is left to the thread.
            for _ in 0..max_unread {
                if !self.read(now)?.worked {
                    break;
                }
            }
        }
        let is_possible = has_room(&self.machine);
        let Some(transport) = self.transport.as_mut().filter(|open| is_possible && open.is_drained()) else {
            return Ok(false);
        };
        let mut has_taken = false;
        let mut next = || if std::mem::replace(&mut has_taken, true) { None } else { self.exit.take() };
        let Some(Transmit::Publish(publish)) = self.machine.poll_transmit(now, &mut next) else {
            return Ok(false);
        };
        self.sent_alone = Some(now);
        transport.send_frame(publish.len(), publish.parts())?;
        // Other threads may have published meanwhile: they did not get the lock and rely on this check of the queue.
        Ok(transport.is_drained() && self.exit.is_empty())
    }

    /// Whether a message would be sent at once.
    pub(crate) fn sends_at_once(&self) -> bool {
        self.machine.is_open() && self.transport.as_ref().is_some_and(Transport::is_drained)
    }

    /// Whether nothing but the end of the connection is expected from the server.
    pub(crate) fn expects_nothing(&self) -> bool {
        self.machine.is_idle() && !self.is_awaited
    }

    /// The socket and the events to wait for.
    pub(crate) fn watch(&self, expects_nothing: bool) -> Option<Watched> {
        self.transport.as_ref().map(|transport| transport.watch(expects_nothing))
    }

    /// The socket is readable, or may be.
    pub(crate) fn handle_readable(&mut self) {
        if let Some(transport) = &mut self.transport {
            transport.handle_readable();
        }
    }

    /// Prefixes a message with the current endpoint, if there are several.
    pub(crate) fn of_endpoint(&self, sentence: String) -> String {
        match self.options.endpoints.get(self.machine.endpoint().0) {
            Some(endpoint) if self.options.endpoints.are_several() => format!("{endpoint}: {sentence}"),
            _ => sentence,
        }
    }

    /// Reads one message from the server, if available.
    fn read(&mut self, now: Instant) -> Result<Exchanged, LinkError> {
        let Some(transport) = &mut self.transport else { return Ok(Exchanged::default()) };
        let Some(incoming) = transport.read()? else { return Ok(Exchanged::default()) };
        let mut answered = None;
        match incoming {
            Incoming::Frame(frame) => {
                let effect = self.machine.handle_frame(now, ServerFrame::decode(frame)?)?;
                // Before requesters learn of the acknowledgement.
                if let Some(mut undeliverable) = effect.undeliverable {
                    undeliverable.sentence = self.of_endpoint(undeliverable.sentence);
                    self.record.add_undeliverable(undeliverable);
                }
                self.exit.give_back(effect.freed);
                self.record.set_stalled(self.machine.is_stalled());
                if effect.welcomed {
                    self.record.count_opened();
                    answered = Some(self.probe);
                }
            }
            Incoming::Pong(payload) => {
                answered = self.machine.handle_pong(now, &payload);
            }
            Incoming::Ping => self.machine.handle_server_ping(now),
            Incoming::Other => self.machine.handle_sign_of_life(now),
        }
        Ok(Exchanged { worked: true, answered })
    }

    /// Writes pending messages as far as the kernel takes them. Returns whether there were any.
    fn write(&mut self, now: Instant) -> Result<bool, LinkError> {
        let Some(transport) = &mut self.transport else { return Ok(false) };
        let mut worked = false;
        loop {
            if !transport.is_drained() {
                if transport.flush()? {
                    self.machine.handle_written(now);
                    worked = true;
                }
                if !transport.is_drained() {
                    return Ok(worked);
                }
            }
            match self.machine.poll_transmit(now, &mut || self.exit.take()) {
                Some(Transmit::Hello(hello)) => transport.send_frame(hello.len(), iter::once(&hello[..]))?,
                Some(Transmit::Publish(publish)) => transport.send_frame(publish.len(), publish.parts())?,
                Some(Transmit::Ping(payload)) => transport.send_ping(payload)?,
                None => return Ok(worked),
            }
            worked = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use bytes::Bytes;
    use orosync_protocol::link_frame::{Message, PublisherFrame};
    use orosync_protocol::ticket::Signer;
    use orosync_protocol::{PublisherId, Seq};
    use rustix::net::{AddressFamily, SocketAddrUnix};
    use tungstenite::WebSocket;
    use tungstenite::protocol::Role;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::options::Bounds;
    use crate::queue::{Entrance, large_message, message, queue};
    use crate::rotation::Rotation;
    use crate::wire::{Socket, Stream, Wire};

    /// A pump with an open link, the queue's entrance, and the server's end.
    fn open() -> (Pump, Entrance, WebSocket<UnixStream>) {
        open_with(Bounds::default())
    }

    fn open_with(bounds: Bounds) -> (Pump, Entrance, WebSocket<UnixStream>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let socket = Socket::new(AddressFamily::UNIX).unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        let server = WebSocket::from_raw_socket(listener.accept().unwrap().0, Role::Server, None);

        let signer = Signer::from_secret(&[b's'; 32]).unwrap();
        let options = Arc::new(Options { bounds, ..Options::new(Endpoint::Unix { path }.into(), signer) });
        let machine = Machine::new(PublisherId(1), options.connect_timeout, Rotation::new(1, 0));
        let (entrance, exit) = queue(bounds);
        let mut pump = Pump::new(machine, exit, options, Arc::new(Record::new()));
        let websocket = WebSocket::from_raw_socket(Wire::new(Stream::Plain(socket)), Role::Client, None);
        pump.transport = Some(Transport::new(websocket));
        pump.machine.handle_connected(Instant::now());
        let mut link = (pump, entrance, server);
        link.0.exchange(Instant::now()).unwrap();
        assert!(matches!(read(&mut link.2), PublisherFrame::Hello { .. }));
        send(&mut link.2, &ServerFrame::Welcome { accepted: None });
        wake(&mut link.0);
        assert!(link.0.expects_nothing());
        link
    }

    fn read(server: &mut WebSocket<UnixStream>) -> PublisherFrame {
        PublisherFrame::decode(server.read().unwrap().into_data()).unwrap()
    }

    fn send(server: &mut WebSocket<UnixStream>, frame: &ServerFrame) {
        server.send(tungstenite::Message::Binary(frame.encode())).unwrap();
    }

    fn acknowledge(server: &mut WebSocket<UnixStream>, accepted: u64) {
        send(server, &ServerFrame::Ack { accepted: Seq::new(accepted).unwrap() });
    }

    /// Does what the thread does after it has slept.
    fn wake(pump: &mut Pump) {
        pump.handle_readable();
        pump.exchange(Instant::now()).unwrap();
    }

    fn push(entrance: &mut Entrance, message: &Message) {
        entrance.try_push(message.lend()).unwrap();
    }

    #[test]
    fn a_lone_message_is_sent_at_once_and_one_that_follows_it_by_the_thread() {
        let (mut pump, mut entrance, mut server) = open();
        let now = Instant::now();
        assert!(!pump.send_alone(now), "no message is waiting");
        push(&mut entrance, &message("t", "1"));
        assert!(pump.send_alone(now));
        assert!(matches!(read(&mut server), PublisherFrame::Publish { messages, .. } if messages.len() == 1));
        assert!(!pump.expects_nothing());

        let later = now + FOLLOWS;
        push(&mut entrance, &message("t", "2"));
        assert!(!pump.send_alone(now + FOLLOWS / 2));
        assert_eq!(entrance.counts().tally().queued, 1, "the thread sends it");
        assert!(pump.send_alone(later));
        let tally = entrance.counts().tally();
        assert_eq!((tally.unacknowledged, tally.queued), (2, 0));
        assert!(matches!(read(&mut server), PublisherFrame::Publish { first, .. } if first.get() == 2));
    }

    #[test]
    fn unread_acknowledgements_of_lone_messages_are_bounded() {
        let (mut pump, mut entrance, mut server) = open();
        let mut now = Instant::now();
        for _ in 0..MAX_UNREAD {
            push(&mut entrance, &message("t", "1"));
            now += FOLLOWS;
            assert!(pump.send_alone(now));
        }
        push(&mut entrance, &message("t", "1"));
        now += FOLLOWS;
        assert!(!pump.send_alone(now), "the thread watches a server that acknowledges nothing");
        acknowledge(&mut server, 1);
        acknowledge(&mut server, 2);
        assert!(pump.send_alone(now));
        assert_eq!(entrance.counts().tally().acknowledged, 2);
    }

    #[test]
    fn a_large_message_or_several_messages_are_left_to_the_thread() {
        let (mut pump, mut entrance, _server) = open();
        push(&mut entrance, &large_message(ALONE_BYTES));
        assert!(!pump.send_alone(Instant::now()));
        assert_eq!(entrance.counts().tally().queued, 1);

        let (mut pump, mut entrance, _server) = open();
        push(&mut entrance, &message("t", "1"));
        push(&mut entrance, &message("t", "2"));
        assert!(!pump.send_alone(Instant::now()), "the thread is woken for the second one");
        assert_eq!(entrance.counts().tally().queued, 1);
    }

    #[test]
    fn a_small_queue_leaves_all_messages_to_the_thread() {
        let (mut pump, mut entrance, _server) = open_with(Bounds::new(31, Bounds::MIN_BYTES).unwrap());
        push(&mut entrance, &message("t", "1"));
        assert!(!pump.send_alone(Instant::now()));
    }

    #[test]
    fn messages_are_left_to_the_thread_while_a_requester_waits() {
        let (mut pump, mut entrance, mut server) = open();
        push(&mut entrance, &message("t", "1"));
        assert!(pump.send_alone(Instant::now()));
        acknowledge(&mut server, 1);
        pump.is_awaited = true;
        push(&mut entrance, &message("t", "2"));
        assert!(!pump.send_alone(Instant::now() + FOLLOWS));
        assert_eq!(entrance.counts().tally().acknowledged, 0, "the thread answers the requester");
    }

    #[test]
    fn a_connection_that_breaks_while_a_publisher_sends_is_dropped_by_the_thread() {
        let (mut pump, mut entrance, server) = open();
        drop(server);
        push(&mut entrance, &message("t", "1"));
        assert!(!pump.send_alone(Instant::now()));
        push(&mut entrance, &message("t", "2"));
        assert!(!pump.send_alone(Instant::now()));
        assert!(matches!(pump.exchange(Instant::now()), Err(LinkError::Broken(_))));
        let tally = entrance.counts().tally();
        assert_eq!((tally.unacknowledged, tally.queued), (1, 1), "both are sent over the next connection");
    }

    /// Sends lone messages until the kernel takes one only in part. Returns their payload and number.
    fn fill(pump: &mut Pump, entrance: &mut Entrance, server: &mut WebSocket<UnixStream>) -> (Message, u64) {
        let payload = large_message(ALONE_BYTES / 2);
        let (mut sent, mut now) = (0, Instant::now());
        loop {
            push(entrance, &payload);
            (sent, now) = (sent + 1, now + FOLLOWS);
            if !pump.send_alone(now) {
                return (payload, sent);
            }
            acknowledge(server, sent);
            assert!(sent < 10_000, "the kernel accepts all data");
        }
    }

    #[test]
    fn a_partly_written_frame_is_finished_by_the_thread() {
        let (mut pump, mut entrance, mut server) = open();
        let (payload, sent) = fill(&mut pump, &mut entrance, &mut server);
        let mut has_read = 0;
        while has_read < sent {
            let PublisherFrame::Publish { first, messages } = read(&mut server) else { panic!("no Publish") };
            assert_eq!(first.get(), has_read + 1);
            assert!(messages.iter().all(|message| message.payload.as_bytes() == payload.payload.as_bytes()));
            has_read += messages.len() as u64;
            wake(&mut pump);
        }
        let mut socket = server.into_inner();
        socket.flush().unwrap();
        socket.set_nonblocking(true).unwrap();
        assert!(socket.read(&mut [0]).is_err(), "each once");
    }

    #[test]
    fn a_pong_follows_the_frame_that_was_begun_before_it() {
        let (mut pump, mut entrance, mut server) = open();
        let (_, sent) = fill(&mut pump, &mut entrance, &mut server);
        // Now the kernel has room for the pong.
        assert!(matches!(read(&mut server), PublisherFrame::Publish { .. }));
        server.send(tungstenite::Message::Ping(Bytes::from_static(b"wait"))).unwrap();
        for _ in 1..sent {
            wake(&mut pump);
            assert!(matches!(read(&mut server), PublisherFrame::Publish { .. }));
        }
        wake(&mut pump);
        assert_eq!(server.read().unwrap(), tungstenite::Message::Pong(Bytes::from_static(b"wait")));
    }
}
