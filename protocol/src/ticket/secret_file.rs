//! The file of the shared secret: one secret in each line.
//!
//! The first one signs, all are accepted, so that a secret can be changed under way: put the new one in front, and take the old
//! one out when nobody signs with it any more.

/// The secrets of a file, the one that signs first. Empty lines do not count, nor does the carriage return at a line's end.
pub fn secrets(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_secret() {
        let read = |content: &[u8]| secrets(content).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(read(b"one"), [b"one"]);
        assert_eq!(read(b"one\n"), [b"one"]);
        assert_eq!(read(b"one\r\n\r\ntwo\n\n"), [b"one", b"two"]);
        assert!(read(b"\n\n").is_empty() && read(b"").is_empty());
    }
}
