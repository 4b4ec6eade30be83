//! One message to 1,000 browsers: when does the first, the median and the last of them have it?
//!
//! Ten messages a second over the link. Beside it, in turn: a bare loop of one `write` per socket over as many
//! connections, which is what the kernel takes.

use std::error::Error;
use std::io::Write;
use std::thread;
use std::time::Duration;

use orosync_bench::figures::{Series, report};
use orosync_bench::monotonic_ns;
use orosync_bench::sessions::Sessions;
use orosync_link::{Options, Publisher};
use orosync_protocol::Audience;
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Signer;
use orosync_protocol::{Payload, Topic, wamp};
use orosync_tests::SECRET;
use orosync_tests::server::Server;

const BROWSERS: usize = 1000;
const MESSAGES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Of one message: when the first, the median and the last subscriber had it.
struct Arrivals {
    first: Series,
    median: Series,
    last: Series,
}

impl Arrivals {
    fn add(&mut self, published: u64, mut arrived: Vec<u64>) {
        arrived.sort_unstable();
        if let (Some(first), Some(median), Some(last)) =
            (arrived.first(), arrived.get(arrived.len() / 2), arrived.last())
        {
            self.first.add(first - published);
            self.median.add(median - published);
            self.last.add(last - published);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    let mut sessions = Sessions::open(server.address(), BROWSERS, "oro/maintenance")?;
    let (mut bare_sessions, mut sockets) = Sessions::open_bare(BROWSERS)?;
    let mut publisher =
        Publisher::new(Options::new(server.endpoint().parse()?, Signer::from_secret(SECRET.as_bytes())?));
    let topic = Topic::parse("oro/maintenance")?;
    let payload = Payload::check(&format!("{{\"isOn\":true,\"text\":\"{:x<90}\"}}", "").into())?;
    let event = wamp::encode_event(&topic, &payload);
    let frame_bytes = event.len() + if event.len() < 126 { 2 } else { 4 };

    let mut orosync = Arrivals {
        first: Series::new("orosync, to the first browser"),
        median: Series::new("orosync, to the median browser"),
        last: Series::new("orosync, to the last browser"),
    };
    let mut bare = Arrivals {
        first: Series::new("one write per socket, to the first"),
        median: Series::new("one write per socket, to the median"),
        last: Series::new("one write per socket, to the last"),
    };
    for _ in 0..MESSAGES {
        thread::sleep(PAUSE);
        let mut arrived = Vec::with_capacity(BROWSERS);
        let began = monotonic_ns();
        let message =
            Message { topic: topic.clone(), payload: payload.clone(), audience: Audience::default() };
        publisher.publish(message).map_err(|_| "the queue is full")?;
        sessions.receive(frame_bytes, |time| arrived.push(time))?;
        orosync.add(began, arrived);

        thread::sleep(PAUSE);
        let mut arrived = Vec::with_capacity(BROWSERS);
        let began = monotonic_ns();
        thread::scope(|scope| {
            let writer = scope.spawn(|| -> std::io::Result<()> {
                let bytes = vec![b'x'; frame_bytes];
                sockets.iter_mut().try_for_each(|socket| socket.write_all(&bytes))
            });
            bare_sessions.receive(frame_bytes, |time| arrived.push(time))?;
            writer.join().map_err(|_| "the writer failed")??;
            Ok::<_, Box<dyn Error>>(())
        })?;
        bare.add(began, arrived);
    }
    report(
        "One message to 1,000 browsers",
        &[orosync.last, orosync.median, orosync.first],
        &[bare.last, bare.median, bare.first],
    );
    Ok(())
}
