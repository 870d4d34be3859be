//! Reading `[[image]]`.

use std::collections::BTreeMap;

use super::{filled, path, require, table};
use crate::document::Item;
use crate::image::{ImageName, ImageNameError};
use crate::project::OwnImage;
use crate::span::Fault;

const TABLE: &[&str] = &["image", "[]"];

/// The image of the lock that others start from unless they say otherwise.
const BASE: &str = "tests";

/// Reads all images of the project's own. Whether there are such bases is for who knows the lock.
pub(super) fn images(item: &Item<'_>) -> Result<Vec<OwnImage>, Fault> {
    let mut images: Vec<OwnImage> = Vec::new();
    let mut lines: BTreeMap<ImageName, u32> = BTreeMap::new();
    for item in item.items()? {
        let (image, name_item) = image(&item)?;
        if let Some(line) = lines.insert(image.name.clone(), image.mark.line) {
            let fault = name_item.fault(format!("is `{}` again, first in line {line}", image.name));
            return Err(fault.with_hint("give each image a name of its own"));
        }
        images.push(image);
    }
    Ok(images)
}

fn image<'d>(item: &Item<'d>) -> Result<(OwnImage, Item<'d>), Fault> {
    let mut fields = table(item, TABLE)?;
    let name_item = require(&mut fields, TABLE, "name")?;
    let (base, requirements, packages) =
        (fields.take("base"), fields.take("requirements"), fields.take("packages"));
    if requirements.is_none() && packages.is_none() {
        let fault = fields.fault("the image adds nothing: it has neither `requirements` nor `packages`");
        return Err(fault.with_hint("a suite can name an image of the lock by itself: `image = \"tests\"`"));
    }
    let own_mark = name_item.mark();
    let image = OwnImage {
        name: name(&name_item)?,
        mark: own_mark,
        base_mark: base.as_ref().map_or(own_mark, Item::mark),
        base: base
            .map(|item| item.full_text().map(str::to_owned))
            .transpose()?
            .unwrap_or_else(|| BASE.to_owned()),
        packages_mark: packages.as_ref().map_or(own_mark, Item::mark),
        requirements: requirements.map(|item| files(&item)).transpose()?.unwrap_or_default(),
        packages: packages.map(|item| debian(&item)).transpose()?.unwrap_or_default(),
    };
    fields.finish(&[])?;
    Ok((image, name_item))
}

fn name(item: &Item<'_>) -> Result<ImageName, Fault> {
    item.full_text()?.parse().map_err(|error: ImageNameError| item.fault(format!("is wrong: {error}")))
}

fn files(item: &Item<'_>) -> Result<Vec<(String, crate::document::Mark)>, Fault> {
    let mut files: Vec<(String, crate::document::Mark)> = Vec::new();
    for item in filled(item, "file")? {
        let file = path(&item)?;
        if files.iter().any(|(other, _)| *other == file) {
            return Err(item.fault(format!("is `{file}` again")).with_hint("leave it out"));
        }
        files.push((file, item.mark()));
    }
    Ok(files)
}

/// Names of Debian packages, as Debian's policy has them.
fn debian(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let name = |item: &Item<'_>| {
        let text = item.full_text()?;
        let good = text.len() > 1
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|byte| plain(byte) || b"+.-".contains(&byte));
        if good {
            return Ok(text.to_owned());
        }
        let fault = item.fault(format!("cannot be a Debian package: `{text}`"));
        Err(fault.with_hint("name packages of the release, without versions: `libnuma1`"))
    };
    filled(item, "package")?.iter().map(name).collect()
}
