//! A payload: one JSON value as bytes. Checked once at the door; never parsed, re-encoded or copied after it.

use bytes::Bytes;
use serde_json::value::RawValue;

/// One JSON value, encoded; shared by reference count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payload(Bytes);

impl Payload {
    /// The largest payload, in bytes of JSON. Both ends refuse more: the publisher before it accepts, the server at its door.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Checks that the bytes are one JSON value, by reading through them once. White space around it is dropped.
    pub fn check(json: &Bytes) -> Result<Self, PayloadError> {
        let value = serde_json::from_slice::<&RawValue>(json)
            .map_err(|error| PayloadError::NotJson { problem: error.to_string() })?;
        let value = json.slice_ref(value.get().as_bytes());
        Self::from_encoder(value)
    }

    /// Takes what a JSON encoder has just written, without reading it.
    pub fn from_encoder(json: Bytes) -> Result<Self, PayloadError> {
        PayloadRef::from_encoder(&json)?;
        Ok(Self(json))
    }

    /// `null`: what an event carries whose publisher gave no payload.
    pub fn null() -> Self {
        Self(Bytes::from_static(b"null"))
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Lends it.
    pub fn lend(&self) -> PayloadRef<'_> {
        PayloadRef(&self.0)
    }

    /// Bytes of JSON.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true: no JSON value is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A payload that somebody else owns: checked, and not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadRef<'a>(&'a [u8]);

impl<'a> PayloadRef<'a> {
    /// As [`Payload::from_encoder`].
    pub fn from_encoder(json: &'a [u8]) -> Result<Self, PayloadError> {
        if json.len() > Payload::MAX_BYTES {
            return Err(PayloadError::TooLarge { bytes: json.len() });
        }
        Ok(Self(json))
    }

    /// Bytes that were a payload before.
    pub fn of_checked(json: &'a [u8]) -> Self {
        debug_assert!(json.len() <= Payload::MAX_BYTES, "it was within the bound");
        Self(json)
    }

    /// The JSON text.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Why bytes are no payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not exactly one JSON value.
    #[error("is not JSON: {problem}")]
    NotJson {
        /// What the parser found.
        problem: String,
    },
    /// Over [`Payload::MAX_BYTES`].
    #[error("is {bytes} bytes of JSON, at most {max} are possible. Publish a reference and let the page fetch the content", max = Payload::MAX_BYTES)]
    TooLarge {
        /// Its length.
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
    fn what_is_not_one_value_is_refused() {
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
