//! Writes a dictionary of parameters as `torch.save` does: pickle protocol 2 in a zip archive.

use crate::tensor_file::Entry;
use std::io::{Cursor, Write};
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A value to write.
pub(super) enum Value {
    Int(i64),
    List(Vec<Value>),
    /// A dictionary of a fixed order: a state dictionary.
    Dict(Vec<(String, Value)>),
    /// Named, only for the caller.
    Tensor(Entry),
}

/// Storages begin at multiples of this many bytes, as PyTorch lays them, so that they can be mapped.
const ALIGNMENT: u16 = 64;

/// The bytes of a file that `torch.load(weights_only=True)` reads.
pub(super) fn archive(root: &Value) -> ZipResult<Vec<u8>> {
    let mut writer = Writer::default();
    writer.bytes.extend([0x80, 2]);
    writer.value(root);
    writer.bytes.push(b'.');
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, bytes: &[u8]| -> ZipResult<()> {
        zip.start_file(format!("archive/{name}"), options)?;
        Ok(zip.write_all(bytes)?)
    };
    add("data.pkl", &writer.bytes)?;
    add("byteorder", b"little")?;
    for (i, values) in writer.storages.iter().enumerate() {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        add(&format!("data/{i}"), &bytes)?;
    }
    add("version", b"3\n")?;
    Ok(zip.finish()?.into_inner())
}

#[derive(Default)]
struct Writer<'a> {
    bytes: Vec<u8>,
    storages: Vec<&'a [f32]>,
}

impl<'a> Writer<'a> {
    fn value(&mut self, value: &'a Value) {
        match value {
            Value::Int(i) => self.int(*i),
            Value::List(items) => {
                self.bytes.extend(b"](");
                items.iter().for_each(|i| self.value(i));
                self.bytes.push(b'e');
            }
            Value::Dict(entries) => {
                self.ordered_dict();
                self.bytes.push(b'(');
                for (key, value) in entries {
                    self.text(key);
                    self.value(value);
                }
                self.bytes.push(b'u');
            }
            Value::Tensor((_, shape, values)) => self.tensor(shape, values),
        }
    }

    fn global(&mut self, module: &str, name: &str) {
        self.bytes.extend(format!("c{module}\n{name}\n").bytes());
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.bytes.extend(b")R");
    }

    fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.bytes());
    }

    fn int(&mut self, i: i64) {
        match i32::try_from(i) {
            Ok(i) => {
                self.bytes.push(b'J');
                self.bytes.extend(i.to_le_bytes());
            }
            // LONG1 of 8 bytes.
            Err(_) => {
                self.bytes.extend([0x8a, 8]);
                self.bytes.extend(i.to_le_bytes());
            }
        }
    }

    fn tuple(&mut self, items: impl IntoIterator<Item = usize>) {
        self.bytes.push(b'(');
        items.into_iter().for_each(|i| self.int(i as i64));
        self.bytes.push(b't');
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks)`.
    fn tensor(&mut self, shape: &[usize], values: &'a [f32]) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.bytes.extend(b"((");
        self.text("storage");
        self.global("torch", "FloatStorage");
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.int(values.len() as i64);
        self.bytes.extend(b"tQ");
        self.storages.push(values);
        self.int(0);
        self.tuple(shape.iter().copied());
        let stride = |i: usize| shape[i + 1..].iter().product();
        self.tuple((0..shape.len()).map(stride));
        self.bytes.push(0x89);
        self.ordered_dict();
        self.bytes.extend(b"tR");
    }
}
