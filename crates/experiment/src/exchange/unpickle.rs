//! A pickle as data: what Python's `pickle` would build, described and never built.
//!
//! Values live in one list and refer to each other by index. So what a pickle repeats is shared, as
//! in Python, its nesting costs no stack, and it takes at most a node an opcode: a hostile file can
//! be wrong, not large. (candle's reader copies what is repeated, which a file of a kilobyte can
//! make grow without bound.)

use std::collections::HashMap;

/// Place of a value in its [`Pickle`].
pub type Id = usize;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Text(String),
    /// Bytes, or an integer of more than 64 bits: kept as their length.
    Bytes(usize),
    /// A list or a tuple.
    Sequence(Vec<Id>),
    /// A dictionary, plain or ordered, in its order.
    Dict(Vec<(Id, Id)>),
    /// The name of a class or function: module and name.
    Global(String, String),
    /// A call that Python would make, of a global with arguments.
    Call(Id, Id),
    /// What is stored outside of the pickle, by its key.
    Persistent(Id),
}

/// A read pickle.
#[derive(Clone, Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// Reads `bytes`.
    ///
    /// # Errors
    /// In words: where it ends early, has an operation that `torch.save` does not write, or makes
    /// no sense.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        Reader::default().read(bytes)
    }

    /// The value that was pickled.
    pub fn root(&self) -> Id {
        self.root
    }

    /// The value at `id`.
    pub fn get(&self, id: Id) -> &Node {
        // Every index was made by the reader, of a node that is there.
        &self.nodes[id]
    }

    /// The string at `id`, if it is one.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Text(t) => Some(t),
            _ => None,
        }
    }

    /// The integer at `id`, if it is one.
    pub fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Node::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// The items of the list or tuple at `id`, if it is one.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Node::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of the dictionary at `id`, if it is one.
    pub fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Node::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether `id` names that class or function.
    pub fn is_global(&self, id: Id, module: &str, name: &str) -> bool {
        matches!(self.get(id), Node::Global(m, n) if m == module && n == name)
    }

    /// What a value is, for messages.
    pub fn kind(&self, id: Id) -> &'static str {
        match self.get(id) {
            Node::None => "None",
            Node::Bool(_) => "a truth value",
            Node::Int(_) | Node::Float(_) => "a number",
            Node::Text(_) => "a string",
            Node::Bytes(_) => "bytes",
            Node::Sequence(_) => "a list",
            Node::Dict(_) => "a dictionary",
            Node::Global(..) | Node::Call(..) | Node::Persistent(_) => "an object",
        }
    }
}

#[derive(Default)]
struct Reader {
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

/// The rest of the input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or("it ends in the middle")?;
        self.0 = rest;
        Ok(taken)
    }

    /// An unsigned little-endian integer of `n` bytes, at most 8.
    fn unsigned(&mut self, n: usize) -> Result<u64, String> {
        Ok(self.take(n)?.iter().rev().fold(0, |v, b| v << 8 | *b as u64))
    }

    fn sized(&mut self, n: usize) -> Result<&'a [u8], String> {
        let len = self.unsigned(n)?;
        self.take(usize::try_from(len).map_err(|_| "it ends in the middle")?)
    }

    fn text(bytes: &[u8]) -> Result<String, String> {
        String::from_utf8(bytes.to_vec()).map_err(|_| "a string in it is not UTF-8".into())
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.0.iter().position(|b| *b == b'\n').ok_or("it ends in the middle")?;
        let line = self.take(end + 1)?;
        Self::text(&line[..end])
    }
}

impl Reader {
    fn read(mut self, bytes: &[u8]) -> Result<Pickle, String> {
        let mut input = Input(bytes);
        loop {
            let op = input.take(1)?[0];
            if op == b'.' {
                let root = self.pop()?;
                return Ok(Pickle { nodes: self.nodes, root });
            }
            self.step(op, &mut input)?;
        }
    }

