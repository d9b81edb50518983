//! Compressed files, known by their first bytes and not by their names.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How a file's content is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain,
    Gzip,
    Zstd,
}

impl Codec {
    /// Enough of a file to know.
    pub(crate) const MAGIC: usize = 4;

    /// Judges by the file's first [`MAGIC`](Self::MAGIC) bytes. A line of a log starts with neither of the two magics.
    pub(crate) fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// The decoded content, in constant memory whatever the ratio. All members of a gzip file, all frames of a zstd file.
    pub(crate) fn decode<R: Read + Send + 'static>(self, raw: R) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Plain => Box::new(raw),
            Self::Gzip => {
                Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, raw)))
            }
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(64 * 1024, raw))?),
        })
    }
}

/// A file as a reader of its own: without the shared cursor of a file descriptor, and counting what it reads.
pub(crate) struct Raw {
    file: Arc<File>,
    at: u64,
    /// Everything read through all readers that share it.
    consumed: Arc<AtomicU64>,
}

impl Raw {
    pub(crate) fn new(file: Arc<File>, consumed: Arc<AtomicU64>) -> Self {
        Self { file, at: 0, consumed }
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        self.consumed.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A file's decoded content from its beginning, to look at; counted nowhere.
pub(crate) fn content(file: &Arc<File>, codec: Codec) -> io::Result<Box<dyn Read + Send>> {
    codec.decode(Raw::new(Arc::clone(file), Arc::default()))
}
