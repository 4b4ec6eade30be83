//! Conversion of PHP values to the types of the link and of tickets.
//!
//! PHP code runs in four places: `__toString` ([`Text::convert`]), a payload's `jsonSerialize` ([`crate::json`]), an iterator
//! ([`Messages`]), and a destructor, wherever a value is released. It may change or free any variable. Whatever is used after
//! it must therefore be an argument, which PHP holds for the whole call, or [held](hold) by us; references inside an argument
//! are read only once no more PHP code can run before their use.

use std::iter;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::{FromZval, FromZvalMut, StubLiteral};
use ext_php_rs::exception::PhpException;
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ArrayKey, Iterable, ZendHashTable, ZendIterator, ZendStr, Zval};
use ext_php_rs::zend::ExecutorGlobals;
use orosync_link::{Refusal, Status};
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::link_frame::{Message, MessageRef};
use orosync_protocol::similar::did_you_mean_or_all;
use orosync_protocol::ticket::{Identity, MAX_GRANTED, MAX_ORIGINS, Role, RoleNames, UserId};
use orosync_protocol::topic::TopicRef;
use orosync_protocol::{Audience, OriginPattern, SessionId, SessionIds, Topic, TopicPattern};

use crate::{exceptions, json, zend};

/// A `string` parameter before conversion. Declared as `string`, as editors expect; accepts what PHP functions accept without
/// strict types: int, float, bool and Stringable.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(&'a Zval);

impl<'a> FromZval<'a> for Text<'a> {
    const TYPE: DataType = DataType::String;

    fn from_zval(value: &'a Zval) -> Option<Self> {
        Some(Self(value))
    }
}

impl Text<'_> {
    /// Converts as PHP does. The result is held; its bytes need not be UTF-8. Runs `__toString`; an object without it throws.
    pub(crate) fn convert(self, name: &str) -> Result<ZBox<ZendStr>, PhpException> {
        let value = self.0.dereference();
        if value.is_string() || value.is_long() || value.is_double() || value.is_bool() || value.is_object() {
            return zend::to_string(value).ok_or_else(exceptions::pending);
        }
        Err(exceptions::wrong_type(&format!("${name} must be of type string, {} given", type_name(value))))
    }
}

/// An optional `array` parameter.
#[derive(Clone, Copy, Default)]
pub(crate) struct Table<'a>(Option<&'a ZendHashTable>);

impl<'a> FromZval<'a> for Table<'a> {
    const TYPE: DataType = DataType::Array;

    fn from_zval(value: &'a Zval) -> Option<Self> {
        value.dereference().array().map(|array| Self(Some(array)))
    }
}

impl StubLiteral for Table<'_> {
    fn stub_literal(&self) -> String {
        "[]".to_owned()
    }
}

impl<'a> Table<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = (ArrayKey<'a>, &'a Zval)> {
        self.0.into_iter().flat_map(|array| array.iter().map(|(key, value)| (key, value.dereference())))
    }
}

/// A `float` parameter in seconds. Accepts an int as well, as PHP does.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) f64);

impl FromZval<'_> for Seconds {
    const TYPE: DataType = DataType::Double;

    fn from_zval(value: &Zval) -> Option<Self> {
        let value = value.dereference();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a timeout of more than 2^53 seconds is as long as one of less"
        )]
        value.double().or_else(|| value.long().map(|seconds| seconds as f64)).map(Self)
    }
}

impl StubLiteral for Seconds {
    fn stub_literal(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Seconds {
    /// The longest wait in seconds: one year, so that no deadline overflows.
    const MAX: f64 = 366.0 * 86_400.0;

    pub(crate) fn duration(self) -> std::time::Duration {
        let seconds = if self.0.is_nan() { 0.0 } else { self.0.clamp(0.0, Self::MAX) };
        std::time::Duration::from_secs_f64(seconds)
    }
}

/// An `iterable` parameter. `ext-php-rs` creates an iterator for an object and never releases it; this type does.
pub(crate) struct Messages<'a>(Iterable<'a>);

impl<'a> FromZvalMut<'a> for Messages<'a> {
    const TYPE: DataType = DataType::Iterable;

    fn from_zval_mut(value: &'a mut Zval) -> Option<Self> {
        Iterable::from_zval_mut(value).map(Self)
    }
}

