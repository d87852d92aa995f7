//! Readers of anomaly detection data sets, image transforms, and a procedural synthetic set.
//!
//! A [`Dataset`] is a list of [`Sample`]s (class, split, defect) and the means to get the image and
//! the mask of each. [`open`] makes one from a name and a folder; a [`Layout`] knows how one kind of
//! folder is arranged; a [`Descriptor`] says what a published data set should hold and where it
//! comes from. A [`Transform`] turns images into what a backbone takes, equal to what Pillow and
//! torchvision compute. [`load_ahead`] decodes on all cores in bounded memory, in order.
//!
//! ```
//! use hgad_datasets::{Dataset, SyntheticConfig, SyntheticSet, Transform};
//!
//! let set = SyntheticSet::new(SyntheticConfig { size: 64, ..Default::default() })?;
//! let sample = &set.samples()[0];
//! let pixels = Transform::imagenet(32).image(&set.image(sample)?)?;
//! assert_eq!(pixels.len(), 32 * 32 * 3);
//! # Ok::<(), hgad_datasets::DatasetError>(())
//! ```

mod columns;
mod dataset;
mod decode;
mod descriptor;
mod error;
mod export;
mod file_set;
mod lanczos;
mod layout;
mod layouts;
mod loader;
mod open;
mod pasted;
mod report;
mod resize;
mod root;
mod synthetic;
mod transform;
mod tree;
mod verify;

pub use dataset::{Dataset, Sample, Source, Split};
pub use decode::{MAX_PIXELS, decode_image, read_image, read_mask, verify_image};
pub use descriptor::{ClassDescriptor, Descriptor, OtherMethod, Protocol, PublishedResult};
pub use error::{DatasetError, MissingRoot};
pub use export::write_mvtec;
pub use file_set::FileSet;
pub use layout::{LAYOUTS, Layout, layout_by_name};
pub use layouts::btad::Btad;
pub use layouts::mvtec::MvTec;
pub use layouts::mvtec3d::MvTec3d;
pub use layouts::union::{Union, UnionLayout};
pub use layouts::visa::Visa;
pub use loader::{LoadAhead, Loaded, load_ahead, load_sample};
pub use open::open;
pub use pasted::{PastedKind, PastedSet};
pub use report::{ClassReport, Counts, Report, check};
pub use synthetic::{SyntheticConfig, SyntheticLayout, SyntheticSet};
pub use transform::Transform;
pub use tree::is_image as is_image_name;
pub use verify::find_unreadable;
