//! `orosync.so`: a thin layer of PHP functions and classes over `orosync-link`.
//!
//! In reading order:
//!
//! - [`functions`]: the functions; [`publisher_class`]: `Orosync\Publisher`, the same as methods; [`exceptions`]
//! - [`zval`]: converts PHP values to topics, options and claims; [`json`]: encodes payloads with PHP's own encoder
//! - [`settings`]: reads a publisher's options from php.ini, the environment and constructor arguments
//! - [`publishers`]: the publishers of this process; `shared_links`: the links that the threads of a PHP with threads share
//! - [`lifecycle`]: the hooks of module and request
//! - [`exec`]: flushes before `pcntl_exec()`, which runs none of PHP's shutdown hooks
//! - [`info`]: the output of `phpinfo()`
//! - [`zend`]: declarations of PHP functions that `ext-php-rs` lacks
#![expect(unsafe_code, reason = "PHP is a C library; each block says why it is sound")]
#![cfg_attr(
    debug_assertions,
    expect(
        missing_docs,
        reason = "php_module makes a public function of its own, in debug builds; nobody links to this library"
    )
)]

mod exceptions;
mod exec;
mod functions;
mod info;
mod json;
mod lifecycle;
mod publisher_class;
mod publishers;
mod settings;
#[cfg(feature = "zts")]
mod shared_links;
mod zend;
mod zval;

use ext_php_rs::prelude::*;

use lifecycle::startup;
use publisher_class::Publisher;

/// The extension's version.
#[php_const]
pub const OROSYNC_VERSION: &str = info::VERSION;

/// Registers everything that PHP sees. The startup hook registers the settings and the exceptions.
#[php_module]
#[php(startup = "startup")]
pub fn get_module(module: ModuleBuilder<'_>) -> ModuleBuilder<'_> {
    functions::register(module)
        .constant(wrap_constant!(OROSYNC_VERSION))
        .class::<Publisher>()
        .request_startup_function(lifecycle::request_startup)
        .request_shutdown_function(lifecycle::request_shutdown)
        .shutdown_function(lifecycle::shutdown)
        .info_function(info::show)
}
