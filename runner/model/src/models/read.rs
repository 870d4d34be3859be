//! Reading `models.toml`.

use std::collections::BTreeMap;

use super::schema::{MODEL, MODEL_FILE, SOURCE, meaning, names_of};
use super::{Architecture, Model, ModelFile, Models, Pin, Source};
use crate::document::{Document, Fields, Item};
use crate::span::Fault;

/// The files of a tokenizer, which a made model has from another one.
const TOKENIZER: [&str; 2] = ["tokenizer.json", "tokenizer_config.json"];

/// Reads the whole file.
pub(super) fn models(document: &Document) -> Result<Models, Fault> {
    let mut fields = table(&document.item(), &[])?;
    let mut models = Models::default();
    let mut tokenizers: Vec<(String, Item<'_>)> = Vec::new();
    let mut repositories: BTreeMap<String, u32> = BTreeMap::new();
    for item in fields.take("model").map(|item| item.items()).transpose()?.unwrap_or_default() {
        let (model, origin) = model(&item)?;
        if let Some(first) = models.models.get(&model.name) {
            let fault =
                origin.name.fault(format!("is `{}` again, first in line {}", model.name, first.mark.line));
            return Err(fault.with_hint("give each model a name of its own"));
        }
        if let Some(repository) = model.repository() {
            let line = origin.source.mark().line;
            // A case that names the repository must mean one model.
            if let Some(first) = repositories.insert(repository.to_owned(), line) {
                let fault = origin.source.fault(format!("is `{repository}` again, first in line {first}"));
                return Err(fault.with_hint("name one revision of a repository"));
            }
        }
        if let Some(tokenizer) = origin.tokenizer {
            tokenizers.push((model.name.clone(), tokenizer));
        }
        models.models.insert(model.name.clone(), model);
    }
    for (name, item) in &tokenizers {
        check_tokenizer(&models, name, item)?;
    }
    fields.finish(&[])?;
    Ok(models)
}

/// Where the parts of a model stand that are looked at again when all models are known.
struct Origin<'d> {
    name: Item<'d>,
    source: Item<'d>,
    tokenizer: Option<Item<'d>>,
}

fn model<'d>(item: &Item<'d>) -> Result<(Model, Origin<'d>), Fault> {
    let mut fields = table(item, MODEL)?;
    let name = require(&mut fields, MODEL, "name")?;
    let (way, from) = chosen(&mut fields)?;
    let (tokenizer, revision) = (fields.take("tokenizer"), fields.take("revision"));
    for (key, other, belongs) in [("tokenizer", &tokenizer, "make"), ("revision", &revision, "huggingface")] {
        if let Some(other) = other.as_ref().filter(|_| way != belongs) {
            let fault =
                other.fault_at_key(format!("`{key}` belongs to `{belongs}`, and this model has `{way}`"));
            return Err(fault.with_hint("leave it out"));
        }
    }
    let needed = |key: &str, item: &Option<Item<'d>>| {
        item.clone().ok_or_else(|| missing(fields.missing(key), MODEL, key))
    };
    let source = match way {
        "folder" => Source::Folder(below(&from)?),
        "make" => Source::Made {
            architecture: from.word(&Architecture::ALL.map(|it| (it.name(), it)))?,
            tokenizer: identifier(&needed("tokenizer", &tokenizer)?)?,
        },
        _ => Source::HuggingFace {
            repository: repository(&from)?,
            revision: hexadecimal(&needed("revision", &revision)?, 40, "a commit")?,
        },
    };
    let licence = require(&mut fields, MODEL, "licence")?.full_text()?.to_owned();
    let size_item = require(&mut fields, MODEL, "size")?;
    let files_item = fields.require("files").map_err(|fault| {
        fault.with_hint("`files` lists each file: `{ path = \"config.json\", sha256 = \"...\", size = 506 }`")
    })?;
    let files = files(&files_item)?;
    let size = bytes(&size_item)?;
    let unpinned = files.iter().find(|file| file.pin.is_none());
    match (unpinned, &source) {
        (None, _) => {
            let sum: u64 = files
                .iter()
                .filter_map(|file| file.pin.as_ref())
                .map(|pin| pin.size)
                .fold(0, u64::saturating_add);
            if sum != size {
                return Err(
                    size_item.fault(format!("must be `{sum}`, which its files come to, not `{size}`"))
                );
            }
        }
        (Some(_), Source::HuggingFace { .. }) => {}
        (Some(file), _) => {
            let fault = files_item.fault(format!("has `{}` without `sha256` and `size`", file.path));
            return Err(fault
                .with_hint("only what is still to be fetched may be without; `sha256sum` tells the hash"));
        }
    }
    fields.finish(&[])?;
    let own = identifier(&name)?;
    let model = Model { name: own, mark: name.mark(), source, licence, size, files };
    Ok((model, Origin { name, source: from, tokenizer }))
}

/// The key that says where a model comes from.
fn chosen<'d>(fields: &mut Fields<'d>) -> Result<(&'static str, Item<'d>), Fault> {
    let mut found: Option<(&'static str, Item<'d>)> = None;
    for key in SOURCE.keys {
        let Some(item) = fields.take(key) else { continue };
        if let Some((first, _)) = found {
            let fault = item.fault_at_key(format!("`{key}` cannot stand beside `{first}`"));
            return Err(fault.with_hint("leave one of them out"));
        }
        found = Some((key, item));
    }
    found.ok_or_else(|| {
        let keys = SOURCE.keys.join("`, `");
        let fault = fields.fault(format!("`{}` has none of the keys `{keys}`", fields.path()));
        fault.with_hint("give it exactly one of them")
    })
}

