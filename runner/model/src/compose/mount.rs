//! Volumes, bind mounts, memory file systems and configs of a service.
//!
//! A bind mount is relative to the compose file, stays inside of the configuration and is read-only: so a stack reads the
//! same files on every machine and leaves nothing behind.

use std::collections::BTreeMap;

use super::subset::{Section, open};
use super::top::Declared;
use crate::document::{Fields, Item, Value};
use crate::span::Fault;
use crate::stack::Mount;

/// What is mounted into a service.
#[derive(Default)]
pub(super) struct Mounts {
    pub mounts: Vec<Mount>,
    pub tmpfs: BTreeMap<String, String>,
}

/// Takes `volumes`, `tmpfs` and `configs` from a service.
pub(super) fn read(fields: &mut Fields<'_>, declared: &Declared) -> Result<Mounts, Fault> {
    let mut reader = Reader { declared, found: Mounts::default(), targets: BTreeMap::new() };
    if let Some(item) = fields.take("volumes") {
        for item in item.items()? {
            match item.value() {
                Value::Map(_) => reader.long(&item)?,
                _ => reader.short(&item)?,
            }
        }
    }
    if let Some(item) = fields.take("tmpfs") {
        let items = if let Value::List(_) = item.value() { item.items()? } else { vec![item] };
        for item in items {
            let (path, options) = item.text()?.split_once(':').unwrap_or((item.text()?, ""));
            check_tmpfs_options(&item, options)?;
            let target = absolute(&item, path)?;
            reader.claim(&item, &target)?;
            reader.found.tmpfs.insert(target, options.to_owned());
        }
    }
    if let Some(item) = fields.take("configs") {
        for item in item.items()? {
            reader.config(&item)?;
        }
    }
    Ok(reader.found)
}

/// A path of the host, relative to the configuration's root. `written` is relative to the compose file, in `folder`.
pub(super) fn host_path(item: &Item<'_>, written: &str, folder: &str) -> Result<String, Fault> {
    if written.starts_with(['/', '~']) {
        let fault = item.fault(format!("has the path `{written}` of one machine"));
        return Err(fault.with_hint("use a path relative to the compose file, inside of the configuration"));
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    let fault =
                        item.fault(format!("has the path `{written}`, which leaves the configuration"));
                    return Err(fault.with_hint("use a path below the folder that holds envs/ and compose/"));
                }
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(item.fault(format!("has the path `{written}`, which is the whole configuration")));
    }
    Ok(parts.join("/"))
}

/// An absolute path in a container.
pub(super) fn container_path(item: &Item<'_>) -> Result<String, Fault> {
    absolute(item, item.text()?)
}

fn absolute(item: &Item<'_>, path: &str) -> Result<String, Fault> {
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(item.fault(format!("must be an absolute path in the container, not `{path}`")));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() {
        return Err(item.fault("cannot be mounted over the whole root file system"));
    }
    Ok(format!("/{}", parts.join("/")))
}

struct Reader<'r> {
    declared: &'r Declared,
    found: Mounts,
    targets: BTreeMap<String, u32>,
}

