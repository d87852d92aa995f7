//! TFRecord: length, checksum of the length, bytes, checksum of the bytes, numbers little-endian.

use crc::{CRC_32_ISCSI, Crc, Table};

/// CRC-32C, as the format has it.
const CASTAGNOLI: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// `bytes` as one record.
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(bytes.len() + 16);
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend(bytes);
    out.extend(masked(bytes).to_le_bytes());
    out
}

/// The checksum, masked so that checksums of data that holds checksums stay good ones.
fn masked(bytes: &[u8]) -> u32 {
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_three_bytes() {
        assert_eq!(CASTAGNOLI.checksum(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        let record = frame(b"abc");
        assert_eq!(record.len(), 8 + 4 + 3 + 4);
        assert_eq!(&record[..8], &[3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&record[12..15], b"abc");
    }
}
