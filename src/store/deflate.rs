//! zlib streams of whole objects by one compressor that is used again: making one takes longer than most objects do.

use gix::zlib::stream::deflate::{Compress, FlushCompress};
use gix::zlib::{Compression, Status};

/// How much output one call to the compressor may give.
const ROOM_BYTES: usize = 16 * 1024;

/// Makes one stream after another.
pub(crate) struct Deflater {
    compress: Compress,
    room: Vec<u8>,
}

impl Deflater {
    /// A compressor of this level.
    pub(crate) fn new(level: Compression) -> Self {
        Self { compress: Compress::new(level), room: vec![0; ROOM_BYTES] }
    }

    /// The stream that holds `parts`, one after another.
    ///
    /// # Errors
    /// Other, when the compressor stops, which it does for no input that fits into memory.
    pub(crate) fn stream(&mut self, parts: &[&[u8]]) -> std::io::Result<Vec<u8>> {
        self.compress.reset();
        let mut out = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() / 2 + 64);
        for part in parts {
            let mut left = *part;
            while !left.is_empty() {
                let (taken, _) = self.step(left, FlushCompress::None, &mut out)?;
                left = &left[taken..];
            }
        }
        while self.step(&[], FlushCompress::Finish, &mut out)?.1 != Status::StreamEnd {}
        Ok(out)
    }

    fn step(&mut self, input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> std::io::Result<(usize, Status)> {
        let before = (self.compress.total_in(), self.compress.total_out());
        let status = self.compress.compress(input, &mut self.room, flush);
        let status = status.map_err(|error| std::io::Error::other(error.to_string()))?;
        let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
        let taken = count(self.compress.total_in(), before.0);
        let made = count(self.compress.total_out(), before.1);
        if taken == 0 && made == 0 && status != Status::StreamEnd {
            return Err(std::io::Error::other("the compressor stands still"));
        }
        out.extend_from_slice(&self.room[..made]);
        Ok((taken, status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(stream: &[u8], bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        let (status, taken, made) = gix::zlib::Inflate::default().once(stream, &mut out).unwrap();
        assert_eq!((status, taken, made), (Status::StreamEnd, stream.len(), bytes));
        out
    }

    #[test]
    fn one_stream_after_another_holds_what_was_given() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut noise = |bytes: usize| -> Vec<u8> { (0..bytes).map(|_| random.u8(..)).collect() };
        for level in [Compression::BEST_SPEED, Compression::DEFAULT] {
            let mut deflater = Deflater::new(level);
            for bytes in [1, 10, 700, ROOM_BYTES, 5 * ROOM_BYTES + 3, 1] {
                for text in [vec![b'a'; bytes], noise(bytes)] {
                    let (first, second) = text.split_at(bytes / 3);
                    let stream = deflater.stream(&[first, second]).unwrap();
                    assert_eq!(inflated(&stream, bytes), text);
                    assert_eq!(deflater.stream(&[&text]).unwrap(), Deflater::new(level).stream(&[&text]).unwrap());
                }
            }
        }
    }
}
