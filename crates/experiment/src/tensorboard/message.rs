//! The protocol buffer `Event`, as far as scalars need it: tensorflow/core/util/event.proto and
//! summary.proto.

/// How a field is written, the lower three bits of its key.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// The version of the format that every file begins with.
const VERSION: &str = "brain.Event:2";

/// One event.
pub struct Event {
    /// Seconds since 1970.
    time: f64,
    step: i64,
    what: What,
}

enum What {
    Version,
    Restart,
    Scalars(Vec<(String, f64)>),
}

impl Event {
    /// The first event of a file.
    pub fn version(time: f64) -> Self {
        Self { time, step: 0, what: What::Version }
    }

    /// What was written of `step` and later steps counts no more.
    pub fn restart(time: f64, step: i64) -> Self {
        Self { time, step, what: What::Restart }
    }

    /// Numbers by name; they are rounded to single precision.
    pub fn scalars(time: f64, step: i64, scalars: Vec<(String, f64)>) -> Self {
        Self { time, step, what: What::Scalars(scalars) }
    }

    /// In protocol buffer form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        key(&mut out, 1, FIXED64);
        out.extend(self.time.to_le_bytes());
        key(&mut out, 2, VARINT);
        varint(&mut out, self.step as u64);
        match &self.what {
            What::Version => bytes(&mut out, 3, VERSION.as_bytes()),
            What::Scalars(scalars) => bytes(&mut out, 5, &summary(scalars)),
            // SessionLog { status: START }.
            What::Restart => bytes(&mut out, 7, &[1 << 3, 1]),
        }
        out
    }
}

/// Summary { value: [Value { tag, simple_value }] }.
fn summary(scalars: &[(String, f64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, value) in scalars {
        let mut of = Vec::new();
        bytes(&mut of, 1, tag.as_bytes());
        key(&mut of, 2, FIXED32);
        of.extend((*value as f32).to_le_bytes());
        bytes(&mut out, 1, &of);
    }
    out
}

fn key(out: &mut Vec<u8>, field: u64, kind: u64) {
    varint(out, field << 3 | kind);
}

fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    key(out, field, BYTES);
    varint(out, content.len() as u64);
    out.extend(content);
}

/// Seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length() {
        let of = |value| {
            let mut out = Vec::new();
            varint(&mut out, value);
            out
        };
        assert_eq!(of(0), [0]);
        assert_eq!(of(127), [127]);
        // The example of the format's documentation.
        assert_eq!(of(150), [0x96, 0x01]);
        assert_eq!(of(u64::MAX).len(), 10);
    }
}
