//! Payloads: PHP values as JSON from PHP's own encoder, byte for byte as `json_encode()` returns them.

use ext_php_rs::exception::PhpException;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecutorGlobals;
use orosync_protocol::payload::PayloadRef;

use crate::exceptions;
use crate::zend::{self, JsonErrorCode};

/// `JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE`, the shortest output.
const OPTIONS: i32 = 64 | 256;

/// Maximum nesting depth, the default of `json_encode()`.
const DEPTH: u16 = 512;

/// Encodes a payload and passes it to `take`, which must not run PHP code: the text is request memory. An exception thrown by
/// the payload's own code (`JsonSerializable`) stays pending.
pub(crate) fn with_payload<T>(
    value: &Zval,
    take: impl FnOnce(PayloadRef<'_>) -> Result<T, PhpException>,
) -> Result<T, PhpException> {
    let taken = zend::json_encode(value, OPTIONS, DEPTH, |json| {
        if ExecutorGlobals::has_exception() {
            return Err(exceptions::pending());
        }
        take(PayloadRef::from_encoder(json).map_err(|error| problem(&error))?)
    });
    taken.unwrap_or_else(|code| {
        Err(if ExecutorGlobals::has_exception() {
            exceptions::pending()
        } else {
            problem(&cannot_be_encoded(code))
        })
    })
}

fn problem(problem: &dyn std::fmt::Display) -> PhpException {
    exceptions::encoding(&format!("the payload {problem}"))
}

fn cannot_be_encoded(JsonErrorCode(code): JsonErrorCode) -> String {
    // ext/json/php_json.h, php_json_error_code. The remaining codes are the decoder's.
    match code {
        1 => format!("is nested deeper than {DEPTH} levels. Publish less of it"),
        5 => "holds a string that is not UTF-8. Convert it first, for example with mb_convert_encoding()"
            .to_owned(),
        6 => "refers to itself. Publish a part without the reference back".to_owned(),
        7 => "holds INF or NAN, which JSON does not have. Publish null or a string instead".to_owned(),
        8 => {
            "holds a value that JSON does not have, such as a resource. Publish what it stands for".to_owned()
        }
        11 => "holds an enum case without a value. Give the enum a backing type, or publish the case's name"
            .to_owned(),
        other => format!("cannot be encoded as JSON (json_last_error() would say {other})"),
    }
}
