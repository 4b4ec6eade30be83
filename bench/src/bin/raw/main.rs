//! The raw limits: a fan-out with the kernel's work only. `raw write|batch|uring PORT`
//!
//! - `write`: one `send` per subscriber and message
//! - `batch`: all waiting messages of a subscriber in one `writev` per loop iteration
//! - `uring`: the same as `io_uring` requests, many in one system call
//!
//! `GET /sub/NNNN` subscribes to topic NNNN; a text on `/pub` is published to the topic that it begins with. Sockets have no
//! queue: a reader that is too slow ends the program.

mod clients;
mod uring;

use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;

use mio::{Events, Poll};

use clients::{Clients, Message};
use uring::Ring;

/// Maximum number of slices in one write.
const MAX_SLICES: usize = 64;

/// The way messages are written.
enum Mode {
    Write,
    Batch,
    Uring(Box<Ring>),
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, port] = arguments.as_slice() else {
        return Err(io::Error::other("usage: raw write|batch|uring PORT"));
    };
    let mut mode = match mode.as_str() {
        "write" => Mode::Write,
        "batch" => Mode::Batch,
        "uring" => Mode::Uring(Box::new(Ring::new()?)),
        other => return Err(io::Error::other(format!("{other:?} is none of write, batch, uring"))),
    };
    let port = port.parse().map_err(io::Error::other)?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut clients = Clients::listen(SocketAddr::from(([0, 0, 0, 0], port)), poll.registry().try_clone()?)?;
    loop {
        poll.poll(&mut events, None)?;
        let messages = clients.handle(&events)?;
        match &mut mode {
            Mode::Write => {
                for message in &messages {
                    for mut stream in clients.subscribers(message.topic) {
                        taken_whole(stream.write(&message.frame)?, message.frame.len())?;
                    }
                }
            }
            Mode::Batch => {
                for messages in by_topic(messages) {
                    write_batch(&clients, &messages)?;
                }
            }
            Mode::Uring(ring) => {
                for messages in by_topic(messages) {
                    let topic = messages[0].topic;
                    ring.send(&clients.subscribers(topic), messages)?;
                }
            }
        }
    }
}

/// Writes messages of one topic to all its subscribers.
fn write_batch(clients: &Clients, messages: &[Message]) -> io::Result<()> {
    for messages in messages.chunks(MAX_SLICES) {
        let slices: Vec<IoSlice<'_>> = messages.iter().map(|message| IoSlice::new(&message.frame)).collect();
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        for mut stream in clients.subscribers(messages[0].topic) {
            taken_whole(stream.write_vectored(&slices)?, bytes)?;
        }
    }
    Ok(())
}

/// The messages of each topic, in order.
fn by_topic(mut messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut topics = Vec::new();
    // A stable sort keeps the order within a topic.
    messages.sort_by_key(|message| message.topic);
    while let Some(last) = messages.last() {
        let first = messages.partition_point(|message| message.topic < last.topic);
        topics.push(messages.split_off(first));
    }
    topics
}

fn taken_whole(taken: usize, bytes: usize) -> io::Result<()> {
    if taken == bytes {
        Ok(())
    } else {
        Err(io::Error::other("a reader is too slow, and there is no queue here"))
    }
}
