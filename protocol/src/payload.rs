//! A payload: one JSON value as bytes. Validated once on entry; never parsed, re-encoded or copied afterwards.

use bytes::Bytes;
use serde_json::value::RawValue;

/// One encoded JSON value. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payload(Bytes);

impl Payload {
    /// Maximum size in bytes of JSON. Publisher and server both refuse larger payloads.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Validates in one pass that the bytes are one JSON value. Surrounding white space is removed.
    pub fn check(json: &Bytes) -> Result<Self, PayloadError> {
        let value = serde_json::from_slice::<&RawValue>(json)
            .map_err(|error| PayloadError::NotJson { problem: error.to_string() })?;
        let value = json.slice_ref(value.get().as_bytes());
        Self::from_encoder(value)
    }

    /// Takes the output of a JSON encoder, which is not validated again.
    pub fn from_encoder(json: Bytes) -> Result<Self, PayloadError> {
        PayloadRef::from_encoder(&json)?;
        Ok(Self(json))
    }

    /// `null`, the payload of an event that was published without one.
    pub fn null() -> Self {
        Self(Bytes::from_static(b"null"))
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The payload as a borrowed slice.
    pub fn lend(&self) -> PayloadRef<'_> {
        PayloadRef(&self.0)
    }

    /// Size in bytes of JSON.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Always false: no JSON value is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A borrowed payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadRef<'a>(&'a [u8]);

impl<'a> PayloadRef<'a> {
    /// The same as [`Payload::from_encoder`], borrowed.
    pub fn from_encoder(json: &'a [u8]) -> Result<Self, PayloadError> {
        if json.len() > Payload::MAX_BYTES {
            return Err(PayloadError::TooLarge { bytes: json.len() });
        }
        Ok(Self(json))
    }

    /// Takes bytes that were validated as a payload before.
    pub fn of_checked(json: &'a [u8]) -> Self {
        debug_assert!(json.len() <= Payload::MAX_BYTES, "it was validated before");
        Self(json)
    }

    /// The JSON text.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Why bytes are not a valid payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The bytes are not exactly one JSON value.
    #[error("is not JSON: {problem}")]
    NotJson {
        /// The parser's error.
        problem: String,
    },
    /// The payload exceeds [`Payload::MAX_BYTES`].
    #[error("is {bytes} bytes of JSON, at most {max} are possible. Publish a reference and let the page fetch the content", max = Payload::MAX_BYTES)]
    TooLarge {
        /// The length of the payload.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checked_payload_keeps_its_bytes() {
        let json = Bytes::from_static(b" {\"a\": 1.0, \"b\": \"\\/\", \"a\": 12345678901234567890}\n");
        let payload = Payload::check(&json).unwrap();
        assert_eq!(&payload.as_bytes()[..], json.trim_ascii());
    }

    #[test]
    fn anything_but_one_value_is_refused() {
        for bad in ["", "{", "1 2", "nul", "\"\u{1}\""] {
            assert!(
                matches!(Payload::check(&Bytes::from(bad)), Err(PayloadError::NotJson { .. })),
                "{bad:?}"
            );
        }
        assert!(matches!(
            Payload::from_encoder(Bytes::from(vec![b'1'; Payload::MAX_BYTES + 1])),
            Err(PayloadError::TooLarge { .. })
        ));
    }
}
