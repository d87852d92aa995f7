//! Models from and to the authors' PyTorch code.
//!
//! [`import()`] makes a run folder of a checkpoint of that code, [`export()`] writes the parameters
//! of a model back under its names. Nothing in a file is ever executed: [`unpickle`] keeps what a
//! pickle describes as data, and memory stays within a small multiple of the file's size.

mod checkpoint;
mod export;
mod import;
mod names;
mod origin;
mod pickle;
mod sizes;
mod torch_file;
mod torch_tensor;
pub mod unpickle;

pub use checkpoint::Checkpoint;
pub use export::export;
pub use import::{ImportRequest, Imported, import};
pub use origin::Origin;
pub use sizes::Sizes;
