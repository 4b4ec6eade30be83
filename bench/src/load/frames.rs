//! Parser for a server's WebSocket frames that reads the heads and skips the payloads.

/// Maximum head length of an unmasked frame (RFC 6455, 5.2).
const MAX_HEAD: usize = 10;

/// Parser state of a stream of frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; MAX_HEAD],
    have: usize,
    /// Remaining payload bytes of the frame whose head is complete.
    length: usize,
    missing: usize,
}

impl Frames {
    /// Consumes bytes. Calls `ended` with the payload length of each text or binary frame that ends in them.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut ended: impl FnMut(usize)) {
        while !bytes.is_empty() {
            if self.missing == 0 {
                self.head[self.have] = bytes[0];
                self.have += 1;
                bytes = &bytes[1..];
                let Some(length) = self.announced() else { continue };
                self.have = 0;
                self.length = length;
                self.missing = length;
            }
            let skipped = self.missing.min(bytes.len());
            self.missing -= skipped;
            bytes = &bytes[skipped..];
            if self.missing == 0 && matches!(self.head[0] & 0x0f, 1 | 2) {
                ended(self.length);
            }
        }
    }

    /// The payload length, once the head is complete.
    fn announced(&self) -> Option<usize> {
        let head = &self.head[..self.have];
        match head {
            [_, 126, length @ ..] => Some(usize::from(u16::from_be_bytes(length.try_into().ok()?))),
            [_, 127, length @ ..] => usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok(),
            [_, length] => Some(usize::from(*length)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let mut stream = vec![0x81, 2, b'a', b'b', 0x89, 0, 0x82, 126, 0, 200];
        stream.extend([0; 200]);
        stream.extend([0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        stream.extend(vec![0; 65_536]);
        stream.extend([0x81, 0, 0x81, 1, 0]);
        for size in [1, 2, 3, 7, 100, stream.len()] {
            let (mut frames, mut lengths) = (Frames::default(), Vec::new());
            for piece in stream.chunks(size) {
                frames.take(piece, |length| lengths.push(length));
            }
            assert_eq!(lengths, [2, 200, 65_536, 0, 1], "in pieces of {size} bytes");
        }
    }
}
