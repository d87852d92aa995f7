//! What the shapes of a checkpoint say of the model.

use crate::exchange::names::{BLOCK, FLOWS, PRIOR};

/// Sizes of a model of the authors' code, the same at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Feature levels.
    pub levels: usize,
    /// Dimension D of the feature vectors.
    pub dim: usize,
    /// Coupling blocks of a flow.
    pub blocks: usize,
    /// Channels K of the position code, 0 for none.
    pub condition: usize,
    /// Width of a subnet's hidden layer in multiples of its input.
    pub hidden_factor: usize,
    /// Classes C.
    pub classes: usize,
    /// Centres M in a class.
    pub centers: usize,
}

/// A parameter that a model of some sizes has.
pub(super) struct Expected {
    pub(super) ours: String,
    pub(super) theirs: String,
    pub(super) shape: Vec<usize>,
    /// Whether its first dimension is the classes.
    pub(super) by_class: bool,
}

impl Sizes {
    /// Reads them off: `shape` gives that of a parameter by the authors' name.
    ///
    /// # Errors
    /// In words: a parameter that is missing or has a shape that no model has.
    pub(super) fn of(shape: impl Fn(&str) -> Option<Vec<usize>>) -> Result<Self, String> {
        let need = |name: &str| {
            shape(name).ok_or_else(|| {
                format!("it has no `{name}`; a checkpoint of the authors' code has nfs, mus, mu_deltas, phi_inters and phi_intras")
            })
        };
        let counted = |name: &dyn Fn(usize) -> String| {
            (0..).take_while(|i| shape(&name(*i)).is_some()).count()
        };
        let first = format!("{FLOWS}.0.module_list.0");
        let scale = need(&format!("{first}.global_scale"))?;
        let dim = scale.iter().product();
        let weight = need(&format!("{first}.subnet.0.weight"))?;
        let [hidden, input] = weight[..] else {
            return Err(format!(
                "`{first}.subnet.0.weight` has the shape {weight:?}, expected two dimensions"
            ));
        };
        let split = dim - dim / 2;
        if dim < 2 || input < split || hidden == 0 || hidden % input.max(1) != 0 {
            return Err(format!(
                "`{first}` has {dim} channels and a first layer of {hidden} x {input}: no coupling block of this method is like that"
            ));
        }
        let weights = need("phi_intras.0")?;
        let [classes, centers] = weights[..] else {
            return Err(format!(
                "`phi_intras.0` has the shape {weights:?}, expected (classes, centres)"
            ));
        };
        if classes == 0 || centers < 2 {
            return Err(format!(
                "`phi_intras.0` has {classes} classes of {centers} centres, expected at least one of at least 2"
            ));
        }
        Ok(Self {
            levels: counted(&|l| format!("{FLOWS}.{l}.module_list.0.global_scale")),
            dim,
            blocks: counted(&|k| format!("{FLOWS}.0.module_list.{k}.global_scale")),
            condition: input - split,
            hidden_factor: hidden / input,
            classes,
            centers,
        })
    }

    /// All parameters of a model of these sizes.
    pub(super) fn expected(&self) -> Vec<Expected> {
        let (d, half) = (self.dim, self.dim / 2);
        let input = d - half + self.condition;
        let hidden = self.hidden_factor * input;
        // In the order of BLOCK.
        let block = [
            vec![1, d],
            vec![1, d],
            vec![d, d],
            vec![d, d],
            vec![hidden, input],
            vec![hidden],
            vec![2 * half, hidden],
            vec![2 * half],
        ];
        let (c, m) = (self.classes, self.centers);
        let prior = [vec![c, d], vec![c, m - 1, d], vec![c], vec![c, m]];
        let mut all = Vec::new();
        for level in 0..self.levels {
            for k in 0..self.blocks {
                for (leaf, shape) in BLOCK.iter().zip(&block) {
                    let name = format!("module_list.{k}.{leaf}");
                    all.push(Expected {
                        ours: format!("levels.{level}.flow.{name}"),
                        theirs: format!("{FLOWS}.{level}.{name}"),
                        shape: shape.clone(),
                        by_class: false,
                    });
                }
            }
            for ((own, list), shape) in PRIOR.iter().zip(&prior) {
                all.push(Expected {
                    ours: format!("levels.{level}.prior.{own}"),
                    theirs: format!("{list}.{level}"),
                    shape: shape.clone(),
                    by_class: true,
                });
            }
        }
        all
    }
}
