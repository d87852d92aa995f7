//! Small data sets of every layout.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use hgad_datasets::{Dataset, Split};
use image::{GrayImage, Luma, Rgb, RgbImage};

pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn place(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Writes 8 x 6 pixels that differ from name to name; the name's ending gives the format.
    pub fn image(&self, name: &str) {
        let shade = name.bytes().fold(7u8, |h, b| h.wrapping_mul(31).wrapping_add(b));
        let image = RgbImage::from_fn(8, 6, |x, y| Rgb([shade, x as u8 * 30, y as u8 * 40]));
        image.save(self.place(name)).unwrap();
    }

    /// Writes a mask of one pixel that holds `value`.
    pub fn mask(&self, name: &str, (width, height): (u32, u32), value: u8) {
        let mut mask = GrayImage::new(width, height);
        mask.put_pixel(2, 1, Luma([value]));
        mask.save(self.place(name)).unwrap();
    }

    pub fn text(&self, name: &str, text: &str) {
        std::fs::write(self.place(name), text).unwrap();
    }

    pub fn remove(&self, name: &str) {
        let path = self.path().join(name);
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }
}

pub fn mvtec(folder: &Folder, at: &str, classes: &[&str]) {
    for class in classes {
        let image = |name: &str| folder.image(&format!("{at}{class}/{name}"));
        image("train/good/000.png");
        image("train/good/001.JPG");
        image("test/good/000.png");
        image("test/broken/000.bmp");
        image("test/broken/001.png");
        let masks = format!("{at}{class}/ground_truth/broken");
        folder.mask(&format!("{masks}/000_mask.png"), (8, 6), 255);
        folder.mask(&format!("{masks}/001.png"), (8, 6), 255);
    }
}

pub fn btad(folder: &Folder, at: &str) {
    for (class, mask) in [("01", "png"), ("03", "bmp")] {
        folder.image(&format!("{at}{class}/train/ok/0000.bmp"));
        folder.image(&format!("{at}{class}/test/ok/0000.bmp"));
        folder.image(&format!("{at}{class}/test/ko/0000.bmp"));
        folder.mask(&format!("{at}{class}/ground_truth/ko/0000.{mask}"), (8, 6), 255);
    }
}

pub fn mvtec3d(folder: &Folder, at: &str) {
    for kind in ["train/good", "validation/good", "test/good", "test/crack"] {
        folder.image(&format!("{at}bagel/{kind}/rgb/000.png"));
        folder.text(&format!("{at}bagel/{kind}/xyz/000.tiff"), "points");
    }
    folder.mask(&format!("{at}bagel/test/good/gt/000.png"), (8, 6), 0);
    folder.mask(&format!("{at}bagel/test/crack/gt/000.png"), (8, 6), 255);
}

pub fn visa(folder: &Folder, at: &str) {
    let mut table = String::from("object,split,label,image,mask\n");
    for class in ["pcb1", "candle"] {
        let data = format!("{class}/Data");
        for (split, label, image, mask) in [
            ("test", "anomaly", "Images/Anomaly/000.JPG", "Masks/Anomaly/000.png"),
            ("train", "normal", "Images/Normal/000.JPG", ""),
            ("test", "normal", "Images/Normal/001.JPG", ""),
        ] {
            folder.image(&format!("{at}{data}/{image}"));
            let mask = match mask {
                "" => String::new(),
                name => format!("{data}/{name}"),
            };
            if !mask.is_empty() {
                folder.mask(&format!("{at}{mask}"), (8, 6), 1);
            }
            table += &format!("{class},{split},{label},{data}/{image},{mask}\n");
        }
    }
    folder.text(&format!("{at}split_csv/1cls.csv"), &table);
}

/// Training, normal test and anomalous test samples of a class.
pub fn count(set: &dyn Dataset, class: usize) -> (usize, usize, usize) {
    let n = |split, anomalous| {
        let is = |s: &&hgad_datasets::Sample| {
            s.class == class && s.split == split && s.is_anomalous() == anomalous
        };
        set.samples().iter().filter(is).count()
    };
    (n(Split::Train, false), n(Split::Test, false), n(Split::Test, true))
}

pub fn class_of(set: &dyn Dataset, id: &str) -> usize {
    set.samples().iter().find(|s| s.id == id).unwrap().class
}
