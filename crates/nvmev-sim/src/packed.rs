//! Compressed files, told from their content: gzip, xz and zstd. What is none of them is read as it is.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Most memory that unpacking xz may take, KiB: twice what the strongest preset of xz needs. A damaged file could claim a
/// dictionary of 4 GiB. The decoder of zstd has a limit of its own, 100 MiB.
const XZ_MEMORY_KIB_MAX: u32 = 128 * 1024;
/// Bytes that are unpacked at a time.
const BUFFER_BYTES: usize = 1 << 18;

const GZIP: &[u8] = &[0x1F, 0x8B];
const XZ: &[u8] = &[0xFD, b'7', b'z', b'X', b'Z', 0];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
/// What is known and cannot be unpacked.
const UNSUPPORTED: [(&[u8], &str); 4] = [
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (&[0x04, 0x22, 0x4D, 0x18], "lz4"),
    (b"7z\xBC\xAF\x27\x1C", "7z"),
];
/// The longest of these beginnings.
const MAGIC_BYTES_MAX: usize = 6;

/// What `reader` holds, unpacked. Several compressed streams in a row are one file, as for the tools themselves.
///
/// # Errors
/// If the first bytes cannot be read, or are those of a format that cannot be unpacked.
pub fn unpack<'a>(reader: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    let mut magic = Vec::with_capacity(MAGIC_BYTES_MAX);
    // A pipe may give less at once.
    (&mut reader)
        .take(MAGIC_BYTES_MAX as u64)
        .read_to_end(&mut magic)?;
    if let Some((_, name)) = UNSUPPORTED.iter().find(|(begin, _)| magic.starts_with(begin)) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("it is compressed with {name}: unpack it first (gzip, xz and zstd are unpacked here)"),
        ));
    }
    let (is_gzip, is_xz, is_zstd) = (
        magic.starts_with(GZIP),
        magic.starts_with(XZ),
        magic.starts_with(ZSTD) || matches!(magic.as_slice(), [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]),
    );
    let whole = Cursor::new(magic).chain(reader);
    Ok(if is_gzip {
        buffered(MultiGzDecoder::new(whole))
    } else if is_xz {
        buffered(XzReader::new_mem_limit(whole, true, XZ_MEMORY_KIB_MAX))
    } else if is_zstd {
        buffered(ZstdFrames::new(whole))
    } else {
        Box::new(whole)
    })
}

fn buffered<'a>(reader: impl Read + 'a) -> Box<dyn BufRead + 'a> {
    Box::new(BufReader::with_capacity(BUFFER_BYTES, reader))
}

/// The frames of a zstd file, one after the other; frames to be skipped are.
struct ZstdFrames<R> {
    source: R,
    decoder: FrameDecoder,
    /// A frame is under way.
    is_in_frame: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            is_in_frame: false,
        }
    }

    /// Begins the next frame; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_in_frame {
                self.is_in_frame = self.begin()?;
                if !self.is_in_frame {
                    return Ok(0);
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.is_in_frame = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text(packed: &[u8]) -> String {
        let mut text = String::new();
        unpack(packed).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// `printf 'one\n' | zstd`, as zstd 1.5 writes it.
    const ZSTD_ONE: &[u8] = &[
        0x28, 0xB5, 0x2F, 0xFD, 0x04, 0x58, 0x21, 0x00, 0x00, b'o', b'n', b'e', b'\n', 0xDF, 0x16, 0x68, 0x09,
    ];

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn streams_in_a_row_are_one_file() {
        assert_eq!(text(&[gzip("one\n"), gzip("two\n")].concat()), "one\ntwo\n");
        // A frame of two bytes to be skipped, as pzstd writes them.
        let skipped: &[u8] = &[0x5E, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 7, 7];
        assert_eq!(
            text(&[skipped, ZSTD_ONE, skipped, ZSTD_ONE].concat()),
            "one\none\n"
        );
    }

    #[test]
    fn what_is_not_compressed_stays_as_it_is_however_short() {
        for plain in ["", "\x1F", "a", "(\u{b5}", "fio version 2 iolog\n"] {
            assert_eq!(text(plain.as_bytes()), plain);
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error_after_what_there_was() {
        let long: String = (0..100_000).map(|number| format!("{number}\n")).collect();
        let packed = gzip(&long);
        let mut unpacked = Vec::new();
        let error = unpack(&packed[..packed.len() / 2])
            .unwrap()
            .read_to_end(&mut unpacked)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(!unpacked.is_empty() && long.as_bytes().starts_with(&unpacked));
        assert!(unpack(&ZSTD_ONE[..10])
            .unwrap()
            .read_to_end(&mut Vec::new())
            .is_err());
    }

    #[test]
    fn other_compressions_are_named() {
        for (bytes, name) in [(&b"BZh91AY&SY"[..], "bzip2"), (b"PK\x03\x04\x14\0\0\0", "zip")] {
            let error = unpack(bytes).err().unwrap().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
