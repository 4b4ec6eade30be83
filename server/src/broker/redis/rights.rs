//! The check of the Redis ACL permissions that the server needs.
//!
//! The error of a script does not name the denied command, and the script may fail halfway. Therefore each command is tried
//! once after connecting, on dedicated keys, and all missing permissions are reported together. docs/scale.md contains a
//! sufficient rule.

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::timeout;

use super::calls::Verbs;
use super::connect::CONNECT_TIMEOUT;
use super::keys::{Keys, Partition};
use super::problem::Problem;

/// A command, the kind of its key if it takes one, and its other arguments.
type Try = (&'static str, Option<&'static str>, &'static [&'static str]);

/// The commands, in an order in which each finds the data that it needs. Keys that cannot be deleted expire.
const COMMANDS: &[Try] = &[
    ("TIME", None, &[]),
    ("SET", Some("text"), &["", "PX", "1000"]),
    ("GET", Some("text"), &[]),
    ("GETEX", Some("text"), &[]),
    ("MGET", Some("text"), &[]),
    ("PTTL", Some("text"), &[]),
    ("DEL", Some("text"), &[]),
    ("RPUSH", Some("list"), &[""]),
    ("PEXPIRE", Some("list"), &["1000"]),
    ("LLEN", Some("list"), &[]),
    ("LINDEX", Some("list"), &["0"]),
    ("LRANGE", Some("list"), &["0", "-1"]),
    ("LPOP", Some("list"), &[]),
    ("LTRIM", Some("list"), &["1", "-1"]),
    ("HSET", Some("hash"), &["field", ""]),
    ("PEXPIRE", Some("hash"), &["1000"]),
    ("HGETALL", Some("hash"), &[]),
    ("HDEL", Some("hash"), &["field"]),
];

/// Needed if `broker.wait_replicas` is set.
const WAIT: Try = ("WAIT", None, &["0", "1"]);

/// Tries all commands that a node needs, except `INFO`, `SCRIPT LOAD` and `EVALSHA`, whose own errors are clear.
pub(super) async fn check(
    commands: &mut MultiplexedConnection,
    pushes: &mut MultiplexedConnection,
    keys: &Keys,
    verbs: Verbs,
    waits: bool,
) -> Result<(), Problem> {
    let trying = async {
        // In a Cluster another primary may serve this partition. Redis checks permissions before it says so.
        let at = Partition::CONTROL;
        let publish: Try = (verbs.publish, Some("channel"), &[""]);
        let tried: Vec<_> = COMMANDS.iter().chain([&publish]).chain(waits.then_some(&WAIT)).collect();
        let mut pipeline = Pipeline::new();
        for (name, kind, rest) in &tried {
            let mut command = redis::cmd(name);
            command.arg(kind.map(|kind| keys.trial(at, kind))).arg(*rest);
            pipeline.add_command(command);
        }
        let answers = commands.req_packed_commands(&pipeline, 0, tried.len()).await?;
        let mut refused: Vec<_> =
            tried.iter().zip(answers).filter_map(|((name, ..), answer)| refusal(name, Ok(answer))).collect();
        for name in [verbs.subscribe, verbs.unsubscribe] {
            let command = Cmd::new().arg(name).arg(keys.trial(at, "channel")).to_owned();
            refused.extend(refusal(name, pushes.req_packed_command(&command).await));
        }
        Ok(refused)
    };
    let refused =
        timeout(CONNECT_TIMEOUT, trying).await.unwrap_or_else(|_| Err(Problem::timeout("Redis")))?;
    if refused.is_empty() {
        return Ok(());
    }
    let mut rules: Vec<_> = refused.into_iter().map(|refused| refused.rule(&keys.all())).collect();
    rules.sort_unstable();
    rules.dedup();
    Err(Problem::new(
        "noperm",
        format!(
            "Redis' ACL lacks rules for this user: {}. docs/scale.md contains a sufficient rule",
            rules.join(" ")
        ),
    ))
}

/// A missing permission.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    Command(String),
    Keys,
    Channels,
}

impl Refusal {
    /// The ACL rule that grants it.
    fn rule(self, all: &str) -> String {
        match self {
            Self::Command(name) => format!("+{name}"),
            Self::Keys => format!("~{all}"),
            Self::Channels => format!("&{all}"),
        }
    }
}

/// The missing permission that an answer reports. Other errors are reported where the command is used.
fn refusal(name: &str, answer: RedisResult<Value>) -> Option<Refusal> {
    let error = answer.and_then(Value::extract_error).err()?;
    if error.code() != Some("NOPERM") {
        return None;
    }
    let detail = error.detail().unwrap_or_default();
    Some(if detail.contains("channel") {
        Refusal::Channels
    } else if detail.contains(" key") {
        Refusal::Keys
    } else {
        Refusal::Command(name.to_lowercase())
    })
}
