//! Tensors out of PyTorch's oldest checkpoint format: pickles followed by raw storages.
//!
//! A tensor there is a view: storage, offset, shape and **strides**. Weights that were
//! converted from TensorFlow are stored with the axes in another order than they are shown, so
//! a reader that takes the storage as it lies loads a network that knows nothing.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// A tensor with its elements in the order of its shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

/// Reads every floating-point tensor of a state dictionary.
pub(crate) fn read(bytes: &[u8]) -> Result<HashMap<String, Tensor>> {
    let mut reader = Reader { bytes, at: 0 };
    let magic = reader.pickle()?;
    ensure!(magic == Value::Bytes(MAGIC.to_vec()), "not a checkpoint of the old PyTorch format");
    reader.pickle().context("protocol version")?;
    reader.pickle().context("system information")?;
    let views = reader.pickle().context("state dictionary")?;
    let keys = reader.pickle().context("storage keys")?;
    let Value::Dict(views) = views else { bail!("the checkpoint holds no dictionary") };
    let Value::List(keys) = keys else { bail!("the checkpoint lists no storages") };
    let widths = views.iter().filter_map(|(_, view)| view.storage()).collect();
    let storages = reader.storages(&keys, &widths)?;
    let mut tensors = HashMap::new();
    for (name, view) in views {
        if let (Value::Text(name), Value::View(view)) = (name, view)
            && view.storage.kind == Kind::Float
        {
            let tensor = view.gather(&storages).with_context(|| format!("tensor {name}"))?;
            tensors.insert(name, tensor);
        }
    }
    Ok(tensors)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Long,
}

#[derive(Debug, Clone, PartialEq)]
struct Storage {
    key: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
struct View {
    storage: Storage,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl View {
    fn gather(&self, storages: &HashMap<String, Vec<u8>>) -> Result<Tensor> {
        let storage = storages.get(&self.storage.key).context("its storage is missing")?;
        let (elements, _) = storage.as_chunks::<4>();
        let count: usize = self.shape.iter().product();
        let data = (0..count)
            .map(|flat| {
                let at = self.offset + self.position(flat);
                elements.get(at).map(|b| f32::from_le_bytes(*b)).context("its storage is too short")
            })
            .collect::<Result<_>>()?;
        Ok(Tensor { shape: self.shape.clone(), data })
    }

    /// Where in the storage the element lies that is `flat`-th in the order of the shape.
    fn position(&self, mut flat: usize) -> usize {
        let mut position = 0;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            position += flat % size * stride;
            flat /= size;
        }
        position
    }
}

/// The part of pickle's values that a state dictionary is made of.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Mark,
    None,
    Bool,
    Int(i64),
    Bytes(Vec<u8>),
    Text(String),
    Global(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    View(View),
}

impl Value {
    fn storage(&self) -> Option<(&str, Kind)> {
        match self {
            Self::View(view) => Some((view.storage.key.as_str(), view.storage.kind)),
            _ => None,
        }
    }

    fn count(&self) -> Result<usize> {
        match self {
            Self::Int(number) => usize::try_from(*number).context("a negative size"),
            other => bail!("expected a number, found {other:?}"),
        }
    }

    fn counts(&self) -> Result<Vec<usize>> {
        match self {
            Self::Tuple(items) => items.iter().map(Self::count).collect(),
            other => bail!("expected a tuple of numbers, found {other:?}"),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let taken = self.bytes.get(self.at..self.at + count).context("the file ends too early")?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of one, two, four or eight bytes.
    fn number(&mut self, width: usize) -> Result<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |sum, &b| (sum << 8) | u64::from(b)))
    }

    fn size(&mut self, width: usize) -> Result<usize> {
        usize::try_from(self.number(width)?).context("a size beyond this machine's")
    }

    fn line(&mut self) -> Result<String> {
        let rest = self.bytes.get(self.at..).context("the file ends too early")?;
        let end = rest.iter().position(|&b| b == b'\n').context("a line without end")?;
        let line = String::from_utf8(rest[..end].to_vec())?;
        self.at += end + 1;
        Ok(line)
    }

