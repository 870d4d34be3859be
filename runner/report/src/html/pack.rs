//! Data packed for the page: JSON, deflated, in base64; and the hash by which the page's own script is allowed.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Packs a value.
pub fn json(value: &impl Serialize) -> io::Result<String> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    serde_json::to_writer(&mut encoder, value)?;
    encoder.flush()?;
    Ok(STANDARD.encode(encoder.finish()?))
}

/// Packs a value of which there may be too much: it is made with less and less room for its texts until it is at most `most`
/// bytes when packed.
pub fn within<V: Serialize>(room: usize, most: usize, make: impl Fn(usize) -> V) -> io::Result<String> {
    let mut room = room;
    loop {
        let packed = json(&make(room))?;
        if packed.len() <= most || room < 1024 {
            return Ok(packed);
        }
        // What was too much says how well the texts pack; a little less than that is tried next.
        room = room.min(room / packed.len().max(1) * most + room % packed.len().max(1)) / 8 * 7;
    }
}

/// The hash of a script or a style, as a content security policy names it.
pub fn source_hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::{source_hash, within};

    #[test]
    fn what_is_too_much_is_made_smaller_until_it_fits() {
        // Numbers of a simple generator hardly pack.
        let mut state = 1_u32;
        let noise: String = (0..200_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'0' + u8::try_from(state >> 24).unwrap() % 64)
            })
            .collect();
        let packed =
            within(noise.len(), 20_000, |room| noise.chars().take(room).collect::<String>()).unwrap();
        assert!((10_000..=20_000).contains(&packed.len()), "{}", packed.len());
        let small = within(100, 20_000, |room| noise.chars().take(room).collect::<String>()).unwrap();
        assert!(small.len() < 200);
    }

    #[test]
    fn a_hash_is_as_a_policy_names_it() {
        assert_eq!(source_hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
