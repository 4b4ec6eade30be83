//! The Lua scripts that run in Redis. The head of each documents its keys, arguments and result.

use once_cell::sync::Lazy;
use redis::{Cmd, Script, ToRedisArgs};

macro_rules! script {
    ($name:ident, $file:literal, $sentence:literal) => {
        #[doc = $sentence]
        pub(super) static $name: Lazy<Script> =
            Lazy::new(|| Script::new(include_str!(concat!("scripts/", $file, ".lua"))));
    };
}

script!(PUBLISH, "publish", "Accepts and stores messages, and pushes them to all nodes.");
script!(READ, "read", "Reads a topic's position and entries.");
script!(SWEEP, "sweep", "Compares the tags of topics with those that a node knows.");
script!(TICKET, "ticket", "Marks a ticket as used.");
script!(REVERT_TICKET, "revert_ticket", "Reverts the use of a ticket.");
script!(ADMIT, "admit", "Admits a node to a partition.");
script!(CANARY, "canary", "Publishes a node's canary and renews the node's description.");

/// All scripts.
pub(super) fn all() -> [&'static Script; 7] {
    [&PUBLISH, &READ, &SWEEP, &TICKET, &REVERT_TICKET, &ADMIT, &CANARY]
}

/// The call of a loaded script.
pub(super) fn call<K: AsRef<str>>(script: &Script, keys: &[K]) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len());
    for key in keys {
        command.arg(key.as_ref());
    }
    command
}

/// A tag as an argument of a script: 8 bytes.
pub(super) struct Tag(pub(super) u64);

impl ToRedisArgs for Tag {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        out.write_arg(&self.0.to_be_bytes());
    }
}
