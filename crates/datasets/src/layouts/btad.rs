use std::path::Path;

use crate::dataset::Dataset;
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::layout::Layout;
use crate::root::locate;
use crate::tree::Tree;

/// The layout of BTAD (Mishra et al., ISIE 2021): `ok` and `ko` for normal and anomalous.
#[derive(Debug, Clone, Copy)]
pub struct Btad;

const TREE: Tree = Tree {
    normal: "ok",
    images: "",
    masks: |class, kind| class.join("ground_truth").join(kind),
    mask_endings: &["", "_mask"],
};

impl Layout for Btad {
    fn name(&self) -> &'static str {
        "btad"
    }

    fn expects(&self) -> &'static str {
        "CLASS/train/ok/NAME.png, CLASS/test/{ok,ko}/NAME.png, CLASS/ground_truth/ko/NAME.png (.bmp too)"
    }

    fn open(&self, descriptor: &Descriptor, root: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        let folder = locate(descriptor, root, self.expects(), |path| TREE.recognises(path))?;
        Ok(Box::new(TREE.scan(&descriptor.name, &folder)?))
    }
}
