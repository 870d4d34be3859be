//! Recipes: a fault lies in the text, nothing climbs out, and the globs can be asked of any path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::image::{Addition, ImagePath, Layer, Recipe};

fuzz_target!(|text: &str| {
    match Recipe::parse("recipe.toml", text) {
        Ok(recipe) => {
            let path = ImagePath::parse("usr/share/doc/libc6/copyright").expect("a path");
            for layer in &recipe.layers {
                assert!(!layer.describe().is_empty() && !layer.kind().is_empty());
                if let Layer::Wheels(wheels) = layer {
                    let digit = |c: char| c.is_ascii_digit() || c == '.';
                    assert!(wheels.python.chars().all(digit), "{}", wheels.python);
                }
                if let Layer::Debian(debian) = layer {
                    let sieve = debian.sieve();
                    assert_eq!(sieve.keeps(&path), sieve.keeps(&path));
                    assert_eq!(sieve.keeps_empty_folders(), debian.keep.is_empty());
                }
            }
            let nothing = recipe.extended(Addition::default());
            assert_eq!(nothing.as_ref(), Ok(&recipe), "an empty addition changes the recipe");
        }
        Err(fault) => check_fault(&fault, text),
    }
});
