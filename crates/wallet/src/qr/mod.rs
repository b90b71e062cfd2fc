//! Codes as pictures: drawn for a screen or a terminal, and read from a picture or a frame of a camera.
//!
//! Pure functions: they open nothing and follow nothing. What a code says is text from a stranger, and is parsed by
//! whoever asked for it.

mod meter;
mod read;

pub use read::read_code;

use fast_qr::ECL;
use fast_qr::qr::{QRBuilder, QRCode, QRCodeError};

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::error::WalletError;

/// Light modules around a code (ISO/IEC 18004 §9.1): without them readers do not find it.
const QUIET: usize = 4;

/// A code to be drawn: `size` modules a side, quiet zone included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct QrView {
    /// Modules a side.
    pub size: usize,
    /// The dark modules, as the data of an SVG path in a box of `size` by `size`.
    pub path: String,
}

/// Draws a code as the data of an SVG path.
///
/// # Errors
/// [`WalletError::BadInput`] for more than a code holds (2,331 bytes).
pub fn draw_code(text: &str) -> Result<QrView, WalletError> {
    let code = encoded(text)?;
    let mut path = String::new();
    for y in 0..code.size {
        let row: Vec<bool> = (0..code.size).map(|x| is_dark(&code, x, y)).collect();
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run.first() == Some(&true) {
                let width = run.len();
                path.push_str(&format!("M{} {}h{width}v1h-{width}z", x + QUIET, y + QUIET));
            }
            x += run.len();
        }
    }
    Ok(QrView { size: code.size + 2 * QUIET, path })
}

/// Draws a code with half blocks, two rows of modules a line, for a terminal with light letters on dark ground.
///
/// # Errors
/// As [`draw_code`].
pub fn code_in_blocks(text: &str) -> Result<String, WalletError> {
    let code = encoded(text)?;
    let side = code.size + 2 * QUIET;
    let is_light = |x: usize, y: usize| {
        let dark = x >= QUIET && y >= QUIET && is_dark(&code, x - QUIET, y - QUIET);
        y < side && !dark
    };
    let mut blocks = String::with_capacity(side * side * 2);
    for y in (0..side).step_by(2) {
        for x in 0..side {
            blocks.push(match (is_light(x, y), is_light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        blocks.push('\n');
    }
    Ok(blocks)
}

fn encoded(text: &str) -> Result<QRCode, WalletError> {
    QRBuilder::new(text).ecl(ECL::M).build().map_err(|error| WalletError::BadInput {
        what: match error {
            QRCodeError::EncodedData | QRCodeError::SpecifiedVersion => {
                format!("{} bytes are too many for a code", text.len())
            }
        },
    })
}

/// Whether a module is dark; those outside are not.
fn is_dark(code: &QRCode, x: usize, y: usize) -> bool {
    x < code.size && y < code.size && code.data.get(y * code.size + x).is_some_and(|module| module.value())
}

#[cfg(test)]
pub(crate) mod tests {
    use image::{GrayImage, Luma};

    use super::*;

    const LINK: &str =
        "halo://join/AQEBgG2V5zM4R1qkzUu7m0mXnJZr3b8yQ0v2iO5o1mG6c0pYkWl3c3M6Ly9rdWJlLmxvdmVsYWNl";

    /// The picture that a window shows of a code, `scale` pixels a module.
    pub(crate) fn picture(text: &str, scale: u32) -> GrayImage {
        let code = draw_code(text).unwrap();
        let side = u32::try_from(code.size).unwrap() * scale;
        let mut picture = GrayImage::from_pixel(side, side, Luma([255]));
        for run in code.path.split('M').skip(1) {
            let numbers: Vec<u32> = run
                .split(|sign: char| !sign.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            let (x, y, width) = (numbers[0], numbers[1], numbers[2]);
            for dx in 0..width * scale {
                for dy in 0..scale {
                    picture.put_pixel(x * scale + dx, y * scale + dy, Luma([0]));
                }
            }
        }
        picture
    }

    pub(crate) fn png(picture: GrayImage) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn what_was_drawn_is_read() {
        for scale in [2, 3, 8] {
            let read = read_code(&png(picture(LINK, scale))).unwrap();
            assert_eq!(read.as_deref(), Some(LINK), "at {scale} pixels a module");
        }
    }

    #[test]
    fn blocks_are_the_same_code() {
        let blocks = code_in_blocks(LINK).unwrap();
        let lines: Vec<Vec<char>> = blocks.lines().map(|line| line.chars().collect()).collect();
        let scale = 4;
        let side = u32::try_from(lines[0].len()).unwrap();
        let picture = GrayImage::from_fn(side * scale, side * scale, |x, y| {
            let (x, y) = ((x / scale) as usize, (y / scale) as usize);
            let block = lines[y / 2][x];
            let light =
                if y % 2 == 0 { matches!(block, '█' | '▀') } else { matches!(block, '█' | '▄') };
            Luma([if light { 255 } else { 0 }])
        });
        assert_eq!(read_code(&png(picture)).unwrap().as_deref(), Some(LINK));
    }

    #[test]
    fn a_link_makes_a_comfortable_code() {
        // What `LONGEST_CODE` of the protocol allows.
        let link = format!("halo://join/{}", "A".repeat(287 - 12));
        let modules = draw_code(&link).unwrap().size - 2 * QUIET;
        assert!(modules <= 65, "the longest code fits into version 12, which has 65 modules, not {modules}");
    }

    #[test]
    fn more_than_a_code_holds_is_refused() {
        assert_eq!(draw_code(&"x".repeat(2_400)).err().map(|error| error.code()), Some("wallet.bad_input"));
    }
}
