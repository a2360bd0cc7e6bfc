//! The write queue of a link, in order.
//!
//! Small messages are appended to one buffer and written at once: a buffer, a frame and a queue entry per message would
//! cost more than the bytes. Messages with large parts are frames, whose parts are shared. Tests: below.

use std::collections::VecDeque;

use bytes::Bytes;
use qipc::Frame;

/// Small messages beyond this lie in a buffer of their own.
const TOGETHER: usize = 64 << 10;
/// What small messages take together, mostly.
const USUAL: usize = 4 << 10;
/// Most memory that is kept for the next small messages of a link that is not busy: there may be many links.
const SPARE: usize = 2 * USUAL;
/// As much of one that is busy: growing to it anew costs a copy of the messages for each doubling.
const SPARE_BUSY: usize = 2 * TOGETHER;
/// Most bytes taken for one write.
const BATCH_BYTES: usize = 1 << 20;
/// Most frames taken for one write.
const BATCH_FRAMES: usize = 256;

/// Messages that wait.
#[derive(Default)]
pub(crate) struct Backlog {
    /// each with the number of its messages
    frames: VecDeque<(Frame, usize)>,
    /// small messages that came after these frames
    tail: Vec<u8>,
    /// messages in `tail`
    in_tail: usize,
    /// memory of a buffer that was written, for the next
    spare: Vec<u8>,
}

/// What was taken for a write.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.tail.is_empty()
    }

    /// A message as a frame.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.seal();
        self.frames.push_back((frame, 1));
    }

    /// A small message, or what is left of one.
    pub(crate) fn append(&mut self, message: &[u8]) {
        if self.tail.len() + message.len() > TOGETHER {
            self.seal();
        }
        if self.tail.is_empty() {
            self.tail = std::mem::take(&mut self.spare);
            self.tail.reserve(message.len().max(USUAL));
        }
        self.tail.extend_from_slice(message);
        self.in_tail += 1;
    }

    /// Moves frames to `batch`, as many as go into one write.
    pub(crate) fn take(&mut self, batch: &mut Vec<Frame>) -> Taken {
        let mut taken = Taken::default();
        while batch.len() < BATCH_FRAMES && taken.bytes < BATCH_BYTES {
            if self.frames.is_empty() {
                self.seal();
            }
            let Some((frame, messages)) = self.frames.pop_front() else { break };
            taken.bytes += frame.len();
            taken.messages += messages;
            batch.push(frame);
        }
        taken
    }

    /// Frames that were written: the memory of a buffer is used again.
    pub(crate) fn written(&mut self, batch: &mut Vec<Frame>) {
        let one = batch.pop().filter(|frame| frame.0.len() == 1);
        batch.clear();
        let bytes = one.and_then(|mut frame| frame.0.pop()).filter(Bytes::is_unique);
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() <= SPARE_BUSY) {
            self.spare = bytes.into();
            self.spare.clear();
            self.spare.shrink_to(SPARE_BUSY);
        }
    }

    /// Keeps less memory for the next messages, until more is needed again. To be said now and then.
    pub(crate) fn let_go(&mut self) {
        self.spare.shrink_to(SPARE);
    }

    /// Nothing more is added to the small messages that lie together.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let together = Bytes::from(std::mem::take(&mut self.tail));
            self.frames.push_back((together.into(), std::mem::take(&mut self.in_tail)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(backlog: &mut Backlog) -> (Vec<u8>, Taken, usize) {
        let mut batch = Vec::new();
        let taken = backlog.take(&mut batch);
        (batch.iter().flat_map(|f| f.0.concat()).collect(), taken, batch.len())
    }

    #[test]
    fn small_messages_leave_together_and_keep_their_place_among_frames() {
        let mut backlog = Backlog::default();
        backlog.append(b"ab");
        backlog.append(b"c");
        backlog.push(Frame(vec![Bytes::from_static(b"de"), Bytes::from_static(b"f")]));
        backlog.append(b"g");
        assert_eq!(all(&mut backlog), (b"abcdefg".to_vec(), Taken { bytes: 7, messages: 4 }, 3));
        assert!(backlog.is_empty());
        assert_eq!(all(&mut backlog), (Vec::new(), Taken::default(), 0));
    }

    #[test]
    fn memory_of_what_was_written_is_used_again_where_it_is_little() {
        let mut backlog = Backlog::default();
        let mut written = |len: usize| {
            let mut batch = Vec::new();
            backlog.append(&vec![7; len]);
            backlog.take(&mut batch);
            let at = batch[0].0[0].as_ptr();
            backlog.written(&mut batch);
            assert!(batch.is_empty());
            (at, backlog.spare.capacity())
        };
        let (first, kept) = written(10);
        assert!((10..=SPARE).contains(&kept));
        assert_eq!(written(USUAL).0, first, "it is the same");
        let large = written(TOGETHER);
        assert!((TOGETHER..=SPARE_BUSY).contains(&large.1));
        assert_eq!(written(TOGETHER), large, "no need to grow again");
        backlog.let_go();
        assert!(backlog.spare.capacity() <= SPARE);
    }

    #[test]
    fn a_write_is_bounded_and_what_is_left_comes_next() {
        let (mut backlog, message) = (Backlog::default(), vec![7; 1 << 10]);
        let count = 2 * (BATCH_BYTES >> 10);
        (0..count).for_each(|_| backlog.append(&message));
        let mut messages = 0;
        while !backlog.is_empty() {
            let mut batch = Vec::new();
            let taken = backlog.take(&mut batch);
            assert!(taken.bytes <= BATCH_BYTES + TOGETHER, "{taken:?}");
            assert!(batch.iter().all(|f| f.len() <= TOGETHER));
            messages += taken.messages;
        }
        assert_eq!(messages, count);
    }
}
