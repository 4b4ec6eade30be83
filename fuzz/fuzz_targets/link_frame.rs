//! Fuzzes link frames of both directions: parsed values are within their bounds and equal after writing and reading again.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use orosync_protocol::link_frame::{BATCH_MESSAGES, PublisherFrame, ServerFrame};
use orosync_protocol::{Payload, SessionIds, Topic};

fuzz_target!(|input: &[u8]| {
    let bytes = Bytes::copy_from_slice(input);
    if let Ok(frame) = PublisherFrame::decode(bytes.clone()) {
        if let PublisherFrame::Publish { messages, .. } = &frame {
            assert!(messages.len() <= BATCH_MESSAGES);
            for message in messages {
                Topic::parse(message.topic.as_str()).expect("a topic");
                Payload::check(message.payload.as_bytes()).expect("a payload is JSON");
                for sessions in [&message.audience.exclude, &message.audience.eligible] {
                    assert!(sessions.as_slice().len() <= SessionIds::MAX && sessions.as_slice().is_sorted());
                }
            }
        }
        assert_eq!(PublisherFrame::decode(frame.encode()), Ok(frame));
    }
    if let Ok(frame) = ServerFrame::decode(bytes) {
        assert_eq!(ServerFrame::decode(frame.encode()), Ok(frame));
    }
});
