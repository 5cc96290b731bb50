//! A guest's memory as the host reads and writes it: every place is checked, and a wrong one is an answer to the
//! guest, never more.

use super::wasi::{FAULT, Halt, INVAL};

/// Parts of one read or write; the usual bound of POSIX (`IOV_MAX`).
const MOST_VECTORS: u32 = 1024;

/// The linear memory of a command.
pub(super) struct Memory<'a>(pub &'a mut [u8]);

impl Memory<'_> {
    /// `length` bytes at `at`.
    pub fn bytes(&self, at: u32, length: u32) -> Result<&[u8], Halt> {
        let range = range(at, length)?;
        self.0.get(range).ok_or(Halt::Errno(FAULT))
    }

    /// The same, to be written.
    pub fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Halt> {
        let range = range(at, length)?;
        self.0.get_mut(range).ok_or(Halt::Errno(FAULT))
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Halt> {
        let length = u32::try_from(N).map_err(|_| Halt::Errno(FAULT))?;
        self.bytes(at, length)?.try_into().map_err(|_| Halt::Errno(FAULT))
    }

    pub fn u8(&self, at: u32) -> Result<u8, Halt> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    pub fn u16(&self, at: u32) -> Result<u16, Halt> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub fn u32(&self, at: u32) -> Result<u32, Halt> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub fn u64(&self, at: u32) -> Result<u64, Halt> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// Writes all of `bytes` at `at`.
    pub fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), Halt> {
        let length = u32::try_from(bytes.len()).map_err(|_| Halt::Errno(FAULT))?;
        self.bytes_mut(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    /// The places of a vectored read or write, every one within memory, and their length together.
    pub fn vectors(&self, at: u32, count: u32) -> Result<(Vec<(u32, u32)>, u32), Halt> {
        if count > MOST_VECTORS {
            return Err(Halt::Errno(INVAL));
        }
        let (mut places, mut total) = (Vec::new(), 0_u32);
        for index in 0..count {
            let vector = offset(at, index * 8)?;
            let (start, length) = (self.u32(vector)?, self.u32(offset(vector, 4)?)?);
            self.bytes(start, length)?;
            total = total.checked_add(length).ok_or(Halt::Errno(INVAL))?;
            places.push((start, length));
        }
        Ok((places, total))
    }
}

/// The address so many bytes after `at`, or a fault if there is none.
pub(super) fn offset(at: u32, by: u32) -> Result<u32, Halt> {
    at.checked_add(by).ok_or(Halt::Errno(FAULT))
}

fn range(at: u32, length: u32) -> Result<std::ops::Range<usize>, Halt> {
    let wide = |number: u32| usize::try_from(number).map_err(|_| Halt::Errno(FAULT));
    let start = wide(at)?;
    let end = start.checked_add(wide(length)?).ok_or(Halt::Errno(FAULT))?;
    Ok(start..end)
}
