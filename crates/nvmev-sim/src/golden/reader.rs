//! A trace's lines, one after the other, with a look at the next.

use std::io::{BufRead, Read};

use super::error::TraceError;
use super::line::Line;

/// Longest line. The longest known one, a description, has some 300 bytes.
const LINE_LEN_MAX: u64 = 16 * 1024;

/// The lines of a trace.
pub struct Lines<R> {
    file: String,
    reader: R,
    /// Number of the line read last, from 1.
    number: u64,
    /// The line read last, if it was only looked at; the inner `None` is the end of the file.
    peeked: Option<Option<Line>>,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `reader`; `file` is its name in messages.
    pub fn new(file: &str, reader: R) -> Self {
        Self {
            file: file.to_owned(),
            reader,
            number: 0,
            peeked: None,
            buffer: Vec::new(),
        }
    }

    /// The next line, which stays the next one. `None` at the end of the file.
    pub fn peek(&mut self) -> Result<Option<&Line>, TraceError> {
        if self.peeked.is_none() {
            self.peeked = Some(self.read()?);
        }
        Ok(self.peeked.as_ref().and_then(Option::as_ref))
    }

    /// The next line; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<Line>, TraceError> {
        match self.peeked.take() {
            Some(line) => Ok(line),
            None => self.read(),
        }
    }

    /// An error at the line read last.
    pub fn error(&self, reason: impl Into<String>) -> TraceError {
        TraceError {
            file: self.file.clone(),
            line: Some(self.number.max(1)),
            reason: reason.into(),
        }
    }

    /// The error that `found` is not what has to come here.
    pub fn unexpected(&self, expected: &str, found: Option<&Line>) -> TraceError {
        self.error(match found {
            Some(line) => format!("expected {expected}, found {}", line.what()),
            None => format!("expected {expected}, but the file ends here: it is truncated"),
        })
    }

    fn read(&mut self) -> Result<Option<Line>, TraceError> {
        self.buffer.clear();
        let read = (&mut self.reader)
            .take(LINE_LEN_MAX + 1)
            .read_until(b'\n', &mut self.buffer);
        let length = match read {
            Ok(length) => length as u64,
            Err(error) => {
                self.number += 1;
                return Err(self.error(format!(
                    "cannot read on, the file is damaged or truncated: {error}"
                )));
            }
        };
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        if length > LINE_LEN_MAX {
            return Err(self.error(format!("the line is longer than {LINE_LEN_MAX} bytes")));
        }
        let bytes = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let text = std::str::from_utf8(bytes).map_err(|_| self.error("the line is not UTF-8 text"))?;
        Line::parse(text).map(Some).map_err(|reason| self.error(reason))
    }
}
