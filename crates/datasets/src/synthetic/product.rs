use super::draw::Draw;
use super::flaw::{Flaw, Kind};
use super::geometry::{Colour, Point};
use super::products::{
    board::Board, capsule::Capsule, fabric::Fabric, gear::Gear, leather::Leather, wood::Wood,
};

/// A kind of product: one class of the synthetic set.
pub(crate) trait Product: Sync {
    /// Name of the class.
    fn name(&self) -> &'static str;

    /// The defects it may have, by name.
    fn defects(&self) -> &'static [(&'static str, Kind)];

    /// Draws one normal specimen; `pixel` is the size of a pixel, for smooth edges.
    fn specimen(&self, draw: &mut Draw, pixel: f32) -> Box<dyn Specimen>;
}

/// One product with its natural variation.
pub(crate) trait Specimen {
    /// The colour at a point; `flaw` matters where the product itself must know of it.
    fn colour(&self, p: Point, flaw: Option<&Flaw>) -> Colour;

    /// How much of the point is product, 0 (background) to 1.
    fn cover(&self, p: Point) -> f32;

    /// Where a defect of this kind may be.
    fn site(&self, kind: Kind, draw: &mut Draw) -> Point;

    /// What a stain on this product blends towards.
    fn stain(&self) -> Colour;
}

/// All products, in the order of their names, which is that of their folders when exported.
pub(crate) static PRODUCTS: &[&dyn Product] = &[&Board, &Capsule, &Fabric, &Gear, &Leather, &Wood];
