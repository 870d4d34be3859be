//! What could decide the results: host, tools, images, and the parts of each environment.

use std::fmt::Write as _;

use testbed_model::record::{Manifest, Record};

use super::markup::escape;
use crate::quantity::bytes;

/// The section.
pub fn write(record: &Record) -> String {
    let manifest = &record.manifest;
    let mut out = format!(
        "<section id=\"environment\" aria-labelledby=\"environment-title\">\n<h2 id=\"environment-title\">Environment</h2>\n{}",
        rows("Run", &general(manifest))
    );
    let images: Vec<(String, String)> = manifest
        .images
        .iter()
        .map(|(name, image)| (name.clone(), format!("{}  {}", image.reference, image.id)))
        .collect();
    out.push_str(&rows("Images", &images));
    for environment in &manifest.environments {
        let lanes: Vec<String> = environment.lanes.iter().map(ToString::to_string).collect();
        let parts: Vec<(String, String)> =
            environment.parts.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        out.push_str(&rows(&format!("{} · {}", environment.id, lanes.join(", ")), &parts));
    }
    out + "</section>\n"
}

fn general(manifest: &Manifest) -> Vec<(String, String)> {
    let facts = &manifest.facts;
    let mut rows = vec![
        ("command", manifest.arguments.join(" ")),
        ("testbed", manifest.testbed.clone()),
        ("seed", manifest.seed.to_string()),
        ("host", format!("{} cores, {}, {} GPUs", facts.cores, bytes(facts.memory_bytes), facts.gpus)),
        ("kernel", format!("{} {}", facts.kernel, facts.architecture)),
    ];
    if let Some(daemon) = &facts.daemon {
        rows.push((
            "container engine",
            format!(
                "{} {}, API {}, {}, cgroup {}",
                daemon.name, daemon.version, daemon.api_version, daemon.storage_driver, daemon.cgroup_version
            ),
        ));
    }
    rows.extend(facts.revision.clone().map(|revision| ("revision", revision)));
    rows.extend(
        facts.flake.as_ref().map(|flake| ("flake", format!("{}, lock {}", flake.revision, flake.lock))),
    );
    if let Some(changes) = &manifest.changes {
        let kept = changes.file.as_deref().unwrap_or("not kept");
        rows.push(("uncommitted", format!("{} files, {} ({kept})", changes.files, bytes(changes.bytes))));
    }
    let shares: Vec<String> = manifest.shares.iter().map(ToString::to_string).collect();
    if !shares.is_empty() {
        rows.push(("put together from", shares.join(", ")));
    }
    let tools = facts.tools.iter().map(|(name, version)| (name.clone(), version.clone()));
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(tools).collect()
}

fn rows(title: &str, rows: &[(String, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "<details class=\"parts\"><summary>{}</summary><table class=\"reasons\"><tbody>\n",
        escape(title)
    );
    for (name, value) in rows {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>",
            escape(name),
            escape(value)
        );
    }
    out + "</tbody></table></details>\n"
}