fn files(item: &Item<'_>) -> Result<Vec<ModelFile>, Fault> {
    let mut files: BTreeMap<String, ModelFile> = BTreeMap::new();
    for item in item.items()? {
        let mut fields = table(&item, MODEL_FILE)?;
        let path_item = require(&mut fields, MODEL_FILE, "path")?;
        let path = below(&path_item)?;
        let pin = match (fields.take("sha256"), fields.take("size")) {
            (Some(hash), Some(size)) => {
                Some(Pin { sha256: hexadecimal(&hash, 64, "a SHA-256")?, size: bytes(&size)? })
            }
            (None, None) => None,
            (Some(_), None) => return Err(missing(fields.missing("size"), MODEL_FILE, "size")),
            (None, Some(_)) => return Err(missing(fields.missing("sha256"), MODEL_FILE, "sha256")),
        };
        fields.finish(&[])?;
        let inside = |other: &&String| {
            path.strip_prefix(other.as_str())
                .or_else(|| other.strip_prefix(path.as_str()))
                .is_some_and(|rest| rest.starts_with('/'))
        };
        if let Some(other) = files.keys().find(inside) {
            return Err(path_item.fault(format!("cannot be `{path}` beside the file `{other}`")));
        }
        if files.insert(path.clone(), ModelFile { path: path.clone(), pin }).is_some() {
            return Err(path_item.fault(format!("is `{path}` again")).with_hint("leave one of them out"));
        }
    }
    if files.is_empty() {
        return Err(item.fault("must name at least one file"));
    }
    Ok(files.into_values().collect())
}

/// A made model's tokenizer is that of a model whose bytes are in the checkout, or its own bytes would depend on a fetch.
fn check_tokenizer(models: &Models, name: &str, item: &Item<'_>) -> Result<(), Fault> {
    let wanted = item.text()?;
    let Some(other) = models.models.get(wanted) else {
        let known = models.models.keys().filter(|known| *known != name).map(String::as_str);
        return Err(item
            .fault(format!("names the model `{wanted}`, which is not in this file"))
            .with_nearest(wanted, known));
    };
    if !matches!(other.source, Source::Folder(_)) {
        return Err(item
            .fault(format!("names the model `{wanted}`, which is not in the checkout"))
            .with_hint("name one that has `folder`"));
    }
    match TOKENIZER.iter().find(|file| !other.files.iter().any(|it| it.path == **file)) {
        Some(file) => Err(item.fault(format!("names the model `{wanted}`, which has no `{file}`"))),
        None => Ok(()),
    }
}

/// The keys of a table, none of which is unknown.
fn table<'d>(item: &Item<'d>, path: &[&str]) -> Result<Fields<'d>, Fault> {
    let known = names_of(path);
    let fields = item.fields()?;
    let within = if item.path().is_empty() { String::new() } else { format!(" in `{}`", item.path()) };
    let unknown = fields.keys().find(|(name, _)| !known.contains(name));
    match unknown {
        None => Ok(fields),
        Some((name, mark)) => {
            Err(fields.fault_at(mark, format!("unknown key `{name}`{within}")).with_nearest(name, known))
        }
    }
}

fn require<'d>(fields: &mut Fields<'d>, path: &[&str], key: &str) -> Result<Item<'d>, Fault> {
    fields.require(key).map_err(|fault| missing(fault, path, key))
}

/// The fault of a key that is missing, with its meaning as the way out.
fn missing(fault: Fault, path: &[&str], key: &str) -> Fault {
    match meaning(path, key) {
        Some(meaning) => fault.with_hint(format!("`{key}` is {meaning}")),
        None => fault,
    }
}

/// A name that is also a folder's.
fn identifier(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.chars().all(inner) && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    let fault = item.fault(format!("cannot be `{text}`"));
    Err(fault.with_hint("use up to 64 letters, digits, `-`, `_` and `.`, with a letter or digit first"))
}

/// A path below a folder, without detours: what is written there can only lie there.
fn below(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with(['-', '~']);
    let clean = text.chars().all(|c| !c.is_control() && c != '\\') && text.trim() == text;
    if clean && text.split('/').all(plain) {
        return Ok(text.to_owned());
    }
    let fault = item.fault(format!("cannot be the path `{text}`"));
    Err(fault.with_hint("write it relative to its folder, without `.`, `..` and empty parts"))
}

/// `OWNER/NAME`, as Hugging Face has them.
fn repository(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let part = |part: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(inner) && part.len() <= 96
    };
    match text.split_once('/') {
        Some((owner, name)) if part(owner) && part(name) => Ok(text.to_owned()),
        _ => Err(item.fault(format!("cannot be `{text}`")).with_hint("write it as `OWNER/NAME`")),
    }
}

fn hexadecimal(item: &Item<'_>, digits: usize, what: &str) -> Result<String, Fault> {
    let text = item.full_text()?;
    if text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text.to_owned());
    }
    let fault = item.fault(format!("must be {what}, {digits} lower-case hexadecimal digits, not `{text}`"));
    Err(fault.with_hint("a branch or tag can come to mean something else; what is pinned cannot"))
}

fn bytes(item: &Item<'_>) -> Result<u64, Fault> {
    match item.integer::<u64>()? {
        // No file system holds more, and JSON's readers keep it exactly.
        size @ 0..=0x001f_ffff_ffff_ffff => Ok(size),
        size => Err(item.fault(format!("is out of range: `{size}`"))),
    }
}
