//! Measures the cost of several nodes that share messages through Redis.
//!
//! - [`script`]: Redis' CPU time per message, compared with a plain PUBLISH
//! - [`path`]: latency and throughput from a publisher to a browser
//! - [`cost`]: a node's CPU time per delivery, and per message that none of its sessions subscribes to
//! - [`topics`]: time and memory of a node that subscribes to 100,000 topics
//!
//! Both nodes and Redis share the server's core; the load generator has its own.

mod cost;
mod path;
mod script;
mod topics;

use std::error::Error;

use clap::{Parser, ValueEnum};
use orosync_bench::peers::{Peer, Selection};
use orosync_bench::process::Process;
use orosync_bench::question::{Extent, Question};

/// Measures the cost of several nodes that share messages through Redis.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
    /// Measure this part only.
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Script,
    Path,
    Cost,
    Topics,
}

/// The peers to measure, and the extent of the run.
struct Run<'a> {
    question: &'a Question,
    selection: Selection,
    orosync: Peer,
    redis: Peer,
    socket_io: Option<Peer>,
}

impl Run<'_> {
    fn is_quick(&self) -> bool {
        self.question.extent == Extent::Quick
    }

    /// Starts a node on this Redis, with this `broker.prefix`.
    fn node(&self, redis: &Process, prefix: &str) -> Peer {
        let url = format!("redis://{}/0", redis.address());
        let name = format!("orosync_{prefix}");
        self.orosync.clone().with(&name, "OROSYNC_BROKER__URL", &url).with(
            &name,
            "OROSYNC_BROKER__PREFIX",
            prefix,
        )
    }

    /// Starts a Socket.IO server on this Redis.
    fn socket_io(&self, redis: &Process, prefix: &str) -> Option<Peer> {
        let port = redis.address().port().to_string();
        let name = format!("socket_io_{prefix}");
        let peer = self.socket_io.clone()?.with(&name, "BENCH_REDIS", &port);
        Some(peer.with(&name, "BENCH_PREFIX", prefix))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let question = &arguments.question;
    let mut selection = question.prepare()?;
    let orosync = selection.peers.first().cloned().ok_or("there is no server")?;
    selection.missing.clear();
    let redis = Peer::named("redis")?;
    let socket_io = match Peer::named("socket_io_redis") {
        Ok(peer) => Some(peer),
        Err(why) => {
            selection.missing.insert("socket_io_redis".to_owned(), why);
            None
        }
    };
    selection.peers =
        [Some(orosync.clone()), Some(redis.clone()), socket_io.clone()].into_iter().flatten().collect();
    let run = Run { question, selection, orosync, redis, socket_io };
    let is_asked = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    for part in [Part::Script, Part::Path, Part::Cost, Part::Topics] {
        match part {
            _ if !is_asked(part) => {}
            Part::Script => script::ask(&run)?,
            Part::Path => path::ask(&run)?,
            Part::Cost => cost::ask(&run)?,
            Part::Topics => topics::ask(&run)?,
        }
    }
    Ok(())
}
