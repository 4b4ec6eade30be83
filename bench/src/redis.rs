//! A blocking Redis client that waits for each answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wire::resp;

/// A connection to Redis.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Null.
    Nothing,
    /// A status or a string.
    Text(Vec<u8>),
    /// An integer.
    Number(i64),
    /// An array.
    Array(Vec<Reply>),
}

impl Client {
    /// Connects to Redis.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, stream) })
    }

    /// Sends a command and waits for its answer.
    pub fn ask(&mut self, words: &[&[u8]]) -> io::Result<Reply> {
        self.send(&resp(words))?;
        self.reply()
    }

    /// Sends a command whose answer is a string.
    pub fn ask_text(&mut self, words: &[&[u8]]) -> io::Result<String> {
        match self.ask(words)? {
            Reply::Text(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            other => Err(io::Error::other(format!("Redis answered {other:?}"))),
        }
    }

    /// The number of the field `name` in a section of `INFO`.
    pub fn info(&mut self, section: &str, name: &str) -> io::Result<u64> {
        let text = self.ask_text(&[b"INFO", section.as_bytes()])?;
        let found = text.split(['\r', '\n', ',']).find_map(|line| line.strip_prefix(name));
        Ok(found.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    /// Sends encoded commands.
    pub fn send(&mut self, commands: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(commands)
    }

    /// Reads the next answer.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let Some((kind, rest)) = line.strip_suffix(b"\r\n").and_then(|line| line.split_first()) else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        };
        let rest = String::from_utf8_lossy(rest);
        let number = || rest.parse().map_err(|_| io::Error::other("Redis answered no number"));
        match kind {
            b'+' => Ok(Reply::Text(rest.into_owned().into_bytes())),
            b':' => Ok(Reply::Number(number()?)),
            b'$' => {
                let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Nothing) };
                let mut text = vec![0; length + 2];
                self.stream.read_exact(&mut text)?;
                text.truncate(length);
                Ok(Reply::Text(text))
            }
            b'*' => (0..number()?).map(|_| self.reply()).collect::<io::Result<_>>().map(Reply::Array),
            _ => Err(io::Error::other(format!("Redis says {rest}"))),
        }
    }

    /// Reads and discards everything until the connection ends.
    pub fn discard(self) {
        // However it ended, there is nothing left to do.
        let _ = io::copy(&mut self.stream.into_inner(), &mut io::sink());
    }
}
