//! `Orosync\Publisher`: the functions as methods, for several endpoints in one process.
//!
//! An object is only a handle: its publisher belongs to the process and outlives it, so that the connection is still open in
//! the next request.
#![expect(elided_lifetimes_in_paths, reason = "the macros of ext-php-rs drop lifetimes")]

use ext_php_rs::boxed::ZBox;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};

use crate::functions;
use crate::publishers::Handle;
use crate::settings::Settings;
use crate::zval::{Messages, Seconds, Table, Text};

/// A PHP object that refers to a publisher of the process.
#[php_class]
#[php(name = "Orosync\\Publisher")]
#[php(flags = ClassFlags::Final)]
pub(crate) struct Publisher {
    handle: Handle,
}

#[php_impl]
impl Publisher {
    #[php(defaults(options = Table::default()))]
    pub(crate) fn __construct(endpoint: Text<'_>, options: Table<'_>) -> PhpResult<Self> {
        Ok(Self { handle: Handle::of(Settings::from_options(endpoint, options)?)? })
    }

    #[php(defaults(options = Table::default()))]
    pub(crate) fn publish(&self, topic: Text<'_>, payload: &Zval, options: Table<'_>) -> PhpResult<bool> {
        functions::publish(self.handle, topic, payload, options)
    }

    pub(crate) fn publish_many(&self, messages: Messages<'_>) -> PhpResult<i64> {
        functions::publish_many(self.handle, messages)
    }

    pub(crate) fn disconnect(&self, who: Table<'_>) -> PhpResult<bool> {
        functions::disconnect(self.handle, who)
    }

    #[php(defaults(timeout = Seconds(1.0)))]
    pub(crate) fn flush(&self, timeout: Seconds) -> bool {
        functions::flush(self.handle, timeout)
    }

    #[php(defaults(timeout = Seconds(1.0)))]
    pub(crate) fn check(&self, timeout: Seconds) -> bool {
        functions::check(self.handle, timeout)
    }

    #[php(defaults(claims = Table::default(), ttl = 300))]
    pub(crate) fn ticket(&self, claims: Table<'_>, ttl: i64) -> PhpResult<String> {
        functions::ticket(self.handle, claims, ttl)
    }

    pub(crate) fn status(&self) -> PhpResult<ZBox<ZendHashTable>> {
        functions::status(self.handle)
    }

    pub(crate) fn refusals(&self) -> PhpResult<ZBox<ZendHashTable>> {
        functions::refusals(self.handle)
    }
}