    fn text(&mut self) -> Result<String> {
        let size = self.size(4)?;
        Ok(String::from_utf8(self.take(size)?.to_vec())?)
    }

    fn storages(
        &mut self,
        keys: &[Value],
        kinds: &HashMap<&str, Kind>,
    ) -> Result<HashMap<String, Vec<u8>>> {
        let mut storages = HashMap::new();
        for key in keys {
            let Value::Text(key) = key else { bail!("a storage key is not text") };
            let width = if kinds.get(key.as_str()) == Some(&Kind::Long) { 8 } else { 4 };
            let count = self.size(8)?;
            storages.insert(key.clone(), self.take(count * width)?.to_vec());
        }
        Ok(storages)
    }

    fn pickle(&mut self) -> Result<Value> {
        let mut machine = Machine::default();
        loop {
            let code = self.byte()?;
            if code == b'.' {
                return machine.pop();
            }
            let at = self.at;
            self.step(code, &mut machine)
                .with_context(|| format!("pickle instruction {code:#x} at byte {at}"))?;
        }
    }

    fn step(&mut self, code: u8, machine: &mut Machine) -> Result<()> {
        match code {
            0x80 => drop(self.byte()?),
            b'(' => machine.push(Value::Mark),
            b'N' => machine.push(Value::None),
            0x88 | 0x89 => machine.push(Value::Bool),
            b'K' => machine.push_number(self.number(1)?)?,
            b'M' => machine.push_number(self.number(2)?)?,
            b'J' => machine.push_number(self.number(4)?)?,
            0x8a => {
                let size = self.size(1)?;
                machine.push(Value::Bytes(self.take(size)?.to_vec()));
            }
            b'X' => machine.push(Value::Text(self.text()?)),
            b'c' => machine.push(Value::Global(format!("{} {}", self.line()?, self.line()?))),
            b'}' => machine.push(Value::Dict(Vec::new())),
            b']' => machine.push(Value::List(Vec::new())),
            b')' => machine.push(Value::Tuple(Vec::new())),
            b'q' => machine.remember(self.size(1)?)?,
            b'r' => machine.remember(self.size(4)?)?,
            b'h' => machine.recall(self.size(1)?)?,
            b'j' => machine.recall(self.size(4)?)?,
            _ => machine.combine(code)?,
        }
        Ok(())
    }
}

/// Stack and memory of the pickle machine.
#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    memory: HashMap<usize, Value>,
}

impl Machine {
    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn push_number(&mut self, number: u64) -> Result<()> {
        self.push(Value::Int(i64::try_from(number)?));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().context("the stack is empty")
    }

