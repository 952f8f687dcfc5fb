//! A trace's bytes: from a file or a pipe, unpacked, as UTF-8 or whatever ASCII is part of.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::packed::unpack;

/// A trace to be read.
pub struct TraceInput {
    pub(super) reader: Box<dyn BufRead>,
    /// Bytes of the file that were read.
    consumed_bytes: Rc<Cell<u64>>,
    /// Size of the file, if it has one.
    size_bytes: Option<u64>,
}

impl fmt::Debug for TraceInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceInput")
            .field("consumed_bytes", &self.consumed_bytes)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

impl TraceInput {
    /// The file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or is compressed in a way that cannot be unpacked.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let size_bytes = metadata.is_file().then_some(metadata.len());
        Self::new(file, size_bytes)
    }

    /// What `source` gives, of which there are `size_bytes`, if that is known. Compressed data is unpacked; a byte order mark is left out, and UTF-16
    /// with one is decoded.
    ///
    /// # Errors
    /// As [`TraceInput::open`].
    pub fn new(source: impl Read + 'static, size_bytes: Option<u64>) -> io::Result<Self> {
        let consumed_bytes = Rc::new(Cell::new(0));
        let counting = Counting {
            source,
            consumed_bytes: Rc::clone(&consumed_bytes),
        };
        let text = DecodeReaderBytesBuilder::new()
            .utf8_passthru(true)
            .strip_bom(true)
            .build(unpack(counting)?);
        Ok(Self {
            reader: Box::new(BufReader::with_capacity(1 << 18, text)),
            consumed_bytes,
            size_bytes,
        })
    }

    /// How much of it was read, in thousandths, if its size is known.
    pub(super) fn progress_milli(&self) -> Option<u64> {
        let size_bytes = self.size_bytes.filter(|&bytes| bytes > 0)?;
        Some((u128::from(self.consumed_bytes.get()) * 1000 / u128::from(size_bytes)) as u64)
    }
}

/// Counts what is read.
struct Counting<R> {
    source: R,
    consumed_bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.consumed_bytes.set(self.consumed_bytes.get() + read as u64);
        Ok(read)
    }
}
