//! What `models.toml` may say, what is refused, and that pins are written where they belong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{FILE, Models, Pin, Source, with_pins};
use crate::span::Fault;

const OWN: &str = include_str!("../../../../models/models.toml");

const GOOD: &str = r#"
[[model]]
name = "words"
folder = "words"
licence = "MIT"
size = 3
files = [
  { path = "tokenizer.json", sha256 = "HASH", size = 1 },
  { path = "tokenizer_config.json", sha256 = "HASH", size = 2 },
]

[[model]]
name = "made"
make = "llama"
tokenizer = "words"
licence = "MIT"
size = 7
files = [{ path = "model.safetensors", sha256 = "HASH", size = 7 }]

[[model]]
name = "far"
huggingface = "A/b-1.0"
revision = "REVISION"
licence = "MIT"
size = 1000
files = [
  { path = "sub/config.json" }, # nobody has seen it
  { path = "model.safetensors", sha256 = "HASH", size = 7 },
]
"#;

fn filled(text: &str) -> String {
    text.replace("HASH", &"ab".repeat(32)).replace("REVISION", &"0c".repeat(20))
}

fn good() -> Models {
    Models::parse(FILE, &filled(GOOD)).unwrap()
}

fn refused(old: &str, new: &str) -> Fault {
    assert!(GOOD.contains(old), "{old}");
    Models::parse(FILE, &filled(&GOOD.replacen(old, new, 1))).unwrap_err()
}

#[test]
fn a_model_is_found_by_its_name_and_by_its_repository() {
    let models = good();
    assert_eq!(models.find("A/b-1.0").map(|model| model.name.as_str()), Some("far"));
    assert_eq!(models.find("far").and_then(|model| model.repository()), Some("A/b-1.0"));
    assert_eq!(models.find("b-1.0"), None);
    assert_eq!(models.names().collect::<Vec<_>>(), ["far", "A/b-1.0", "made", "words"]);
}

#[test]
fn a_model_with_a_file_that_nobody_has_seen_has_no_content_and_says_how_to_get_one() {
    let models = good();
    assert_eq!(models.contents().keys().collect::<Vec<_>>(), ["made", "words"]);
    assert_eq!(models.models["far"].way_here(), "testbed models fetch --pin far");
    assert_eq!(models.models["made"].way_here(), "testbed models make-tiny made");
}

#[test]
fn what_a_model_is_depends_on_paths_hashes_and_sizes_and_on_nothing_else() {
    let content = |text: &str| Models::parse(FILE, &filled(text)).unwrap().models["words"].content().unwrap();
    let same = content(GOOD);
    assert_eq!(same.0.len(), 16);
    let reordered =
        GOOD.replace("  { path = \"tokenizer.json\", sha256 = \"HASH\", size = 1 },\n", "").replace(
            "sha256 = \"HASH\", size = 2 },",
            "sha256 = \"HASH\", size = 2 }, { path = \"tokenizer.json\", sha256 = \"HASH\", size = 1 },",
        );
    assert_eq!(content(&reordered), same);
    assert_eq!(content(&GOOD.replacen("\"MIT\"", "\"Apache-2.0\"", 1)), same);
    for (old, new) in
        [("HASH", "cd"), ("tokenizer.json", "tokenizer.json\", sha256 = \"HASH\", size = 0 }, { path = \"x")]
    {
        let new = if new == "cd" { "cd".repeat(32) } else { new.to_owned() };
        assert_ne!(content(&GOOD.replacen(old, &new, 1)), same, "{new}");
    }
}