impl Reader<'_> {
    /// `SOURCE:TARGET[:ro|rw]`.
    fn short(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        let text = item.text()?;
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, mode) = match parts.as_slice() {
            [source, target] => (*source, *target, "rw"),
            [source, target, mode] => (*source, *target, *mode),
            _ => {
                let fault =
                    item.fault(format!("must be `SOURCE:TARGET` or `SOURCE:TARGET:ro`, not `{text}`"));
                return Err(fault.with_hint("for a folder without a name use `tmpfs`"));
            }
        };
        let read_only = match mode {
            "ro" => true,
            "rw" => false,
            other => {
                return Err(
                    item.fault(format!("cannot have the mode `{other}`; `ro` and `rw` are supported"))
                );
            }
        };
        let target = absolute(item, target)?;
        // As the Compose Specification has it: what starts like a path is one, anything else names a volume.
        if source.starts_with(['.', '/', '~']) {
            self.bind(item, source, target, read_only)
        } else {
            self.volume(item, source, target, read_only)
        }
    }

    fn long(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        #[derive(Clone, Copy)]
        enum Type {
            Bind,
            Volume,
            Tmpfs,
        }
        let mut fields = open(Section::Mount, item)?;
        let kind = fields.require("type")?.word(&[
            ("bind", Type::Bind),
            ("volume", Type::Volume),
            ("tmpfs", Type::Tmpfs),
        ])?;
        let target = container_path(&fields.require("target")?)?;
        let read_only = fields.take("read_only").map(|item| item.boolean()).transpose()?.unwrap_or(false);
        let source = fields.take("source");
        let no_source = fields.missing("source");
        let options = match fields.take("tmpfs") {
            None => String::new(),
            Some(item) => tmpfs_size(&item)?,
        };
        fields.finish(&[])?;
        match kind {
            Type::Bind => {
                let source = source.ok_or(no_source)?;
                self.bind(&source, source.full_text()?, target, read_only)
            }
            Type::Volume => {
                let source = source.ok_or(no_source)?;
                self.volume(&source, source.full_text()?, target, read_only)
            }
            Type::Tmpfs => {
                self.claim(item, &target)?;
                self.found.tmpfs.insert(target, options);
                Ok(())
            }
        }
    }

    fn config(&mut self, item: &Item<'_>) -> Result<(), Fault> {
        let (source, target) = match item.value() {
            Value::Map(_) => {
                let mut fields = open(Section::ConfigMount, item)?;
                let source = fields.require("source")?;
                let target = fields.take("target").map(|item| container_path(&item)).transpose()?;
                fields.finish(&[])?;
                (source, target)
            }
            _ => (item.clone(), None),
        };
        let name = source.text()?;
        let Some(path) = self.declared.configs.get(name) else {
            let fault =
                source.fault(format!("names the config `{name}`, which is not declared at the top level"));
            return Err(fault.with_nearest(name, self.declared.configs.keys().map(String::as_str)));
        };
        let target = target.unwrap_or_else(|| format!("/{name}"));
        self.claim(item, &target)?;
        self.found.mounts.push(Mount::Bind { source: path.clone(), target, read_only: true });
        Ok(())
    }

    fn bind(&mut self, item: &Item<'_>, source: &str, target: String, read_only: bool) -> Result<(), Fault> {
        let source_path = host_path(item, source, &self.declared.folder)?;
        if !read_only {
            let fault =
                item.fault(format!("would let the service write into `{source_path}` of the project"));
            return Err(
                fault.with_hint("mount it read-only with `:ro`, or use a volume for what the service writes")
            );
        }
        self.claim(item, &target)?;
        self.found.mounts.push(Mount::Bind { source: source_path, target, read_only });
        Ok(())
    }

    fn volume(&mut self, item: &Item<'_>, name: &str, target: String, read_only: bool) -> Result<(), Fault> {
        if !self.declared.volumes.contains(name) {
            let fault =
                item.fault(format!("names the volume `{name}`, which is not declared at the top level"));
            let known = self.declared.volumes.iter().map(String::as_str);
            return Err(if self.declared.volumes.is_empty() {
                fault.with_hint(format!(
                    "declare it: `volumes: {{{name}: {{}}}}`; a path starts with `./` or `../`"
                ))
            } else {
                fault.with_nearest(name, known)
            });
        }
        self.claim(item, &target)?;
        self.found.mounts.push(Mount::Volume { volume: name.to_owned(), target, read_only });
        Ok(())
    }

    /// Two things at one place would hide each other.
    fn claim(&mut self, item: &Item<'_>, target: &str) -> Result<(), Fault> {
        match self.targets.insert(target.to_owned(), item.mark().line) {
            None => Ok(()),
            Some(line) => {
                Err(item.fault(format!("mounts over `{target}`, where line {line} mounts already")))
            }
        }
    }
}

fn tmpfs_size(item: &Item<'_>) -> Result<String, Fault> {
    let mut fields = item.fields()?;
    let size = fields.take("size").map(|item| item.bytes()).transpose()?;
    fields.finish(&["size"])?;
    Ok(size.map(|bytes| format!("size={bytes}")).unwrap_or_default())
}

/// Options of mount(8) for tmpfs that Docker and Podman both take; `uid` and `gid` are refused by Podman.
fn check_tmpfs_options(item: &Item<'_>, options: &str) -> Result<(), Fault> {
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let known = match option.split_once('=') {
            Some(("size", size)) => crate::document::parse_bytes(size).is_some(),
            Some(("mode", mode)) => u32::from_str_radix(mode, 8).is_ok(),
            Some(_) => false,
            None => matches!(option, "exec" | "noexec" | "suid" | "nosuid" | "dev" | "nodev" | "ro" | "rw"),
        };
        if !known {
            let fault = item.fault(format!("has the option `{option}`, which is not supported"));
            return Err(fault.with_hint("use `size=64m`, `mode=1777`, `exec` or `noexec`"));
        }
    }
    Ok(())
}
