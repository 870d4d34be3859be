//! The image lock: a fault lies in the text, and names and digests are what they must be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::image::{Archived, Digest, Held, ImageLock, ImageName, ImageSource};

fuzz_target!(|text: &str| {
    match ImageLock::parse("images.lock.json", text) {
        Ok(lock) => {
            for (name, source) in &lock.images {
                assert_eq!(name.as_str().parse::<ImageName>().as_ref(), Ok(name));
                let path = match source {
                    ImageSource::Pull(pulled) => {
                        assert_eq!(pulled.digest.as_str().parse::<Digest>().as_ref(), Ok(&pulled.digest));
                        continue;
                    }
                    ImageSource::Load(Archived { held: Held::Archive(file), .. }) => file,
                    ImageSource::Load(Archived { held: Held::Stream(program), .. }) => {
                        assert!(program.starts_with('/'), "a program of nowhere: {program}");
                        continue;
                    }
                    ImageSource::Build(recipe) => recipe,
                };
                assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
            }
            assert_eq!(ImageLock::parse("images.lock.json", text).as_ref(), Ok(&lock));
        }
        Err(fault) => check_fault(&fault, text),
    }
});
