//! The PHP functions, which use the publisher of php.ini's settings. `ext/orosync.stub.php` documents them.
#![expect(elided_lifetimes_in_paths, reason = "the macros of ext-php-rs drop lifetimes")]

use std::time::{SystemTime, UNIX_EPOCH};

use ext_php_rs::boxed::ZBox;
use ext_php_rs::exception::PhpException;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::publishers::{self, Handle};
use crate::zval::{Messages, Seconds, Table, Text};
use crate::{exceptions, zval};
use orosync_protocol::ticket::Terms;

/// Longest lifetime of a browser's ticket, in seconds: the server remembers each used ticket until it expires.
const MAX_TTL: i64 = 86_400;

/// Registers all functions.
pub(crate) fn register(module: ModuleBuilder<'_>) -> ModuleBuilder<'_> {
    module
        .function(wrap_function!(orosync_publish))
        .function(wrap_function!(orosync_publish_many))
        .function(wrap_function!(orosync_disconnect))
        .function(wrap_function!(orosync_flush))
        .function(wrap_function!(orosync_check))
        .function(wrap_function!(orosync_ticket))
        .function(wrap_function!(orosync_status))
        .function(wrap_function!(orosync_refusals))
}

#[php_function]
#[php(defaults(options = Table::default()))]
pub(crate) fn orosync_publish(topic: Text<'_>, payload: &Zval, options: Table<'_>) -> PhpResult<bool> {
    publish(Handle::of_ini()?, topic, payload, options)
}

#[php_function]
pub(crate) fn orosync_publish_many(messages: Messages<'_>) -> PhpResult<i64> {
    publish_many(Handle::of_ini()?, messages)
}

#[php_function]
pub(crate) fn orosync_disconnect(who: Table<'_>) -> PhpResult<bool> {
    disconnect(Handle::of_ini()?, who)
}

#[php_function]
#[php(defaults(timeout = Seconds(1.0)))]
pub(crate) fn orosync_flush(timeout: Seconds) -> PhpResult<bool> {
    Ok(flush(Handle::of_ini()?, timeout))
}

#[php_function]
#[php(defaults(timeout = Seconds(1.0)))]
pub(crate) fn orosync_check(timeout: Seconds) -> PhpResult<bool> {
    Ok(check(Handle::of_ini()?, timeout))
}

#[php_function]
#[php(defaults(claims = Table::default(), ttl = 300))]
pub(crate) fn orosync_ticket(claims: Table<'_>, ttl: i64) -> PhpResult<String> {
    ticket(Handle::of_ini()?, claims, ttl)
}

#[php_function]
pub(crate) fn orosync_status() -> PhpResult<ZBox<ZendHashTable>> {
    status(Handle::of_ini()?)
}

#[php_function]
pub(crate) fn orosync_refusals() -> PhpResult<ZBox<ZendHashTable>> {
    refusals(Handle::of_ini()?)
}

pub(crate) fn publish(
    handle: Handle,
    topic: Text<'_>,
    payload: &Zval,
    options: Table<'_>,
) -> PhpResult<bool> {
    zval::with_message(topic, payload, options, |message| handle.publish(message))
}

pub(crate) fn publish_many(handle: Handle, mut messages: Messages<'_>) -> PhpResult<i64> {
    let mut accepted = 0;
    for (index, value) in messages.begin()?.enumerate() {
        // A generator may have thrown while it produced this message.
        zval::check_pending()?;
        if !zval::with_message_of_many(index, &value, |message| handle.publish(message))? {
            break;
        }
        accepted += 1;
    }
    zval::check_pending()?;
    Ok(accepted)
}

pub(crate) fn disconnect(handle: Handle, who: Table<'_>) -> PhpResult<bool> {
    let message = zval::disconnect(who)?;
    Ok(handle.publish(message.lend()))
}

pub(crate) fn flush(handle: Handle, timeout: Seconds) -> bool {
    let flushed = handle.with(|publisher| publisher.flush(timeout.duration()));
    handle.log_new_warnings();
    flushed
}

pub(crate) fn check(handle: Handle, timeout: Seconds) -> bool {
    handle.with(|publisher| publisher.check(timeout.duration()))
}

pub(crate) fn ticket(handle: Handle, claims: Table<'_>, ttl: i64) -> PhpResult<String> {
    let claims = zval::ticket_claims(claims)?;
    let seconds = u64::try_from(ttl).ok().filter(|_| (1..=MAX_TTL).contains(&ttl)).ok_or_else(|| {
        exceptions::encoding(&format!("the ttl must be from 1 to {MAX_TTL} seconds, {ttl} given"))
    })?;
    let problem = |problem: &dyn std::fmt::Display| {
        exceptions::encoding(&format!("no ticket could be issued: {problem}"))
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| problem(&error))?.as_secs();
    // From the kernel: an in-memory generator would give the same ids to a parent and its forked child.
    let mut id = [0; 16];
    SysRng.try_fill_bytes(&mut id).map_err(|error| problem(&error))?;
    let id = u128::from_ne_bytes(id);
    handle
        .with(|publisher| {
            let terms = Terms { origins: &claims.origins, until: claims.until };
            publisher.options().signer.issue_with(terms, &claims.identity, now, seconds, id)
        })
        .map_err(|error| problem(&error))
}

pub(crate) fn status(handle: Handle) -> Result<ZBox<ZendHashTable>, PhpException> {
    let (status, endpoint) =
        handle.with(|publisher| (publisher.status(), publishers::endpoint_of(publisher)));
    zval::status_table(status, &endpoint)
}

pub(crate) fn refusals(handle: Handle) -> Result<ZBox<ZendHashTable>, PhpException> {
    zval::refusals_list(&handle.with(|publisher| publisher.refusals()))
}
