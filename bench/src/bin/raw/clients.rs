//! The connections of the raw limits: minimal accept, upgrade and read.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Registry, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};
use tungstenite::handshake::derive_accept_key;

const LISTENER: Token = Token(usize::MAX - 1);

/// Length of a topic: four digits.
const TOPICS: usize = 10_000;

const BACKLOG: i32 = 4096;

/// A message, framed for subscribers.
pub(super) struct Message {
    pub(super) topic: usize,
    pub(super) frame: Vec<u8>,
}

/// All connections.
pub(super) struct Clients {
    listener: TcpListener,
    registry: Registry,
    by_slot: Slab<Client>,
    /// Connection slots by topic.
    subscribers: Vec<Vec<usize>>,
    buffer: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    is: Is,
}

enum Is {
    /// The request is incomplete.
    New(Vec<u8>),
    Subscriber(u16),
    /// A publisher, with the received part of its next frame.
    Publisher(Vec<u8>),
}

impl Clients {
    pub(super) fn listen(address: SocketAddr, registry: Registry) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit this option.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            listener,
            registry,
            by_slot: Slab::new(),
            subscribers: vec![Vec::new(); TOPICS],
            buffer: vec![0; 64 << 10],
        })
    }

    /// The sockets of a topic.
    pub(super) fn subscribers(&self, topic: usize) -> impl Iterator<Item = &TcpStream> + Clone {
        self.subscribers[topic].iter().map(|slot| &self.by_slot[*slot].stream)
    }

    /// Handles the events. Returns the published messages.
    pub(super) fn handle(&mut self, events: &Events) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        for event in events {
            if event.token() == LISTENER {
                self.accept()?;
            } else {
                self.read(event, &mut messages);
            }
        }
        Ok(messages)
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    let entry = self.by_slot.vacant_entry();
                    self.registry.register(&mut stream, Token(entry.key()), Interest::READABLE)?;
                    entry.insert(Client { stream, is: Is::New(Vec::new()) });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, event: &Event, messages: &mut Vec<Message>) {
        let slot = event.token().0;
        while let Some(client) = self.by_slot.get_mut(slot) {
            match client.stream.read(&mut self.buffer) {
                Ok(length) if length > 0 => {
                    client.take(&self.buffer[..length], messages);
                    if let Is::New(request) = &client.is
                        && let Some(is) = upgrade(request, &mut client.stream)
                    {
                        if let Is::Subscriber(topic) = is {
                            self.subscribers[usize::from(topic)].push(slot);
                        }
                        client.is = is;
                    }
                    if length < self.buffer.len() && !event.is_read_closed() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {
                    if let Is::Subscriber(topic) = client.is {
                        self.subscribers[usize::from(topic)].retain(|subscriber| *subscriber != slot);
                    }
                    self.by_slot.remove(slot);
                }
            }
        }
    }
}

impl Client {
    fn take(&mut self, bytes: &[u8], messages: &mut Vec<Message>) {
        match &mut self.is {
            Is::New(received) => received.extend_from_slice(bytes),
            Is::Subscriber(_) => {}
            Is::Publisher(received) => {
                received.extend_from_slice(bytes);
                let mut taken = 0;
                while let Some((length, payload)) = client_frame(&received[taken..]) {
                    taken += length;
                    messages.push(Message { topic: number(&payload), frame: server_frame(&payload) });
                }
                received.drain(..taken);
            }
        }
    }
}

/// Answers a complete request. Returns the client's new state.
fn upgrade(request: &[u8], stream: &mut TcpStream) -> Option<Is> {
    let request = std::str::from_utf8(request).ok()?;
    let head = request.strip_suffix("\r\n\r\n")?;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(answer.as_bytes()).ok()?;
    let topic = head.strip_prefix("GET /sub/").map(|rest| number(rest.as_bytes()));
    let topic = topic.and_then(|topic| u16::try_from(topic).ok());
    Some(topic.map_or_else(|| Is::Publisher(Vec::new()), Is::Subscriber))
}

/// The topic at the start of a message.
fn number(text: &[u8]) -> usize {
    let digits = text.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The first frame in a client's data: its length and its unmasked payload.
fn client_frame(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let (length, head) = match bytes.get(1)? & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        length => (usize::from(length), 2),
    };
    let key = bytes.get(head..head + 4)?;
    let payload = bytes.get(head + 4..head + 4 + length)?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((head + 4 + length, payload))
}

fn server_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
