//! The scripts that run in Redis. Each says itself what it takes and returns.

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
script!(READ, "read", "Says where a topic stands, and what came.");
script!(SWEEP, "sweep", "Says which topics stand elsewhere.");
script!(TICKET, "ticket", "Uses up a ticket.");
script!(TICKET_BACK, "ticket_back", "Takes the use of a ticket back.");
script!(ENTER, "enter", "Lets a node in.");
script!(CANARY, "canary", "Shows that what is published comes back.");

/// All of them.
pub(super) fn all() -> [&'static Script; 7] {
    [&PUBLISH, &READ, &SWEEP, &TICKET, &TICKET_BACK, &ENTER, &CANARY]
}

/// A call of a script that Redis has been told before.
pub(super) fn call<K: AsRef<str>>(script: &Script, keys: &[K]) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len());
    for key in keys {
        command.arg(key.as_ref());
    }
    command
}

/// 8 bytes, as the scripts take tags.
pub(super) struct Tag(pub(super) u64);

impl ToRedisArgs for Tag {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        out.write_arg(&self.0.to_be_bytes());
    }
}
