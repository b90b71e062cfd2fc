//! Reading a code from a picture that anybody may have made.
//!
//! Length first, then the size that the header claims, then the pixels, then the code, each with a limit. The attack that
//! remains is a picture that is legal and costs what a large photograph costs.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageFormat, ImageReader, Limits};
use rqrr::PreparedImage;

use super::meter::within;
use crate::error::WalletError;

/// Longest file: a photograph of a telephone.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Longest side.
const LONGEST_SIDE: u32 = 16_384;
/// Most pixels: the largest cameras of telephones have fifty million.
const MOST_PIXELS: u64 = 64_000_000;
/// What decoding may allocate: four bytes a pixel, and what the decoder needs besides.
const MOST_MEMORY: u64 = MOST_PIXELS * 4 + 64 * 1024 * 1024;
/// Sizes at which a picture is looked at. A photograph is read more surely when it is small, a screen with a small code
/// on it only at its own size.
const SIDES: [u32; 2] = [1_200, 4_096];

/// The text of the first code in a picture (PNG or JPEG), or `None` if there is none.
///
/// Takes up to some seconds for a large picture: not for a thread that others wait for.
///
/// # Errors
/// [`WalletError::BadInput`] for what is no such picture, is too large, or is broken.
pub fn read_code(bytes: &[u8]) -> Result<Option<String>, WalletError> {
    if bytes.len() > MOST_BYTES {
        return Err(bad(format!("the picture has {} bytes, and at most {MOST_BYTES} are read", bytes.len())));
    }
    // A decoder may not have foreseen a picture either.
    let picture = catch_unwind(|| decoded(bytes))
        .unwrap_or_else(|_| Err(bad("the picture cannot be read: it contradicts itself".to_owned())))?;
    let longest = picture.width().max(picture.height());
    for side in SIDES {
        let smaller = longest.min(side);
        let found = within(scaled(&picture, smaller), |metered| {
            let mut prepared = PreparedImage::prepare(metered);
            prepared.detect_grids().iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
        });
        if let Some(Some(text)) = found {
            return Ok(Some(text));
        }
        if smaller == longest {
            break;
        }
    }
    Ok(None)
}

fn decoded(bytes: &[u8]) -> Result<GrayImage, WalletError> {
    let format = image::guess_format(bytes).ok();
    let format = format.filter(|format| matches!(format, ImageFormat::Png | ImageFormat::Jpeg));
    let format = format.ok_or_else(|| bad("this is neither a PNG nor a JPEG picture".to_owned()))?;
    let reader = || {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_image_width = Some(LONGEST_SIDE);
        limits.max_image_height = Some(LONGEST_SIDE);
        limits.max_alloc = Some(MOST_MEMORY);
        reader.limits(limits);
        reader
    };
    let broken = |error| bad(format!("the picture cannot be read: {error}"));
    let (width, height) = reader().into_dimensions().map_err(broken)?;
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(bad(format!("the picture has {width} by {height} points, which is too large")));
    }
    Ok(reader().decode().map_err(broken)?.into_luma8())
}

/// The picture with its longest side as long as that; it has at least one pixel in either direction.
fn scaled(picture: &GrayImage, longest: u32) -> GrayImage {
    let (width, height) = picture.dimensions();
    let now = width.max(height);
    if now <= longest {
        return picture.clone();
    }
    let to = |side: u32| {
        let side = u64::from(side) * u64::from(longest) / u64::from(now);
        u32::try_from(side).unwrap_or(longest).max(1)
    };
    imageops::resize(picture, to(width), to(height), FilterType::Triangle)
}

fn bad(what: String) -> WalletError {
    WalletError::BadInput { what }
}

#[cfg(test)]
mod tests {
    use image::{Luma, RgbImage};

    use super::super::tests::{picture, png};
    use super::*;

    const LINK: &str =
        "halo://join/AQEBgG2V5zM4R1qkzUu7m0mXnJZr3b8yQ0v2iO5o1mG6c0pYkWl3c3M6Ly9rdWJlLmxvdmVsYWNl";

    #[test]
    fn a_picture_that_its_decoder_did_not_foresee_is_refused() {
        // A palette that is cut short; found by the fuzzer.
        let bytes = include_bytes!("../../../../fuzz/seeds/picture/short_palette");
        let refused = read_code(bytes).unwrap_err().to_string();
        assert!(refused.contains("cannot be read"), "{refused}");
    }

    #[test]
    fn a_small_code_on_a_large_screen_is_read() {
        let mut screen = GrayImage::from_fn(2_560, 1_440, |x, y| Luma([((x / 7 + y / 11) % 60) as u8]));
        imageops::overlay(&mut screen, &picture(LINK, 3), 1_900, 700);
        assert_eq!(read_code(&png(screen)).unwrap().as_deref(), Some(LINK));
    }

    #[test]
    fn a_photograph_is_read() {
        let code = picture(LINK, 9);
        // Grey, unevenly lit, and squeezed by JPEG.
        let photo = RgbImage::from_fn(1_000, 900, |x, y| {
            let ink = (x.checked_sub(120).zip(y.checked_sub(90)))
                .and_then(|(x, y)| code.get_pixel_checked(x, y))
                .map_or(150, |pixel| if pixel.0[0] == 0 { 60 } else { 170 });
            let lit = ink + (x / 20) as u8;
            image::Rgb([lit, lit, lit.saturating_sub(20)])
        });
        let mut bytes = Cursor::new(Vec::new());
        photo.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        assert_eq!(read_code(&bytes.into_inner()).unwrap().as_deref(), Some(LINK));
    }

    #[test]
    fn a_picture_without_a_code_has_none() {
        assert_eq!(read_code(&png(GrayImage::new(64, 64))).unwrap(), None);
        assert_eq!(read_code(&png(GrayImage::from_pixel(1, 1, Luma([255])))).unwrap(), None);
    }

    /// A corner of a code, at one pixel a module.
    fn corner(x: u32, y: u32) -> bool {
        let ring = x.abs_diff(3).max(y.abs_diff(3));
        ring <= 3 && ring != 2
    }

    #[test]
    fn a_picture_of_ten_thousand_corners_ends() {
        let side = 1_000;
        let many =
            GrayImage::from_fn(side, side, |x, y| Luma([if corner(x % 10, y % 10) { 0 } else { 255 }]));
        let mut tried = 0;
        let found = within(many, |metered| {
            tried += 1;
            PreparedImage::prepare(metered).detect_grids().len()
        });
        assert_eq!((tried, found), (1, None), "more corners than a user holds up were counted");
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let bomb = {
            // A header that claims 60,000 by 60,000 pixels.
            let mut bytes = png(GrayImage::new(1, 1));
            bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
            bytes
        };
        let mut cut = png(picture(LINK, 3));
        cut.truncate(cut.len() / 2);
        let cases: [(&str, &[u8]); 6] = [
            ("nothing", b""),
            ("text", b"halo://join/AQEB"),
            ("a drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            ("another format", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"),
            ("a bomb", &bomb),
            ("half a picture", &cut),
        ];
        for (name, bytes) in cases {
            let refused = read_code(bytes).err().map(|error| error.code());
            assert_eq!(refused, Some("wallet.bad_input"), "{name}");
        }
        assert!(read_code(&vec![0; MOST_BYTES + 1]).is_err());
    }
}