#[test]
fn what_cannot_be_is_refused_at_its_place_with_a_way_out() {
    let told: Vec<String> = [
        ("name = \"made\"", "nam = \"made\""),
        ("name = \"made\"", "name = \"words\""),
        ("name = \"made\"", "name = \"../made\""),
        ("folder = \"words\"", "folder = \"../words\""),
        ("folder = \"words\"\n", ""),
        ("folder = \"words\"", "folder = \"words\"\nmake = \"llama\""),
        ("make = \"llama\"", "make = \"lxama\""),
        ("tokenizer = \"words\"\n", ""),
        ("tokenizer = \"words\"", "tokenizer = \"word\""),
        ("tokenizer = \"words\"", "tokenizer = \"far\""),
        ("tokenizer = \"words\"", "tokenizer = \"words\"\nrevision = \"REVISION\""),
        ("revision = \"REVISION\"", "revision = \"main\""),
        ("huggingface = \"A/b-1.0\"", "huggingface = \"https://huggingface.co/A/b\""),
        ("size = 3", "size = 4"),
        ("size = 3", "size = \"3\""),
        ("licence = \"MIT\"\n", ""),
        ("sha256 = \"HASH\", size = 1", "sha256 = \"0xab\", size = 1"),
        ("sha256 = \"HASH\", size = 1", "sha256 = \"HASH\""),
        ("sha256 = \"HASH\", size = 1", ""),
        ("path = \"tokenizer.json\"", "path = \"/etc/tokenizer.json\""),
        ("path = \"tokenizer.json\"", "path = \"tokenizer_config.json\""),
        ("sub/config.json", "model.safetensors/config.json"),
        ("files = [{ path = \"model.safetensors\", sha256 = \"HASH\", size = 7 }]", "files = []"),
    ]
    .map(|(old, new)| {
        let fault = refused(old, new);
        format!("{fault}\nhint: {}\n", fault.hint.as_deref().unwrap_or_default())
    })
    .into();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_repository_at_two_revisions_is_refused_for_a_case_could_mean_either() {
    let twice = format!("{GOOD}{}", GOOD.split("\n\n").last().unwrap().replace("\"far\"", "\"farther\""));
    let fault = Models::parse(FILE, &filled(&twice)).unwrap_err();
    assert!(fault.to_string().contains("is `A/b-1.0` again, first in line 2"), "{fault}");
}

#[test]
fn pins_are_written_into_their_files_and_everything_else_stays() {
    let text = filled(GOOD);
    let pin = |size| Pin { sha256: "ef".repeat(32), size };
    let pins =
        BTreeMap::from([("sub/config.json".to_owned(), pin(5)), ("model.safetensors".to_owned(), pin(7))]);
    let written = with_pins(&text, "far", &pins).unwrap();
    let models = Models::parse(FILE, &written).unwrap();
    assert_eq!(models.models["far"].size, 12);
    assert!(models.models["far"].files.iter().all(|file| file.pin == pins.get(&file.path).cloned()));
    let changed: Vec<(&str, &str)> =
        text.lines().zip(written.lines()).filter(|(old, new)| old != new).collect();
    insta::assert_snapshot!(
        changed.iter().map(|(old, new)| format!("- {old}\n+ {new}")).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(text.lines().count(), written.lines().count());
    assert_eq!(with_pins(&text, "nobody", &pins), None);
    assert_eq!(with_pins(&text, "made", &pins), None);
}

#[test]
fn pins_are_written_into_tables_too_and_comments_stay() {
    let text = filled(GOOD).replace(
        "files = [\n  { path = \"sub/config.json\" }, # nobody has seen it\n",
        "[[model.files]]\npath = \"sub/config.json\" # nobody has seen it\n# REST",
    );
    let text = text.split("# REST").next().unwrap();
    let pins = BTreeMap::from([("sub/config.json".to_owned(), Pin { sha256: "ef".repeat(32), size: 5 })]);
    let written = with_pins(text, "far", &pins).unwrap();
    assert!(
        written.contains("path = \"sub/config.json\" # nobody has seen it\nsha256 = \"efef"),
        "{written}"
    );
    assert_eq!(Models::parse(FILE, &written).unwrap().models["far"].size, 5);
}

#[test]
fn our_own_models_are_pinned_but_for_those_that_say_so() {
    let models = Models::parse(FILE, OWN).unwrap();
    let unpinned: Vec<&str> =
        models.models.values().filter(|model| !model.is_pinned()).map(|model| model.name.as_str()).collect();
    assert_eq!(unpinned, ["deepseek-r1-distill-llama-8b"]);
    let shown: Vec<String> = models
        .models
        .values()
        .map(|model| format!("{} {} {} {}", model.name, model.source, model.licence, model.size))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert!(matches!(models.find("Qwen/Qwen3-0.6B").unwrap().source, Source::HuggingFace { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever becomes of a good file, the reader gives models whose files can only lie in their own folder, or a fault in the text.
    #[test]
    fn no_text_makes_the_reader_panic_or_lets_a_file_out(
        from in 0_usize..GOOD.len(),
        length in 0_usize..40,
        inserted in "[a-z0-9./\"=,{}\\[\\] \n~-]{0,8}",
    ) {
        let text = filled(GOOD);
        let to = (from + length).min(text.len());
        let Some((head, tail)) = text.get(..from).zip(text.get(to..)) else { return Ok(()) };
        match Models::parse(FILE, &format!("{head}{inserted}{tail}")) {
            Ok(models) => for model in models.models.values() {
                for path in model.files.iter().map(|file| &file.path) {
                    prop_assert!(!path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{}", path);
                }
                prop_assert!(!model.name.contains('/') && !model.name.starts_with('.'), "{}", model.name);
                prop_assert_eq!(models.find(&model.name), Some(model));
            },
            Err(fault) => prop_assert!(fault.place.line >= 1),
        }
    }

    /// What is written as a pin is read back as that pin.
    #[test]
    fn a_pin_reads_back(size in 0_u64..1 << 50, byte in any::<u8>()) {
        let pin = Pin { sha256: format!("{byte:02x}").repeat(32), size };
        let pins = BTreeMap::from([
            ("sub/config.json".to_owned(), pin.clone()),
            ("model.safetensors".to_owned(), pin),
        ]);
        let written = with_pins(&filled(GOOD), "far", &pins).unwrap();
        let models = Models::parse(FILE, &written).unwrap();
        prop_assert_eq!(models.models["far"].size, size * 2);
        prop_assert!(models.models["far"].is_pinned());
    }
}
