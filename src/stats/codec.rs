//! Contents as bytes: what the store keeps. Integers as LEB128 varints, keys and histogram buckets as differences to
//! the one before; about 30 bytes a series.
//!
//! A reader of a later version must read these: change the first byte when the layout changes.

use super::{
    Contents, Event, Key, Series, SeriesRef, Texts, Verdict,
    histogram::{Bucket, Count, HIGHEST_BUCKET},
    name_list::NameList,
    series_list::SeriesList,
};
use crate::access_log::{Class, Operation};

/// The layout written below.
const LAYOUT: u8 = 1;

/// Bytes that are not contents. The store's own checksum comes first, so this means a version or a program gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early, or are not what their place needs.
    #[error("stored contents are damaged at byte {0}")]
    Damaged(usize),
    /// Written by a later version.
    #[error(
        "stored contents have layout {0}, and this version reads layout {LAYOUT}: a later version wrote them"
    )]
    Layout(u8),
}

impl Contents {
    /// As bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(LAYOUT);
        put(out, self.names.len() as u64);
        for name in self.names.iter() {
            put_bytes(out, name);
        }
        put(out, self.series.len() as u64);
        let mut before = 0;
        for series in self.series.iter() {
            put(out, series.key.bits() - before);
            before = series.key.bits();
            put_series(out, &series);
        }
        put(out, self.events.len() as u64);
        for event in &self.events {
            put_event(out, event);
        }
    }

    /// From bytes. Never panics, whatever they are, and what it gives keeps every promise that counted contents keep:
    /// nobody after it has to ask.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader { bytes, at: 0 };
        match reader.byte()? {
            LAYOUT => {}
            layout => return Err(DecodeError::Layout(layout)),
        }
        let mut names = NameList::default();
        for _ in 0..reader.count(1)? {
            names.push(reader.bytes()?);
        }
        reader.expect(names.iter().is_sorted_by(|a, b| a < b))?;
        let mut before = None;
        let mut series = SeriesList::default();
        for _ in 0..reader.count(3)? {
            let step = reader.number()?;
            let bits = before.unwrap_or(0u64).checked_add(step).ok_or_else(|| reader.damaged())?;
            reader.expect(before.is_none() || step > 0)?;
            before = Some(bits);
            let one = reader.series(Key::from_bits(bits))?;
            reader.expect(!one.key.has_name() || (one.key.name() as usize) < names.len())?;
            series.push(&one);
        }
        let events = reader.many(20, Reader::event)?;
        if reader.at != bytes.len() {
            return Err(reader.damaged());
        }
        Ok(Self { names, series, events })
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Which counters are not 0, these, and the latencies.
fn put_series(out: &mut Vec<u8>, series: &SeriesRef<'_>) {
    let present = (0..series.counters.len()).filter(|i| series.counters[*i] > 0);
    put(out, present.clone().fold(0, |bits, i| bits | 1 << i));
    for i in present {
        put(out, series.counters[i]);
    }
    let latency = &series.latency;
    put(out, latency.counts.len() as u64);
    if latency.counts.is_empty() {
        return;
    }
    put(out, latency.sum_ms);
    put(out, u64::from(latency.min_ms));
    put(out, u64::from(latency.max_ms));
    let mut before = 0;
    for Count { bucket, count } in latency.counts {
        // Nearly every count is 1 where there are few: it takes no byte of its own then.
        put(out, u64::from(bucket - before) << 1 | u64::from(*count > 1));
        if *count > 1 {
            put(out, u64::from(*count));
        }
        before = *bucket;
    }
}

