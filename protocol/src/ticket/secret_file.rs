//! The file with the shared secrets, one per line.
//!
//! The first secret signs, and all are accepted. This allows rotation without downtime: add the new secret as the first line,
//! and remove the old one when nothing signs with it any more.

/// The secrets in a file, the signing one first. Empty lines, and carriage returns at the end of lines, are ignored.
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
