//! The log of a command: a file of bounded size that holds how the output began and how it ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;

/// How many lines the tail of a log holds at most.
pub const TAIL_LINES_MAX: usize = 60;
const TAIL_BYTES_MAX: usize = 16_384;

/// The file, and the last bytes of the output, cut or not.
pub(super) struct Log {
    file: Option<File>,
    /// What the file may still take at once.
    room: usize,
    /// What comes after that, as far as it is among the last `end_bytes_max`.
    end: VecDeque<u8>,
    end_bytes_max: usize,
    left_out: u64,
    tail: VecDeque<u8>,
    chunk: Vec<u8>,
}

impl Log {
    /// A log of at most `bytes_max` at `path`, made anew.
    pub(super) fn create(path: &Path, bytes_max: u64) -> std::io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let half = usize::try_from(bytes_max / 2).unwrap_or(usize::MAX);
        Ok(Self {
            file: Some(File::create(path)?),
            room: half,
            end: VecDeque::new(),
            end_bytes_max: half,
            left_out: 0,
            tail: VecDeque::new(),
            chunk: vec![0; 65_536],
        })
    }

    /// Takes what the output has next; clears it at its end, after which this never returns.
    pub(super) async fn pump(&mut self, output: &mut Option<ChildStdout>) {
        let Some(open) = output else { return std::future::pending().await };
        match open.read(&mut self.chunk).await {
            Ok(len @ 1..) => self.take(len),
            Ok(0) | Err(_) => *output = None,
        }
    }

    fn take(&mut self, len: usize) {
        let kept = self.room.min(len);
        // A log that cannot be written (disk full) is no reason to end the command.
        if kept > 0 && self.file.as_mut().is_some_and(|file| file.write_all(&self.chunk[..kept]).is_err()) {
            self.file = None;
        }
        self.room -= kept;
        self.left_out += keep_last(&mut self.end, &self.chunk[kept..len], self.end_bytes_max);
        keep_last(&mut self.tail, &self.chunk[..len], TAIL_BYTES_MAX);
    }

    /// Closes the file, which then holds the end of the output too, and answers its last lines.
    pub(super) fn finish(&mut self) -> String {
        self.write_end();
        let bytes: Vec<u8> = self.tail.drain(..).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].join("\n")
    }

    fn write_end(&mut self) {
        let Some(mut file) = self.file.take() else { return };
        if self.left_out > 0 {
            let _ = write!(file, "\n[gt: {} bytes left out]\n", self.left_out);
        }
        let (one, two) = self.end.as_slices();
        let _ = file.write_all(one).and_then(|()| file.write_all(two));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.write_end();
    }
}

/// Adds `bytes` to `last`, of which the last `most` stay; tells how many went.
fn keep_last(last: &mut VecDeque<u8>, bytes: &[u8], most: usize) -> u64 {
    let skipped = bytes.len().saturating_sub(most);
    last.extend(&bytes[skipped..]);
    let surplus = last.len().saturating_sub(most);
    last.drain(..surplus);
    (skipped + surplus) as u64
}
