//! Splits the output of a Redis server, in RESP2 or RESP3, into answers and pushes.

/// The received part of an incomplete frame, and the offset where parsing continues.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    at: usize,
    /// Remaining elements of each enclosing array.
    open: Vec<usize>,
    /// Whether the stream is not RESP, for example TLS. Its bytes are forwarded unparsed.
    is_opaque: bool,
}

/// The header of an element; `end` is the offset after it.
struct Header {
    kind: u8,
    number: i64,
    end: usize,
}

/// Kinds of message pushes, and their number of elements.
const MESSAGES: [(&[u8], usize); 3] = [(b"message", 3), (b"smessage", 3), (b"pmessage", 4)];

/// Kinds of confirmations, which RESP3 also sends as pushes.
const CONFIRMATIONS: [&[u8]; 6] =
    [b"subscribe", b"ssubscribe", b"psubscribe", b"unsubscribe", b"sunsubscribe", b"punsubscribe"];

impl Frames {
    /// Adds bytes of the stream.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete frame.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        while !self.is_opaque && !self.bytes[self.at..].is_empty() {
            let Ok(header) = header(&self.bytes, self.at) else {
                self.is_opaque = true;
                break;
            };
            let header = header?;
            match header.kind {
                b'$' | b'!' | b'=' if header.number >= 0 => {
                    let end = header.end + length(header.number) + 2;
                    if self.bytes.len() < end {
                        return None;
                    }
                    self.at = end;
                }
                b'*' | b'~' | b'>' | b'%' | b'|' if header.number > 0 => {
                    self.at = header.end;
                    self.open.push(match header.kind {
                        b'%' => 2 * length(header.number),
                        // Attributes precede the element that they belong to.
                        b'|' => 2 * length(header.number) + 1,
                        _ => length(header.number),
                    });
                    continue;
                }
                _ => self.at = header.end,
            }
            if self.close() {
                let rest = self.bytes.split_off(self.at);
                self.at = 0;
                return Some(std::mem::replace(&mut self.bytes, rest));
            }
        }
        (self.is_opaque && !self.bytes.is_empty()).then(|| std::mem::take(&mut self.bytes))
    }

    /// Records the end of an element. Returns whether the frame has ended too.
    fn close(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }
}

/// Whether a frame is an unsolicited push: in RESP3 every push except confirmations of subscriptions, in RESP2 a message. In
/// RESP2, an answer that looks like a message counts as one.
pub(super) fn is_push(frame: &[u8]) -> bool {
    let Some(array) = header(frame, 0).ok().flatten() else { return false };
    let first = || {
        let first = header(frame, array.end).ok()??;
        frame.get(first.end..first.end + length(first.number))
    };
    match array.kind {
        b'>' => first().is_none_or(|kind| !CONFIRMATIONS.contains(&kind)),
        b'*' => first().is_some_and(|kind| MESSAGES.contains(&(kind, length(array.number)))),
        _ => false,
    }
}

/// The header at offset `at`, once its line is complete. An error means that this is not RESP.
fn header(bytes: &[u8], at: usize) -> Result<Option<Header>, ()> {
    let Some(&kind) = bytes.get(at) else { return Ok(None) };
    if !b"+-:_,#(!=$*~>%|".contains(&kind) {
        return Err(());
    }
    let Some(length) = bytes[at..].windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
    let number = if b"!=$*~>%|".contains(&kind) {
        let line = std::str::from_utf8(&bytes[at + 1..at + length]);
        line.ok().and_then(|line| line.parse().ok()).ok_or(())?
    } else {
        0
    };
    Ok(Some(Header { kind, number, end: at + length + 2 }))
}

fn length(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n";
    const FRAMES: [&str; 10] = [
        "+OK\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n_\r\n",
        MESSAGE,
        "|1\r\n+ttl\r\n:1\r\n$1\r\nx\r\n",
        ">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$0\r\n\r\n",
        ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
        "=5\r\ntxt:a\r\n",
    ];

    fn frames_of(chunks: &[&[u8]]) -> Vec<String> {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for chunk in chunks {
            frames.add(chunk);
            found.extend(std::iter::from_fn(|| frames.next()));
        }
        found.into_iter().map(|frame| String::from_utf8(frame).unwrap()).collect()
    }

    #[test]
    fn frames_are_found_wherever_the_stream_is_split() {
        let stream = FRAMES.concat();
        assert_eq!(frames_of(&[stream.as_bytes()]), FRAMES);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(frames_of(&bytes), FRAMES);
    }

    #[test]
    fn only_messages_count_as_pushes() {
        let pushes: Vec<&str> = FRAMES.into_iter().filter(|frame| is_push(frame.as_bytes())).collect();
        assert_eq!(pushes, [FRAMES[4], FRAMES[6]]);
    }

    #[test]
    fn bytes_that_are_not_resp_pass_through_unchanged() {
        assert_eq!(frames_of(&[b"+OK\r\n\x16\x03\x01", b"\x00$x"]), ["+OK\r\n", "\x16\x03\x01", "\x00$x"]);
    }
}