impl Messages<'_> {
    /// Iterates over the messages, each held: PHP code may run between two of them. An object that cannot be traversed throws.
    pub(crate) fn begin(&mut self) -> Result<impl Iterator<Item = Zval>, PhpException> {
        let (array, object) = match &mut self.0 {
            Iterable::Array(array) => (Some(array.values().map(hold)), None),
            Iterable::Traversable(iterator) => {
                (None, Some(traverse(iterator).ok_or_else(exceptions::pending)?))
            }
        };
        Ok(array.into_iter().flatten().chain(object.into_iter().flatten()))
    }
}

/// Iterates over an object like `foreach` without a key. `None` if the iterator cannot start. An exception ends the iteration
/// and stays pending.
fn traverse(iterator: &mut ZendIterator) -> Option<impl Iterator<Item = Zval>> {
    let mut begun = false;
    iterator.rewind().then(|| {
        iter::from_fn(move || {
            let moved = !begun || iterator.move_forward();
            begun = true;
            (moved && iterator.valid()).then(|| zend::current(iterator).map(hold)).flatten()
        })
    })
}

/// Takes a reference of our own: the value stays as it is, whatever happens to the variable that it was read from.
fn hold(value: &Zval) -> Zval {
    value.dereference().shallow_clone()
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        if let Iterable::Traversable(iterator) = &mut self.0 {
            // SAFETY: `from_zval_mut` got it from the object's class; its borrower ends before us.
            unsafe { zend::release_iterator(iterator) };
        }
    }
}

