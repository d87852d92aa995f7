//! Density estimation in two dimensions with hgad's flows and priors.

mod model;
mod picture;
mod toy;

use model::Density;
use picture::Panel;
use std::error::Error;
use toy::Toy;

/// Half the side of what the panels show.
const REACH: f32 = 4.0;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or("pinwheel".into());
    let toy = Toy::named(&name).ok_or(format!("unknown `{name}`: expected pinwheel or moons"))?;
    let (train, test) = (toy.draw(20_480, 0), toy.draw(5_000, 1));

    println!("{name}: mean log-likelihood of {} points that were not trained on\n", test.len());
    println!("{:<32} {:>7.3} nats", "one Gaussian, fitted", gaussian(&train, &test));
    let mut rows = Vec::new();
    for prior in ["single", "mixture"] {
        let density = Density::new(prior, toy.groups(), 0)?;
        density.train(&train, 3_000)?;
        let log_p = density.log_p(&test)?;
        let mean = log_p.iter().sum::<f32>() / log_p.len() as f32;
        println!("{:<32} {mean:>7.3} nats", format!("flow under prior `{prior}`"));
        rows.push(vec![
            Panel::Points(test.clone(), Vec::new(), REACH),
            Panel::Density(density.log_p(&picture::grid(REACH))?),
            Panel::Points(density.latents(&test)?, density.centers()?, 1.5 * REACH),
        ]);
    }
    picture::draw(&rows).save("density.png")?;
    println!("\ndensity.png: points, density, latents with the prior's centres; a row a prior");
    Ok(())
}

/// Mean `ln p` of `test` under the Gaussian with mean and covariance of `train`.
fn gaussian(train: &[[f32; 2]], test: &[[f32; 2]]) -> f64 {
    let n = train.len() as f64;
    let mean = [0, 1].map(|i| train.iter().map(|p| p[i] as f64).sum::<f64>() / n);
    let centred = |p: &[f32; 2]| [p[0] as f64 - mean[0], p[1] as f64 - mean[1]];
    let moment =
        |i: usize, j: usize| train.iter().map(centred).map(|p| p[i] * p[j]).sum::<f64>() / n;
    let (a, b, c) = (moment(0, 0), moment(0, 1), moment(1, 1));
    let det = a * c - b * b;
    let log_p = |p: [f64; 2]| {
        let square = (c * p[0] * p[0] - 2.0 * b * p[0] * p[1] + a * p[1] * p[1]) / det;
        -0.5 * square - std::f64::consts::TAU.ln() - 0.5 * det.ln()
    };
    test.iter().map(|p| log_p(centred(p))).sum::<f64>() / test.len() as f64
}
