//! Fuzzes tickets. An input that begins with `{` is a header and claims, one per line, signed here with the right secret: an
//! accepted ticket has the right audience, is within its validity and limits, and is of one kind only. Any other input is a
//! raw ticket, which must be rejected because the fuzzer does not know the secret.

#![no_main]

use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;
use orosync_fuzz::{SECRET, UNIX_NOW, verifiers};
use orosync_protocol::ticket::resume::{MAX_FORMER, RESUME_AUDIENCE, ResumeClaims};
use orosync_protocol::ticket::{
    AUDIENCE, Claims, MAX_GRANTED, MAX_ORIGINS, Role, RoleNames, UserId, VerifiedResume,
};
use orosync_protocol::{OriginPattern, Topic, TopicPattern};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if !text.starts_with('{') {
        for verifier in verifiers() {
            assert!(verifier.verify(text, UNIX_NOW).is_err(), "a forged ticket: {text}");
            assert!(verifier.verify_resume(text, UNIX_NOW).is_err(), "a forged resume ticket: {text}");
        }
        return;
    }
    let (header, claims) = text.split_once('\n').unwrap_or((text, ""));
    let ticket = signed(header, claims);
    for verifier in verifiers() {
        let ordinary = verifier.verify(&ticket, UNIX_NOW);
        if let Ok(resumed) = verifier.verify_resume(&ticket, UNIX_NOW) {
            assert!(ordinary.is_err(), "it is of both kinds");
            check_resumed(resumed, claims);
        }
        let Ok(verified) = ordinary else { continue };
        let header: serde_json::Value = serde_json::from_str(header).expect("a header is JSON");
        assert_eq!(header["alg"], "HS256");
        let written: Claims = serde_json::from_str(claims).expect("claims are JSON");
        assert_eq!(written.aud, AUDIENCE);
        assert!(written.exp > UNIX_NOW && written.iat <= UNIX_NOW + 30 && verified.expires == written.exp);
        let identity = verified.identity;
        assert!(
            written.topics.len() + written.patterns.len() <= MAX_GRANTED
                && written.origins.len() <= MAX_ORIGINS
        );
        assert!(written.roles.len() <= RoleNames::MAX && written.roles.iter().eq(identity.roles.iter()));
        if let Some(UserId::String(id)) = &identity.uid {
            assert!(!id.is_empty() && id.len() <= UserId::MAX_BYTES && !id.contains(['/', '*']));
        }
        assert!(written.topics.iter().eq(identity.granted.topics.iter().map(Topic::as_str)));
        assert!(written.patterns.iter().eq(identity.granted.patterns.iter().map(TopicPattern::as_str)));
        let origins = written.origins.iter().map(|host| host.to_ascii_lowercase());
        assert!(origins.eq(verified.origins.iter().map(OriginPattern::as_str)));
        assert_eq!((identity.role, identity.uid, identity.org), (written.role, written.uid, written.org));
        assert_eq!((identity.user, verified.jti), (written.sub, written.jti));
    }
});

/// What is as in any other ticket is checked by what checks those.
fn check_resumed(resumed: VerifiedResume, claims: &str) {
    let written: ResumeClaims = serde_json::from_str(claims).expect("claims are JSON");
    assert_eq!(written.ticket.aud, RESUME_AUDIENCE);
    let VerifiedResume { identity, expires, resumption, .. } = resumed;
    assert!(identity.role != Role::Publisher && expires > UNIX_NOW);
    assert_eq!(
        (identity.role, identity.uid, identity.user),
        (written.ticket.role, written.ticket.uid, written.ticket.sub)
    );
    assert!(resumption.former.len() <= MAX_FORMER && resumption.session.to_string() == written.sid);
    assert_eq!((resumption.since, resumption.until), (written.since, written.ticket.until));
}

fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a signature");
    format!("{message}.{signature}")
}

/// RFC 4648, 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}
