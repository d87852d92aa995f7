//! Draws the synthetic set on one sheet: for each class a row of normal images, a row of
//! defects, and a row of their masks. Usage: contact_sheet OUT.png [SIZE [DIFFICULTY [CLASS...]]]

use std::error::Error;
use std::time::Instant;

use hgad_datasets::{Dataset, Sample, Split, SyntheticConfig, SyntheticSet};
use image::imageops::replace;
use image::{DynamicImage, Rgb, RgbImage};

const COLUMNS: usize = 8;
const GAP: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out =
        arguments.next().ok_or("usage: contact_sheet OUT.png [SIZE [DIFFICULTY [CLASS...]]]")?;
    let size: usize = arguments.next().map_or(Ok(128), |a| a.parse())?;
    let difficulty: f32 = arguments.next().map_or(Ok(1.0), |a| a.parse())?;
    let set = SyntheticSet::new(SyntheticConfig { size, difficulty, ..Default::default() })?;

    let wanted: Vec<String> = arguments.collect();
    let is_wanted = |class: &&usize| wanted.is_empty() || wanted.contains(&set.classes()[**class]);
    let all: Vec<usize> = (0..set.classes().len()).collect();
    let classes: Vec<usize> = all.iter().filter(is_wanted).copied().collect();
    let cell = size + GAP;
    let rows = classes.len() * 3;
    let (width, height) = (COLUMNS * cell + GAP, rows * cell + GAP);
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, Rgb([255; 3]));
    let start = Instant::now();
    let mut drawn = 0;
    for (place, &class) in classes.iter().enumerate() {
        let normal: Vec<&Sample> = pick(&set, class, |s| s.split == Split::Train);
        let broken: Vec<&Sample> = pick(&set, class, Sample::is_anomalous);
        let step = broken.len() as f32 / COLUMNS as f32;
        for column in 0..COLUMNS {
            let mut put = |image: &RgbImage, row: usize| {
                let (x, y) = (column * cell + GAP, (place * 3 + row) * cell + GAP);
                replace(&mut sheet, image, x as i64, y as i64);
            };
            put(&set.draw(normal[column])?.0, 0);
            let (image, mask) = set.draw(broken[(column as f32 * step) as usize])?;
            put(&image, 1);
            if let Some(mask) = mask {
                put(&DynamicImage::from(mask).into_rgb8(), 2);
            }
            drawn += 3;
        }
    }
    sheet.save(&out)?;
    let each = start.elapsed() / drawn;
    println!("{out}: {width}x{height}, {each:.1?} for each of {drawn} drawings");
    Ok(())
}

fn pick(set: &SyntheticSet, class: usize, which: impl Fn(&Sample) -> bool) -> Vec<&Sample> {
    set.samples().iter().filter(|s| s.class == class && which(s)).collect()
}
