//! Many browsers in one thread: an epoll loop that counts frames and never is the bottleneck.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use orosync_tests::client::{OROSYNC, frame, request};

/// Sessions that have subscribed to one topic.
#[derive(Debug)]
pub struct Sessions {
    poll: Poll,
    events: Events,
    streams: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl Sessions {
    /// Opens `count` sessions without a ticket and subscribes each to `topic`, which anyone may have.
    pub fn open(server: SocketAddr, count: usize, topic: &str) -> io::Result<Self> {
        let mut sessions = Self::none()?;
        let topic = serde_json::to_string(topic)?;
        let mut hello = request("/", OROSYNC).into_bytes();
        hello.extend(frame(1, format!("[5,{topic}]").as_bytes()));
        hello.extend(frame(1, br#"[2,"ready","orosync/session"]"#));
        for _ in 0..count {
            let mut stream = std::net::TcpStream::connect(server)?;
            stream.write_all(&hello)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let mut received = Vec::new();
            while !contains(&received, br#"[3,"ready","#) {
                let length = stream.read(&mut sessions.buffer)?;
                if length == 0 {
                    return Err(io::Error::other(String::from_utf8_lossy(&received)));
                }
                received.extend_from_slice(&sessions.buffer[..length]);
            }
            sessions.watch(stream)?;
        }
        Ok(sessions)
    }

    /// Opens `count` connections without any protocol; the other ends as well.
    pub fn open_bare(count: usize) -> io::Result<(Self, Vec<std::net::TcpStream>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut sessions = Self::none()?;
        let mut others = Vec::with_capacity(count);
        for _ in 0..count {
            sessions.watch(std::net::TcpStream::connect(listener.local_addr()?)?)?;
            let (other, _) = listener.accept()?;
            other.set_nodelay(true)?;
            others.push(other);
        }
        Ok((sessions, others))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Waits until each session has received `bytes` bytes; hands the time of each session's last byte to `arrived`.
    pub fn receive(&mut self, bytes: usize, mut arrived: impl FnMut(u64)) -> io::Result<()> {
        let mut missing = vec![bytes; self.streams.len()];
        let mut incomplete = missing.len();
        while incomplete > 0 {
            self.poll.poll(&mut self.events, Some(Duration::from_secs(20)))?;
            if self.events.is_empty() {
                return Err(io::Error::other(format!("{incomplete} sessions received nothing for 20 s")));
            }
            for event in &self.events {
                let Token(number) = event.token();
                loop {
                    match self.streams[number].read(&mut self.buffer) {
                        Ok(0) => return Err(io::Error::other("the server ended a session")),
                        Ok(length) => {
                            missing[number] = missing[number].saturating_sub(length);
                            if missing[number] == 0 {
                                incomplete -= 1;
                                arrived(crate::monotonic_ns());
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(())
    }
}

impl Sessions {
    fn none() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            streams: Vec::new(),
            buffer: vec![0; 256 << 10],
        })
    }

    fn watch(&mut self, stream: std::net::TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(self.streams.len()), Interest::READABLE)?;
        self.streams.push(stream);
        Ok(())
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
