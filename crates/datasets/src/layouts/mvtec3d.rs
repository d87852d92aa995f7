use std::path::Path;

use crate::dataset::Dataset;
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::layout::Layout;
use crate::root::locate;
use crate::tree::Tree;

/// The layout of MVTec 3D-AD (Bergmann et al., VISAPP 2022); the RGB images alone.
///
/// Its `validation` images are left out: the method trains on `train` only.
#[derive(Debug, Clone, Copy)]
pub struct MvTec3d;

const TREE: Tree = Tree {
    normal: "good",
    images: "rgb",
    masks: |class, kind| class.join("test").join(kind).join("gt"),
    mask_endings: &["", "_mask"],
};

impl Layout for MvTec3d {
    fn name(&self) -> &'static str {
        "mvtec3d"
    }

    fn expects(&self) -> &'static str {
        "CLASS/train/good/rgb/NAME.png, CLASS/test/{good,DEFECT}/rgb/NAME.png, CLASS/test/DEFECT/gt/NAME.png"
    }

    fn open(&self, descriptor: &Descriptor, root: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        let folder = locate(descriptor, root, self.expects(), |path| TREE.recognises(path))?;
        Ok(Box::new(TREE.scan(&descriptor.name, &folder)?))
    }
}
