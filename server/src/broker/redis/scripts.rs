//! The scripts that run in Redis. Each documents its arguments and result at its head.

use once_cell::sync::Lazy;
use redis::{Cmd, Script, ToRedisArgs};

macro_rules! script {
    ($name:ident, $file:literal, $sentence:literal) => {
        #[doc = $sentence]
        pub(super) static $name: Lazy<Script> =
            Lazy::new(|| Script::new(include_str!(concat!("scripts/", $file, ".lua"))));
    };
}

script!(PUBLISH, "publish", "Accepts messages.");
script!(READ, "read", "Reads a topic's position and entries.");
script!(SWEEP, "sweep", "Compares the tags of topics.");
script!(TICKET, "ticket", "Marks a ticket as used.");
script!(TICKET_BACK, "ticket_back", "Reverts the use of a ticket.");
script!(ENTER, "enter", "Admits a node to a partition.");
script!(CANARY, "canary", "Publishes a canary.");

/// All scripts.
pub(super) fn all() -> [&'static Script; 7] {
    [&PUBLISH, &READ, &SWEEP, &TICKET, &TICKET_BACK, &ENTER, &CANARY]
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