/// Builds the message of `publish($topic, $payload, $options)` and passes it to `take`, which must not run PHP code. PHP code
/// (`__toString`, `jsonSerialize`) runs before, while only request memory is owned. All three are arguments, or held.
pub(crate) fn with_message<T>(
    topic: Text<'_>,
    payload: &Zval,
    options: Table<'_>,
    take: impl FnOnce(MessageRef<'_>) -> T,
) -> Result<T, PhpException> {
    let topic = topic.convert("topic")?;
    json::with_payload(payload, |payload| {
        let topic = TopicRef::parse_bytes(topic.as_bytes())
            .map_err(|error| exceptions::encoding(&format!("the topic {error}")))?;
        let audience = audience(options)?;
        Ok(take(MessageRef { topic, payload, audience: &audience }))
    })
}

/// Builds one `[topic, payload, options?]` of `publishMany()`. `index` is its position, for error messages.
pub(crate) fn with_message_of_many<T>(
    index: usize,
    value: &Zval,
    take: impl FnOnce(MessageRef<'_>) -> T,
) -> Result<T, PhpException> {
    let shape = || {
        exceptions::encoding(&format!(
            "message {index} is not [topic, payload] or [topic, payload, options], but {}",
            type_name(value)
        ))
    };
    let list = value.array().ok_or_else(shape)?;
    let (Some(topic), Some(payload), 2..=3) = (list.get_index(0), list.get_index(1), list.len()) else {
        return Err(exceptions::encoding(&format!(
            "message {index} is not a list of [topic, payload] or [topic, payload, options]"
        )));
    };
    // Each of the three may be a reference that the code of another one changes.
    let (topic, payload, options) = (hold(topic), hold(payload), list.get_index(2).map(hold));
    let options = match &options {
        Some(options) => Table::from_zval(options).ok_or_else(|| {
            exceptions::encoding(&format!(
                "the options of message {index} must be an array, {} given",
                type_name(options)
            ))
        })?,
        None if list.len() == 2 => Table::default(),
        None => {
            return Err(exceptions::encoding(&format!(
                "message {index} is not a list of [topic, payload] or [topic, payload, options]"
            )));
        }
    };
    with_message(Text(&topic), &payload, options, take)
}

fn audience(options: Table<'_>) -> Result<Audience, PhpException> {
    const KNOWN: [&str; 2] = ["exclude", "eligible"];
    let mut audience = Audience::default();
    for (key, value) in options.iter() {
        match key_text(&key).as_str() {
            "exclude" => audience.exclude = session_ids("exclude", value)?,
            "eligible" => audience.eligible = session_ids("eligible", value)?,
            other => {
                return Err(exceptions::encoding(&format!(
                    "the option \"{other}\" is unknown{}",
                    did_you_mean_or_all(other, &KNOWN)
                )));
            }
        }
    }
    Ok(audience)
}

fn session_ids(option: &str, value: &Zval) -> Result<SessionIds, PhpException> {
    let list = value.array().ok_or_else(|| {
        exceptions::encoding(&format!(
            "the option \"{option}\" must be a list of session ids, {} given",
            type_name(value)
        ))
    })?;
    let ids = list
        .values()
        .map(|id| match id.dereference().zend_str() {
            Some(id) => Ok(SessionId::parse_or_nobody(std::str::from_utf8(id.as_bytes()).unwrap_or(""))),
            None => Err(exceptions::encoding(&format!(
                "the option \"{option}\" must be a list of strings, it holds {}",
                type_name(id)
            ))),
        })
        .collect::<Result<_, _>>()?;
    SessionIds::new(ids).map_err(|error| {
        exceptions::encoding(&format!(
            "the option \"{option}\" has {error}. Publish to a topic of those sessions instead"
        ))
    })
}

/// The sessions to end: `session`, or `role` with either `uid` or `user`.
pub(crate) fn disconnect(who: Table<'_>) -> Result<Message, PhpException> {
    const KNOWN: [&str; 4] = ["session", "role", "uid", "user"];
    const SHAPE: &str = "it takes ['role' => 'user', 'uid' => 7], ['role' => 'user', 'user' => 'NAME'] or \
                         ['session' => 'ID']";
    let (mut session, mut named_role, mut uid, mut user) = (None, None, None, None);
    for (key, value) in who.iter() {
        let key = key_text(&key);
        let value = value.dereference();
        let text = || {
            value.str().filter(|text| !text.is_empty()).ok_or_else(|| {
                exceptions::encoding(&format!(
                    "\"{key}\" must be a string in UTF-8 that is not empty, {} given",
                    type_name(value)
                ))
            })
        };
        match key.as_str() {
            "session" => {
                let id = text()?.parse::<SessionId>();
                session = Some(id.map_err(|error| exceptions::encoding(&format!("\"session\" is {error}")))?);
            }
            "role" => {
                let known = [Role::User, Role::Customer, Role::Anonymous];
                let role = text()?;
                named_role = known.into_iter().find(|known| known.as_str() == role);
                if named_role.is_none() {
                    return Err(exceptions::encoding(&format!(
                        "\"role\" must be \"user\", \"customer\" or \"anonymous\", \"{role}\" given"
                    )));
                }
            }
            "uid" => {
                let id = user_id(value);
                uid = Some(id.map_err(|problem| exceptions::encoding(&format!("\"uid\": {problem}")))?);
            }
            "user" => user = Some(text()?.to_owned()),
            other => {
                let problem = format!("\"{other}\" is unknown{}", did_you_mean_or_all(other, &KNOWN));
                return Err(exceptions::encoding(&problem));
            }
        }
    }
    let disconnect = match (session, named_role, uid, user) {
        (Some(id), None, None, None) => Disconnect::Session(id),
        (None, Some(role), Some(uid), None) => Disconnect::Id { role, uid },
        (None, Some(role), None, Some(user)) => Disconnect::Name { role, user },
        _ => return Err(exceptions::encoding(SHAPE)),
    };
    disconnect.message().map_err(|error| exceptions::encoding(&format!("the name {error}")))
}

/// Claims of a ticket: its user, the hosts whose pages may use it (empty means any), and until when its session is resumed.
pub(crate) struct TicketClaims {
    pub(crate) identity: Identity,
    pub(crate) origins: Vec<OriginPattern>,
    pub(crate) until: Option<u64>,
}

/// Reads the claims of a ticket. A null claim counts as absent.
pub(crate) fn ticket_claims(claims: Table<'_>) -> Result<TicketClaims, PhpException> {
    const KNOWN: [&str; 9] = ["sub", "uid", "org", "role", "roles", "topics", "patterns", "origins", "until"];
    let mut identity = Identity::anonymous();
    let (mut origins, mut until) = (Vec::new(), None);
    for (key, value) in claims.iter() {
        if value.is_null() {
            continue;
        }
        match key_text(&key).as_str() {
            "sub" => identity.user = Some(user_name(value)?),
            "uid" => {
                let id = user_id(value);
                identity.uid = Some(
                    id.map_err(|problem| exceptions::encoding(&format!("the claim \"uid\": {problem}")))?,
                );
            }
            "org" => identity.org = Some(id("org", value)?),
            "role" => identity.role = role(value)?,
            "roles" => identity.roles = role_names(value)?,
            "topics" => identity.granted.topics = granted_topics(value)?,
            "patterns" => identity.granted.patterns = granted_patterns(value)?,
            "origins" => origins = hosts(value)?,
            "until" => until = Some(id("until", value)?),
            other => {
                return Err(exceptions::encoding(&format!(
                    "the claim \"{other}\" is unknown{}",
                    did_you_mean_or_all(other, &KNOWN)
                )));
            }
        }
    }
    Ok(TicketClaims { identity, origins, until })
}

fn user_name(value: &Zval) -> Result<Box<str>, PhpException> {
    let Some(name) = value.zend_str() else {
        return Err(exceptions::encoding(&format!(
            "the claim \"sub\" must be a string, {} given",
            type_name(value)
        )));
    };
    str::from_utf8(name.as_bytes()).map(Into::into).map_err(|_| {
        exceptions::encoding(
            "the claim \"sub\" is not UTF-8. Convert it first, for example with mb_convert_encoding()",
        )
    })
}

/// A user id: an int, or a string such as a UUID.
fn user_id(value: &Zval) -> Result<UserId, String> {
    let value = value.dereference();
    if let Some(id) = value.long() {
        return u64::try_from(id)
            .map(UserId::Integer)
            .map_err(|_| format!("an int must be from 0 on, {id} given"));
    }
    let Some(text) = value.zend_str() else {
        return Err(format!("it must be an int or a string, {} given", type_name(value)));
    };
    let text = std::str::from_utf8(text.as_bytes()).map_err(|_| "it is not UTF-8".to_owned())?;
    text.parse::<UserId>().map_err(|error| error.to_string())
}

fn role_names(value: &Zval) -> Result<RoleNames, PhpException> {
    let problem =
        |given: &str| exceptions::encoding(&format!("the claim \"roles\" must be a list of roles, {given}"));
    let list = value.array().ok_or_else(|| problem(&format!("{} given", type_name(value))))?;
    let mut names = Vec::new();
    for name in list.values().take(RoleNames::MAX + 1) {
        let name = name.dereference();
        let text = name.zend_str().ok_or_else(|| problem(&format!("it holds {}", type_name(name))))?;
        names.push(String::from_utf8_lossy(text.as_bytes()).into_owned());
    }
    RoleNames::new(names.iter().map(String::as_str)).map_err(|error| problem(&error.to_string()))
}

fn id(claim: &str, value: &Zval) -> Result<u64, PhpException> {
    let problem = |given: String| {
        exceptions::encoding(&format!("the claim \"{claim}\" must be an int from 0 on, {given} given"))
    };
    match value.long() {
        Some(id) => u64::try_from(id).map_err(|_| problem(id.to_string())),
        None => Err(problem(type_name(value))),
    }
}

fn granted_topics(value: &Zval) -> Result<Box<[Topic]>, PhpException> {
    granted("the claim \"topics\" must be a list of topics", value, |index, text| {
        Topic::parse_bytes(text).map_err(|error| format!("the topic at index {index} {error}"))
    })
}

fn granted_patterns(value: &Zval) -> Result<Box<[TopicPattern]>, PhpException> {
    granted("the claim \"patterns\" must be a list of topic patterns", value, |index, text| {
        let text =
            std::str::from_utf8(text).map_err(|_| format!("the pattern at index {index} is not UTF-8"))?;
        TopicPattern::parse(text).map_err(|error| error.to_string())
    })
}

fn granted<T>(
    claim: &str,
    value: &Zval,
    parse: impl Fn(usize, &[u8]) -> Result<T, String>,
) -> Result<Box<[T]>, PhpException> {
    let problem = |given: &str| exceptions::encoding(&format!("{claim}, {given}"));
    let list = value.array().ok_or_else(|| problem(&format!("{} given", type_name(value))))?;
    if list.len() > MAX_GRANTED {
        return Err(problem(&format!("at most {MAX_GRANTED}, {} given", list.len())));
    }
    list.values()
        .enumerate()
        .map(|(index, granted)| {
            let granted = granted.dereference();
            let text =
                granted.zend_str().ok_or_else(|| problem(&format!("it holds {}", type_name(granted))))?;
            parse(index, text.as_bytes()).map_err(|error| problem(&error))
        })
        .collect()
}

fn hosts(value: &Zval) -> Result<Vec<OriginPattern>, PhpException> {
    let problem = |given: &str| {
        exceptions::encoding(&format!("the claim \"origins\" must be a list of hosts, {given}"))
    };
    let list = value.array().ok_or_else(|| problem(&format!("{} given", type_name(value))))?;
    if list.len() > MAX_ORIGINS {
        return Err(problem(&format!("at most {MAX_ORIGINS}, {} given", list.len())));
    }
    list.values()
        .map(|host| {
            let host = host.dereference();
            let text = host.zend_str().ok_or_else(|| problem(&format!("it holds {}", type_name(host))))?;
            let text = String::from_utf8_lossy(text.as_bytes());
            OriginPattern::parse(&text).map_err(|error| problem(&format!("\"{text}\" is in it: {error}")))
        })
        .collect()
}

fn role(value: &Zval) -> Result<Role, PhpException> {
    const ROLES: [Role; 3] = [Role::User, Role::Customer, Role::Anonymous];
    let known = value.str().and_then(|text| ROLES.into_iter().find(|role| role.as_str() == text));
    known.ok_or_else(|| {
        let given = value.str().map_or_else(|| type_name(value), |text| format!("\"{text}\""));
        let why = if value.str() == Some(Role::Publisher.as_str()) {
            ": publishers issue their own tickets"
        } else {
            ""
        };
        exceptions::encoding(&format!(
            "the claim \"role\" must be \"user\", \"customer\" or \"anonymous\", {given} given{why}"
        ))
    })
}

/// The array that `orosync_status()` returns.
pub(crate) fn status_table(
    status: Status,
    endpoint: &str,
) -> Result<ext_php_rs::boxed::ZBox<ZendHashTable>, PhpException> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut table = ZendHashTable::with_capacity(9);
    let filled = (|| {
        table.insert("state", status.state.as_str())?;
        table.insert("endpoint", endpoint)?;
        table.insert("queued", count(status.queued))?;
        table.insert("unacknowledged", count(status.unacknowledged))?;
        table.insert("accepted", count(status.accepted))?;
        table.insert("acknowledged", count(status.acknowledged))?;
        table.insert("refused", count(status.refused))?;
        table.insert("reconnects", count(status.reconnects))?;
        table.insert("last_error", status.last_error)
    })();
    filled.map(|()| table).map_err(PhpException::from)
}

/// The list that `orosync_refusals()` returns, latest first.
pub(crate) fn refusals_list(refusals: &[Refusal]) -> Result<ZBox<ZendHashTable>, PhpException> {
    let mut list = ZendHashTable::with_capacity(u32::try_from(refusals.len()).unwrap_or(0));
    for refusal in refusals.iter().rev() {
        let mut entry = ZendHashTable::with_capacity(3);
        let filled = (|| {
            entry.insert("topic", refusal.topic.as_str())?;
            entry.insert("reason", refusal.reason.as_str())?;
            entry.insert("messages", i64::try_from(refusal.messages.get()).unwrap_or(i64::MAX))
        })();
        filled.and_then(|()| list.push(entry)).map_err(PhpException::from)?;
    }
    Ok(list)
}

/// An array key as text.
pub(crate) fn key_text(key: &ArrayKey<'_>) -> String {
    key.to_string()
}

/// The type of a value, named as in PHP's own messages.
pub(crate) fn type_name(value: &Zval) -> String {
    let value = value.dereference();
    match value.get_type() {
        DataType::Undef | DataType::Null => "null".to_owned(),
        DataType::False | DataType::True | DataType::Bool => "bool".to_owned(),
        DataType::Long => "int".to_owned(),
        DataType::Double => "float".to_owned(),
        DataType::String => "string".to_owned(),
        DataType::Array => "array".to_owned(),
        DataType::Object(_) => value
            .object()
            .and_then(|object| object.get_class_name().ok())
            .unwrap_or_else(|| "object".to_owned()),
        DataType::Resource => "resource".to_owned(),
        other => other.to_string(),
    }
}

/// Returns an error if PHP code has thrown meanwhile.
pub(crate) fn check_pending() -> Result<(), PhpException> {
    if ExecutorGlobals::has_exception() { Err(exceptions::pending()) } else { Ok(()) }
}
