//! A trace's lines, whatever their bytes are.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use super::input::TraceInput;

/// Longest line that is looked at. A process's name has 15 bytes; a file's path, up to 4096.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    bytes: Vec<u8>,
    /// Only its beginning is there.
    pub is_long: bool,
    /// The file ends without a line break.
    pub is_last_without_break: bool,
}

impl Line {
    /// Whether the file may end in the middle of it: a line of a format whose lines end with `end`.
    pub fn is_cut_off_before(&self, end: u8) -> bool {
        self.is_last_without_break && self.bytes.trim_ascii_end().last() != Some(&end)
    }

    /// The text, without what surrounds it. Bytes that are not UTF-8, as in names of processes and files, are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        // A byte order mark is where files were joined, too.
        let bytes = self.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.bytes);
        match String::from_utf8_lossy(bytes.trim_ascii()) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches('\0')),
            owned => owned,
        }
    }
}

/// Lines one after the other, with a look at the first ones.
#[derive(Debug)]
pub struct Lines {
    pub input: TraceInput,
    /// Lines that were looked at.
    ahead: VecDeque<Line>,
    /// Number of the line that was given out last, from 1.
    pub number: u64,
}

impl Lines {
    pub fn new(input: TraceInput) -> Self {
        Self {
            input,
            ahead: VecDeque::new(),
            number: 0,
        }
    }

    /// Reads a line that [`Lines::next`] will give out, too; nothing at the end.
    pub fn look_ahead(&mut self) -> io::Result<Option<&Line>> {
        let mut line = Line::default();
        Ok(if self.read(&mut line)? {
            self.ahead.push_back(line);
            self.ahead.back()
        } else {
            None
        })
    }

    /// The next line, into `line`; false at the end.
    pub fn next(&mut self, line: &mut Line) -> io::Result<bool> {
        let is_there = match self.ahead.pop_front() {
            Some(ahead) => {
                *line = ahead;
                true
            }
            None => self.read(line)?,
        };
        self.number += u64::from(is_there);
        Ok(is_there)
    }

    fn read(&mut self, line: &mut Line) -> io::Result<bool> {
        let reader = &mut self.input.reader;
        line.bytes.clear();
        (&mut *reader)
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line.bytes)?;
        let has_break = line.bytes.ends_with(b"\n");
        line.is_long = !has_break && line.bytes.len() == LINE_BYTES_MAX;
        if line.is_long {
            reader.skip_until(b'\n')?;
        }
        line.is_last_without_break = !has_break && !line.is_long;
        Ok(!line.bytes.is_empty())
    }
}