fn put_event(out: &mut Vec<u8>, event: &Event) {
    put(out, zigzag(event.time_ms));
    out.extend_from_slice(&event.hash.to_le_bytes());
    put(out, event.class as u64);
    put(out, event.operation as u64);
    put(out, u64::from(event.status) << 1 | u64::from(event.slow));
    put(out, event.verdict.map_or(0, |verdict| verdict as u64));
    put(out, event.bytes_in);
    put(out, event.bytes_out);
    for time_ms in [event.request_time_ms, event.upstream_time_ms] {
        put(out, time_ms.map_or(0, |ms| u64::from(ms) + 1));
    }
    for text in event.texts.iter() {
        put_bytes(out, text.as_bytes());
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self) -> DecodeError {
        DecodeError::Damaged(self.at)
    }

    fn expect(&self, sound: bool) -> Result<(), DecodeError> {
        if sound { Ok(()) } else { Err(self.damaged()) }
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.damaged())?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            self.expect(bits << shift >> shift == bits)?;
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        let number = self.number()?;
        T::try_from(number).map_err(|_| self.damaged())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length).ok_or_else(|| self.damaged())?;
        let bytes = self.bytes.get(self.at..end).ok_or_else(|| self.damaged())?;
        self.at = end;
        Ok(bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.small()?;
        self.take(length)
    }

    /// How many things of at least `least` bytes each come: more than the rest can hold are damage, and allocate nothing.
    fn count(&mut self, least: usize) -> Result<usize, DecodeError> {
        let count: usize = self.small()?;
        self.expect(count <= (self.bytes.len() - self.at) / least)?;
        Ok(count)
    }

    /// So many things, and before them how many.
    fn many<T>(
        &mut self,
        least: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        (0..self.count(least)?).map(|_| one(self)).collect()
    }

    fn series(&mut self, key: Key) -> Result<Series, DecodeError> {
        let mut series = Series::new(key);
        let present = self.number()?;
        self.expect(present >> series.counters.len() == 0)?;
        for (i, counter) in series.counters.iter_mut().enumerate() {
            if present & 1 << i != 0 {
                *counter = self.number()?;
                self.expect(*counter > 0)?;
            }
        }
        let latency = &mut series.latency;
        let counts = self.count(1)?;
        if counts == 0 {
            return Ok(series);
        }
        latency.sum_ms = self.number()?;
        latency.min_ms = self.small()?;
        latency.max_ms = self.small()?;
        self.expect(latency.min_ms <= latency.max_ms)?;
        let mut before = 0;
        for i in 0..counts {
            let number = self.number()?;
            let step = number >> 1;
            self.expect((i == 0 || step > 0) && step <= u64::from(HIGHEST_BUCKET - before))?;
            before += step as Bucket;
            let count: u32 = if number & 1 == 1 { self.small()? } else { 1 };
            self.expect(count > number as u32 & 1)?;
            latency.count += u64::from(count);
            latency.counts.push(Count { bucket: before, count });
        }
        Ok(series)
    }

    fn event(&mut self) -> Result<Event, DecodeError> {
        let time_ms = unzigzag(self.number()?);
        let hash = self.take(8)?.try_into().map(u64::from_le_bytes).map_err(|_| self.damaged())?;
        let class = self.numbered(Class::ALL)?;
        let operation = self.numbered(Operation::ALL)?;
        let status: u64 = self.number()?;
        let slow = status & 1 == 1;
        let status = u16::try_from(status >> 1).map_err(|_| self.damaged())?;
        let verdict = match self.number()? {
            0 => None,
            number => {
                let number = usize::try_from(number - 1).map_err(|_| self.damaged())?;
                Some(*Verdict::ALL.get(number).ok_or_else(|| self.damaged())?)
            }
        };
        Ok(Event {
            time_ms,
            hash,
            class,
            operation,
            status,
            slow,
            verdict,
            bytes_in: self.number()?,
            bytes_out: self.number()?,
            request_time_ms: self.time()?,
            upstream_time_ms: self.time()?,
            texts: self.texts()?,
        })
    }

    /// One more than the milliseconds, or 0 for none.
    fn time(&mut self) -> Result<Option<u32>, DecodeError> {
        match self.number()? {
            0 => Ok(None),
            more => u32::try_from(more - 1).map(Some).map_err(|_| self.damaged()),
        }
    }

    fn numbered<T: Copy>(&mut self, all: &[T]) -> Result<T, DecodeError> {
        let number: usize = self.small()?;
        all.get(number).copied().ok_or_else(|| self.damaged())
    }

    fn texts(&mut self) -> Result<Texts, DecodeError> {
        let mut texts = [""; Texts::NAMES.len()];
        for text in &mut texts {
            *text = self.text()?;
        }
        Ok(Texts::new(texts))
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged())
    }
}