    fn step(&mut self, op: u8, input: &mut Input) -> Result<(), String> {
        let node = match op {
            // PROTO, FRAME: of no consequence here.
            0x80 => return input.take(1).map(|_| ()),
            0x95 => return input.take(8).map(|_| ()),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            // POP, POP_MARK, DUP
            b'0' => return self.pop().map(|_| ()),
            b'1' => return self.since_mark().map(|_| ()),
            b'2' => return self.top().map(|id| self.stack.push(id)),
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => return self.remember(input.unsigned(1)?),
            b'r' => return self.remember(input.unsigned(4)?),
            0x94 => return self.remember(self.memo.len() as u64),
            // BINGET, LONG_BINGET
            b'h' => return self.recall(input.unsigned(1)?),
            b'j' => return self.recall(input.unsigned(4)?),
            // APPEND, APPENDS, SETITEM, SETITEMS
            b'a' => {
                let item = self.pop()?;
                return self.extend(vec![item]);
            }
            b'e' => {
                let items = self.since_mark()?;
                return self.extend(items);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.set(vec![key, value]);
            }
            b'u' => {
                let items = self.since_mark()?;
                return self.set(items);
            }
            // BUILD: attributes of an object, which hold no parameter.
            b'b' => {
                self.pop()?;
                return self.top().map(|_| ());
            }
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'K' => Node::Int(input.unsigned(1)? as i64),
            b'M' => Node::Int(input.unsigned(2)? as i64),
            b'J' => Node::Int(input.unsigned(4)? as u32 as i32 as i64),
            // LONG1: little-endian two's complement.
            0x8a => match input.sized(1)? {
                bytes if bytes.len() <= 8 => {
                    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
                    let start = if negative { -1i64 } else { 0 };
                    Node::Int(bytes.iter().rev().fold(start, |v, b| v << 8 | *b as i64))
                }
                bytes => Node::Bytes(bytes.len()),
            },
            b'G' => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(input.take(8)?);
                Node::Float(f64::from_be_bytes(bytes))
            }
            b'X' => Node::Text(Input::text(input.sized(4)?)?),
            0x8c => Node::Text(Input::text(input.sized(1)?)?),
            0x8d => Node::Text(Input::text(input.sized(8)?)?),
            b'B' | b'T' => Node::Bytes(input.sized(4)?.len()),
            b'C' | b'U' => Node::Bytes(input.sized(1)?.len()),
            b']' | b')' => Node::Sequence(Vec::new()),
            b't' | b'l' => Node::Sequence(self.since_mark()?),
            0x85 => Node::Sequence(self.pop_many(1)?),
            0x86 => Node::Sequence(self.pop_many(2)?),
            0x87 => Node::Sequence(self.pop_many(3)?),
            b'}' => Node::Dict(Vec::new()),
            b'd' => Node::Dict(pairs(&self.since_mark()?)?),
            b'c' => Node::Global(input.line()?, input.line()?),
            // STACK_GLOBAL
            0x93 => {
                let names = self.pop_many(2)?;
                match (&self.nodes[names[0]], &self.nodes[names[1]]) {
                    (Node::Text(m), Node::Text(n)) => Node::Global(m.clone(), n.clone()),
                    _ => return Err("a class in it has no name".into()),
                }
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let parts = self.pop_many(2)?;
                self.call(parts[0], parts[1])
            }
            b'Q' => Node::Persistent(self.pop()?),
            _ => return Err(format!("it has an operation ({op:#04x}) that is not for parameters")),
        };
        self.nodes.push(node);
        self.stack.push(self.nodes.len() - 1);
        Ok(())
    }

    /// An ordered dictionary is a dictionary; every other call is kept as what it is.
    fn call(&self, function: Id, arguments: Id) -> Node {
        let ordered = Node::Global("collections".into(), "OrderedDict".into());
        if self.nodes[function] == ordered {
            return Node::Dict(Vec::new());
        }
        Node::Call(function, arguments)
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "its operations do not fit together".into())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    /// The last `n`, in the order they came.
    fn pop_many(&mut self, n: usize) -> Result<Vec<Id>, String> {
        let at = self.stack.len().checked_sub(n).ok_or("its operations do not fit together")?;
        Ok(self.stack.split_off(at))
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let at = self.marks.pop().filter(|at| *at <= self.stack.len());
        Ok(self.stack.split_off(at.ok_or("its operations do not fit together")?))
    }

    fn remember(&mut self, key: u64) -> Result<(), String> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let id = self.memo.get(&key).ok_or("it refers to what it does not have")?;
        self.stack.push(*id);
        Ok(())
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let id = self.top()?;
        // Items of anything else belong to an object that holds no parameter.
        if let Node::Sequence(list) = &mut self.nodes[id] {
            list.extend(items);
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Id>) -> Result<(), String> {
        let id = self.top()?;
        if let Node::Dict(entries) = &mut self.nodes[id] {
            entries.extend(pairs(&items)?);
        }
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    if !items.len().is_multiple_of(2) {
        return Err("a dictionary in it has a key without a value".into());
    }
    Ok(items.chunks_exact(2).map(|p| (p[0], p[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_python_writes() {
        // pickle.dumps({"a": [1, -2, 2**40], "b": (None, True, "é", 0.5)}, protocol=2)
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01eX\x01\x00\x00\x00bq\x03(N\x88X\x02\x00\x00\x00\xc3\xa9q\x04G?\xe0\x00\x00\x00\x00\x00\x00tq\x05u.";
        let p = Pickle::read(bytes).unwrap();
        let entries = p.dict(p.root()).unwrap();
        assert_eq!([p.text(entries[0].0), p.text(entries[1].0)], [Some("a"), Some("b")]);
        let numbers: Vec<_> =
            p.sequence(entries[0].1).unwrap().iter().map(|i| p.int(*i).unwrap()).collect();
        assert_eq!(numbers, [1, -2, 1 << 40]);
        let items = p.sequence(entries[1].1).unwrap();
        assert_eq!(p.get(items[1]), &Node::Bool(true));
        assert_eq!(p.text(items[2]), Some("é"));
        assert_eq!(p.get(items[3]), &Node::Float(0.5));
    }

    #[test]
    fn what_is_repeated_is_shared() {
        // A list of a list of ... thirty times twice the one before: 2^30 items where copied.
        let mut bytes = b"\x80\x02]q\x00".to_vec();
        for level in 0..30u8 {
            bytes.extend([b']', b'h', level, b'a', b'h', level, b'a', b'q', level + 1]);
        }
        bytes.push(b'.');
        let p = Pickle::read(&bytes).unwrap();
        assert_eq!(p.nodes.len(), 31);
        // And of any depth, which drops without recursion.
        let mut deep = b"\x80\x02".to_vec();
        deep.extend(std::iter::repeat_n(b']', 500_000));
        deep.extend(std::iter::repeat_n(b'a', 499_999));
        deep.push(b'.');
        Pickle::read(&deep).unwrap();
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            &b""[..],
            b"\x80",
            b".",
            b"\x80\x02h\x07.",
            b"X\xff\xff\xff\xffabc.",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
            b"(K\x01t",
            b"t.",
            b"(K\x010\x30t.",
            b"}(K\x01u.",
            b"cos\nsystem",
            b"\x85.",
            b"K\x01\xfe.",
        ] {
            assert!(Pickle::read(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8..=255, 0..200)) {
            let _ = Pickle::read(&bytes);
        }

        #[test]
        fn nor_operations(ops in proptest::collection::vec(
            proptest::sample::select(&b"(0]})tlade usbRQN21q\x00h\x00\x85\x86\x87\x81\x93\x88K."[..]), 0..60))
        {
            let _ = Pickle::read(&ops);
        }
    }
}