    fn remember(&mut self, slot: usize) -> Result<()> {
        let top = self.stack.last().context("the stack is empty")?.clone();
        self.memory.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> Result<()> {
        self.push(self.memory.get(&slot).context("a memory slot that was never filled")?.clone());
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|v| *v == Value::Mark).context("no mark")?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn last(&mut self, count: usize) -> Result<Vec<Value>> {
        let from = self.stack.len().checked_sub(count).context("the stack is too short")?;
        Ok(self.stack.split_off(from))
    }

    /// Instructions that make one value of several.
    fn combine(&mut self, code: u8) -> Result<()> {
        match code {
            b't' => self.since_mark().map(|items| self.push(Value::Tuple(items))),
            0x85..=0x87 => {
                let items = self.last(usize::from(code - 0x84))?;
                self.push(Value::Tuple(items));
                Ok(())
            }
            b's' => self.last(2).and_then(|items| self.set(items)),
            b'u' => self.since_mark().and_then(|items| self.set(items)),
            b'a' => self.last(1).and_then(|items| self.append(items)),
            b'e' => self.since_mark().and_then(|items| self.append(items)),
            // Attributes of a dictionary: only PyTorch's version marks.
            b'b' => self.pop().map(drop),
            b'Q' => self.pop().and_then(|id| storage(&id)).map(|s| self.push(Value::Storage(s))),
            b'R' => {
                let arguments = self.pop()?;
                let made = call(&self.pop()?, arguments)?;
                self.push(made);
                Ok(())
            }
            _ => bail!("not one that a state dictionary needs"),
        }
    }

    fn set(&mut self, items: Vec<Value>) -> Result<()> {
        let Some(Value::Dict(entries)) = self.stack.last_mut() else { bail!("no dictionary") };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Value>) -> Result<()> {
        let Some(Value::List(list)) = self.stack.last_mut() else { bail!("no list") };
        list.extend(items);
        Ok(())
    }
}

/// `("storage", class, key, device, size, view)`
fn storage(id: &Value) -> Result<Storage> {
    let Value::Tuple(parts) = id else { bail!("a persistent id that is no tuple") };
    let [_, Value::Global(class), Value::Text(key), ..] = parts.as_slice() else {
        bail!("a persistent id of another form")
    };
    let kind = match class.as_str() {
        "torch FloatStorage" => Kind::Float,
        "torch LongStorage" => Kind::Long,
        other => bail!("storages of class {other} are not read"),
    };
    Ok(Storage { key: key.clone(), kind })
}

fn call(function: &Value, arguments: Value) -> Result<Value> {
    let Value::Global(name) = function else { bail!("a call of something that is no function") };
    let Value::Tuple(arguments) = arguments else { bail!("a call without arguments") };
    match (name.as_str(), arguments.as_slice()) {
        ("collections OrderedDict", _) => Ok(Value::Dict(Vec::new())),
        (
            "torch._utils _rebuild_tensor_v2",
            [Value::Storage(storage), offset, shape, strides, ..],
        ) => Ok(Value::View(View {
            storage: storage.clone(),
            offset: offset.count()?,
            shape: shape.counts()?,
            strides: strides.counts()?,
        })),
        _ => bail!("a call of {name}, which a state dictionary does not need"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"w": tensor}` with six numbers in the storage and the given shape and strides.
    fn checkpoint(shape: [u8; 2], strides: [u8; 2]) -> Vec<u8> {
        let mut file = vec![0x80, 2, 0x8a, 10];
        file.extend(MAGIC);
        file.extend(b".\x80\x02M\xe9\x03.\x80\x02}.");
        let text = |s: &str| {
            [b"X".as_slice(), &[u8::try_from(s.len()).unwrap(), 0, 0, 0], s.as_bytes()].concat()
        };
        file.extend(b"\x80\x02}");
        file.extend(text("w"));
        file.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        file.extend(text("storage"));
        file.extend(b"ctorch\nFloatStorage\n");
        file.extend([text("7"), text("cpu"), b"K\x06NtQK\x00".to_vec()].concat());
        for [a, b] in [shape, strides] {
            file.extend([b'K', a, b'K', b, 0x86]);
        }
        file.extend(b"\x89}tRs.\x80\x02]");
        file.extend(text("7"));
        file.extend(b"a.\x06\0\0\0\0\0\0\0");
        file.extend((0_u8..6).flat_map(|i| f32::from(i).to_le_bytes()));
        file
    }

    #[test]
    fn strides_are_honoured() {
        let plain = read(&checkpoint([2, 3], [3, 1])).unwrap();
        assert_eq!(plain["w"].data, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let turned = read(&checkpoint([2, 3], [1, 2])).unwrap();
        assert_eq!(turned["w"].shape, [2, 3]);
        assert_eq!(turned["w"].data, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    }

    #[test]
    fn a_view_beyond_its_storage_is_an_error() {
        let message = format!("{:#}", read(&checkpoint([2, 3], [3, 2])).unwrap_err());
        assert!(message.contains("tensor w") && message.contains("too short"), "{message}");
    }

    #[test]
    fn other_files_are_refused() {
        assert!(read(b"PK\x03\x04").is_err());
    }
}
