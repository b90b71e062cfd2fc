//! A picture that counts what is done to it, and ends the reading of it when that is too much.
//!
//! The reader (`rqrr`) tries every three corners of codes that it sees with each other: a picture of ten thousand corners
//! would keep it busy for hours. It offers no limit of its own, but it reaches pixels only through this type, and it
//! paints each corner that it finds in a colour of its own. So work and corners are counted here; past either limit the
//! reading unwinds, which [`within`] catches together with whatever the reader itself did not foresee.
//!
//! The limits count operations, not time, so that the same picture always has the same end.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use image::{GenericImage, GenericImageView, GrayImage, Luma};

/// What may be done for each pixel of a picture: several times what any real one needs.
const WORK: u64 = 120;
/// The colour that corners are painted in.
const CORNER: u8 = 2;
/// Corners in one picture. A code has three; a page full of codes is not what a user holds up here.
const MOST_CORNERS: u32 = 300;

/// It was too much.
struct Spent;

struct Budget {
    work: Cell<u64>,
    corners: Cell<u32>,
}

impl Budget {
    fn spend(&self, work: u64) {
        match self.work.get().checked_sub(work) {
            Some(left) => self.work.set(left),
            // Not a panic: nobody needs to hear of it.
            None => resume_unwind(Box::new(Spent)),
        }
    }

    fn corner(&self) {
        match self.corners.get().checked_sub(1) {
            Some(left) => self.corners.set(left),
            None => resume_unwind(Box::new(Spent)),
        }
    }
}

/// A picture, metered together with its copies.
pub(super) struct Metered {
    picture: GrayImage,
    budget: Rc<Budget>,
}

/// Reads a picture within the limits; `None` if they did not suffice, or the reader failed.
pub(super) fn within<T>(picture: GrayImage, read: impl FnOnce(Metered) -> T) -> Option<T> {
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    let budget = Budget { work: Cell::new(pixels * WORK), corners: Cell::new(MOST_CORNERS) };
    let metered = Metered { picture, budget: Rc::new(budget) };
    // Nothing that unwinding could leave half done outlives the call.
    catch_unwind(AssertUnwindSafe(|| read(metered))).ok()
}

impl Metered {
    fn is_corner(&self, x: u32, y: u32) -> bool {
        self.picture.get_pixel_checked(x, y).is_some_and(|pixel| *pixel == Luma([CORNER]))
    }
}

impl Clone for Metered {
    fn clone(&self) -> Self {
        // A copy moves many pixels at once.
        self.budget.spend(u64::from(self.picture.width()) * u64::from(self.picture.height()) / 16);
        Self { picture: self.picture.clone(), budget: Rc::clone(&self.budget) }
    }
}

impl GenericImageView for Metered {
    type Pixel = Luma<u8>;

    fn dimensions(&self) -> (u32, u32) {
        self.picture.dimensions()
    }

    fn get_pixel(&self, x: u32, y: u32) -> Luma<u8> {
        self.budget.spend(1);
        *self.picture.get_pixel(x, y)
    }
}

impl GenericImage for Metered {
    fn get_pixel_mut(&mut self, x: u32, y: u32) -> &mut Luma<u8> {
        self.picture.get_pixel_mut(x, y)
    }

    fn put_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.budget.spend(1);
        // Painting spreads from pixel to pixel: one without painted neighbours is where it begins.
        let around =
            [(x.wrapping_sub(1), y), (x.wrapping_add(1), y), (x, y.wrapping_sub(1)), (x, y.wrapping_add(1))];
        if pixel == Luma([CORNER]) && !around.into_iter().any(|(x, y)| self.is_corner(x, y)) {
            self.budget.corner();
        }
        self.picture.put_pixel(x, y, pixel);
    }

    fn blend_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.put_pixel(x, y, pixel);
    }
}
