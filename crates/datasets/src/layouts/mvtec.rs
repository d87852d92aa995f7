use std::path::Path;

use crate::dataset::Dataset;
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::layout::Layout;
use crate::root::locate;
use crate::tree::Tree;

/// The layout of MVTec AD (Bergmann et al., CVPR 2019), and of any folder arranged like it.
///
/// Classes are the subfolders with `train` or `test`; any common image format will do.
#[derive(Debug, Clone, Copy)]
pub struct MvTec;

const TREE: Tree = Tree {
    normal: "good",
    images: "",
    masks: |class, kind| class.join("ground_truth").join(kind),
    mask_endings: &["_mask", ""],
};

impl Layout for MvTec {
    fn name(&self) -> &'static str {
        "mvtec"
    }

    fn expects(&self) -> &'static str {
        "CLASS/train/good/NAME.png, CLASS/test/{good,DEFECT}/NAME.png, CLASS/ground_truth/DEFECT/NAME_mask.png"
    }

    fn open(&self, descriptor: &Descriptor, root: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        let folder = locate(descriptor, root, self.expects(), |path| TREE.recognises(path))?;
        Ok(Box::new(TREE.scan(&descriptor.name, &folder)?))
    }
}
