//! The command line that all programs share.

use std::collections::BTreeMap;
use std::io;

use clap::{Args, ValueEnum};

use crate::machine::{Cores, pin, raise_descriptors};
use crate::peers::{self, Peer, RAW_NAMES, Selection};

/// Extent of a run. A full run writes its results to files; a quick run only prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Extent {
    /// This server and the raw limits; takes a few seconds.
    Quick,
    /// All available peers.
    Full,
}

/// Enough descriptors for 10,000 sessions of every peer at the same time.
const WANTED_DESCRIPTORS: u64 = 150_000;

/// The arguments of every program.
#[derive(Args, Debug)]
pub struct Question {
    /// Extent of the run.
    #[arg(value_enum, default_value = "full")]
    pub extent: Extent,
    /// Compare with these raw limits and peers only.
    #[arg(long = "peer", value_name = "NAME")]
    peers: Vec<String>,
    /// Another build of our server, or several to compare: PATH or NAME=PATH.
    #[arg(long = "server-binary", value_name = "[NAME=]PATH")]
    binaries: Vec<String>,
    /// Repetitions of each measurement.
    #[arg(long, value_name = "N")]
    repetitions: Option<usize>,
}

impl Question {
    /// Binds this process to the load generator's core, raises the descriptor limit, and finds the available peers.
    pub fn prepare(&self) -> io::Result<Selection> {
        pin(&[Cores::all().load()])?;
        let descriptors = usize::try_from(raise_descriptors(WANTED_DESCRIPTORS)).unwrap_or(usize::MAX);
        let mut peers = if self.binaries.is_empty() {
            let orosync = Peer::orosync(None)?;
            vec![orosync.clone(), orosync.with("orosync_writev", "OROSYNC_IO_URING", "off")]
        } else {
            self.binaries.iter().map(|binary| Peer::orosync(Some(binary))).collect::<Result<_, _>>()?
        };
        let mut missing = BTreeMap::new();
        for name in self.names() {
            match Peer::named(&name) {
                Ok(peer) => peers.push(peer),
                Err(why) => {
                    missing.insert(name, why);
                }
            }
        }
        Ok(Selection { peers, missing, descriptors })
    }

    /// Number of repetitions of each measurement.
    pub fn repetitions(&self, full: usize) -> usize {
        self.repetitions.unwrap_or(match self.extent {
            Extent::Quick => 2,
            Extent::Full => full,
        })
    }

    fn names(&self) -> Vec<String> {
        match (self.peers.as_slice(), self.extent) {
            ([], Extent::Quick) => RAW_NAMES.map(str::to_owned).to_vec(),
            ([], Extent::Full) => peers::names().map(str::to_owned).collect(),
            (named, _) => named.to_vec(),
        }
    }
}
