//! What `doctor` found, for a person.

use testbed_model::doctor::{AbsentModel, Finding, Needs, ProfileState};
use testbed_model::facts::{DaemonFacts, Disk, Facts};
use testbed_model::fitness::{capability_text, memory_text, needed_text};
use testbed_model::gpu::{Accelerators, Gpu, GpuProcess, Source};
use testbed_model::passthrough::{self, Way};

use crate::fit;
use crate::quantity::bytes;
use crate::style::{Style, Tone};

/// Columns of labels.
const LABEL: usize = 15;

/// The least columns for what stands behind a name; a narrower screen breaks lines as it likes.
const NARROW: usize = 30;

/// All of it.
pub fn told(finding: &Finding, style: &Style) -> String {
    let mut page = Page { text: String::new(), style };
    page.surroundings(finding);
    page.host(&finding.facts);
    page.engine(finding);
    page.gpus(&finding.facts);
    page.warnings(finding);
    page.profiles(finding);
    page.text
}

/// What has been written so far.
struct Page<'s> {
    text: String,
    style: &'s Style,
}

impl Page<'_> {
    fn row(&mut self, label: &str, value: &str) {
        self.toned(label, Tone::Plain, value);
    }

    /// A label with its value, which goes on below itself where the screen ends.
    fn toned(&mut self, label: &str, tone: Tone, value: &str) {
        let label = self.style.paint(Tone::Step, &fit::left(label, LABEL));
        self.block(&label, LABEL, tone, value);
    }

    /// Text behind something that takes `indent` columns.
    fn block(&mut self, before: &str, indent: usize, tone: Tone, text: &str) {
        let room = self.style.columns().saturating_sub(indent).max(NARROW);
        for (index, line) in fit::wrap(text, room).iter().enumerate() {
            let before = if index == 0 { before.to_owned() } else { " ".repeat(indent) };
            let line = if tone == Tone::Plain { line.clone() } else { self.style.paint(tone, line) };
            self.text += &format!("{before}{line}\n");
        }
    }

    fn surroundings(&mut self, finding: &Finding) {
        let Finding { configuration, facts, .. } = finding;
        if let Some(simulated) = &facts.simulated {
            let what = format!("by `{}`, not of this host: {}", simulated.file, simulated.told());
            self.toned("simulated", Tone::Warn, &what);
        }
        self.row("configuration", &format!("{}, {}", configuration.root, configuration.origin.words()));
        if let Some(revision) = &configuration.revision {
            self.row("", &format!("revision {revision}"));
        }
        if let Some(flake) = &facts.flake {
            self.row("flake", &format!("revision {}, lock {}", flake.revision, flake.lock));
        }
        self.row("project", &finding.project);
        if let Some(revision) = &facts.revision {
            self.row("", &format!("revision {revision}"));
        }
    }

    fn host(&mut self, facts: &Facts) {
        let memory = bytes(facts.memory_bytes);
        self.row(
            "host",
            &format!("{} cores, {memory}, GPUs: {}, {}", facts.cores, facts.gpus, facts.architecture),
        );
        self.row("kernel", &facts.kernel);
        if let Some(disk) = &facts.host.disk {
            self.row("disk", &room(disk));
        }
        let shm = facts.host.shm_bytes.map(|shm| format!("/dev/shm {}", bytes(shm)));
        let limits = facts.host.limits.map(|limits| {
            let size = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), bytes);
            let files = limits.nofile.map_or_else(|| "unlimited".to_owned(), |files| files.to_string());
            format!(
                "open files {files}, locked memory {}, stack {}",
                size(limits.memlock),
                size(limits.stack)
            )
        });
        let told: Vec<String> = limits.into_iter().chain(shm).collect();
        if !told.is_empty() {
            self.row("limits", &told.join(", "));
        }
        match facts.host.clock_synchronised {
            Some(true) => self.row("clock", "kept in time"),
            Some(false) => self.toned("clock", Tone::Warn, "not kept in time"),
            None => {}
        }
        let tools =
            facts.tools.iter().filter(|(name, _)| *name != "testbed").map(|(_, version)| version.clone());
        let own = facts.tools.get("testbed").map_or("", String::as_str);
        let tools: Vec<String> = std::iter::once(format!("testbed {own}")).chain(tools).collect();
        self.row("tools", &tools.join(", "));
    }

    fn engine(&mut self, finding: &Finding) {
        if let Some(daemon) = &finding.facts.daemon {
            let named = |name: &str, value: &str| (!value.is_empty()).then(|| format!("{name}{value}"));
            let parts = [
                named("", &format!("{} {}", daemon.name, daemon.version)),
                named("API ", &daemon.api_version),
                named("", &daemon.storage_driver),
                named("cgroup ", &daemon.cgroup_version),
            ];
            self.row("engine", &parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
            self.daemon(daemon);
        } else if let Some(trouble) = &finding.engine {
            self.toned("engine", Tone::Bad, &trouble.message);
            if let Some(hint) = &trouble.hint {
                self.row("", &format!("hint: {hint}"));
            }
        }
    }

    fn daemon(&mut self, daemon: &DaemonFacts) {
        if !daemon.runtimes.is_empty() {
            let usual = |name: &String| match &daemon.default_runtime {
                Some(usual) if usual == name => format!("{name} (default)"),
                _ => name.clone(),
            };
            self.row(
                "",
                &format!("runtimes {}", daemon.runtimes.iter().map(usual).collect::<Vec<_>>().join(", ")),
            );
        }
        if !daemon.cdi_devices.is_empty() {
            self.row("", &format!("CDI devices {}", daemon.cdi_devices.join(", ")));
        }
        if !daemon.address_ranges.is_empty() {
            self.row("", &format!("addresses {}", daemon.address_ranges.join(", ")));
        }
        if let Some(disk) = &daemon.disk {
            self.row("", &room(disk));
        }
    }

    fn gpus(&mut self, facts: &Facts) {
        let Some(accelerators) = &facts.accelerators else { return };
        let teller = match accelerators.source {
            Source::Nvml => ", told by NVML",
            Source::NvidiaSmi => ", told by nvidia-smi",
            Source::Simulated => "",
        };
        let driver = format!("NVIDIA driver {}, CUDA {}{teller}", accelerators.driver, accelerators.cuda);
        self.row("driver", &driver);
        if accelerators.gpus.is_empty() {
            return;
        }
        match passthrough::way(facts) {
            Ok(Way::Cdi) => self.row("", "GPUs get into containers by name (CDI)"),
            Ok(Way::DeviceRequest) => self.row("", "GPUs get into containers by device requests"),
            Ok(Way::Runtime) => self.row("", "GPUs get into containers by the runtime `nvidia`"),
            Err(no_way) => self.toned("", Tone::Warn, &no_way.to_string()),
        }
        self.text.push('\n');
        self.table(accelerators);
    }

    /// A line for each GPU; what holds its memory stands below it.
    fn table(&mut self, accelerators: &Accelerators) {
        const HEAD: [&str; 8] = ["GPU", "name", "used", "memory", "capability", "MIG", "ECC", "XID"];
        let rows: Vec<[String; 8]> = accelerators.gpus.iter().map(cells).collect();
        let mut widths = HEAD.map(fit::columns);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(fit::columns(cell));
            }
        }
        let others: usize =
            widths.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, width)| width + 2).sum();
        if let Some(name) = widths.get_mut(1) {
            *name = (*name).min(self.style.columns().saturating_sub(others).max(8));
        }
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
                0 | 2 | 3 => fit::right(cell, width),
                _ => fit::left(&fit::start(cell, width, self.style.glyphs), width),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head = self.style.paint(Tone::Step, &line(&HEAD.map(str::to_owned)));
        let mut text = format!("{head}\n");
        for (gpu, row) in accelerators.gpus.iter().zip(&rows) {
            text += &format!("{}\n", line(row));
            for part in gpu.mig.iter().flatten() {
                text += &format!("     MIG {}, {}\n", part.profile, memory_text(part.memory_bytes));
            }
            for process in &gpu.processes {
                text += &format!("     {}\n", holder(process));
            }
        }
        self.text += &text;
    }

    fn warnings(&mut self, finding: &Finding) {
        if finding.warnings.is_empty() {
            return;
        }
        self.text.push('\n');
        for warning in &finding.warnings {
            let label = format!("{} ", self.style.paint(Tone::Warn, "warning:"));
            self.block(&label, "warning: ".len(), Tone::Plain, &warning.message);
            if let Some(hint) = &warning.hint {
                let indent = "warning: ".len();
                self.block(&" ".repeat(indent), indent, Tone::Dim, &format!("hint: {hint}"));
            }
        }
    }

    fn profiles(&mut self, finding: &Finding) {
        self.text.push('\n');
        let width = finding.profiles.iter().map(|profile| fit::columns(&profile.name)).max().unwrap_or(0) + 2;
        for profile in &finding.profiles {
            self.profile(profile, finding, width);
        }
    }

    fn profile(&mut self, profile: &ProfileState, finding: &Finding, width: usize) {
        let name = fit::left(&profile.name, width);
        let indent = " ".repeat(width);
        let is_engine =
            |message: &str| finding.engine.as_ref().is_some_and(|engine| engine.message == message);
        if profile.reasons.is_empty() {
            let (tone, once) = match awaited(&profile.absent_models) {
                Some(once) => (Tone::Warn, once),
                None => (Tone::Good, String::new()),
            };
            self.block(&name, width, tone, &format!("can run here{}{once}", places(profile)));
            for model in &profile.absent_models {
                self.block(&indent, width, Tone::Dim, &format!("hint: {}", model.command));
            }
        }
        let mut hints: Vec<&String> = Vec::new();
        for (index, reason) in profile.reasons.iter().enumerate() {
            let before = if index == 0 { &name } else { &indent };
            if is_engine(&reason.message) {
                // The engine's trouble stands above, once.
                self.block(before, width, Tone::Bad, "needs the engine");
                continue;
            }
            self.block(before, width, Tone::Warn, &reason.message);
            // What mends several reasons is said once.
            if let Some(hint) = reason.hint.as_ref().filter(|hint| !hints.contains(hint)) {
                hints.push(hint);
                self.block(&indent, width, Tone::Dim, &format!("hint: {hint}"));
            }
        }
        let needs = needs(profile);
        if !needs.is_empty() {
            self.block(&indent, width, Tone::Dim, &format!("needs {}", needs.join(", ")));
        }
    }
}

fn room(disk: &Disk) -> String {
    format!("{} free of {} at {}", bytes(disk.free_bytes), bytes(disk.total_bytes), disk.path)
}

fn cells(gpu: &Gpu) -> [String; 8] {
    let nothing = || "-".to_owned();
    [
        gpu.index.to_string(),
        gpu.name.clone(),
        memory_text(gpu.used_bytes),
        memory_text(gpu.memory_bytes),
        capability_text(gpu.compute_capability),
        gpu.mig.as_ref().map_or_else(nothing, |parts| format!("on, {}", parts.len())),
        gpu.ecc.map_or_else(nothing, |ecc| match (ecc.enabled, ecc.uncorrected) {
            (true, 0) => "on".to_owned(),
            (false, 0) => "off".to_owned(),
            (_, errors) => crate::quantity::count(usize::try_from(errors).unwrap_or(usize::MAX), "error"),
        }),
        if gpu.xids.is_empty() {
            nothing()
        } else {
            gpu.xids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
        },
    ]
}

fn holder(process: &GpuProcess) -> String {
    let who = match &process.name {
        Some(name) => format!("{name} (process {})", process.pid),
        None => format!("process {}", process.pid),
    };
    match process.memory_bytes {
        Some(bytes) => format!("{who} holds {}", memory_text(bytes)),
        None => who,
    }
}

/// The GPUs that a profile can run on.
fn places(profile: &ProfileState) -> String {
    let fit = &profile.fit;
    let (Some(first), Some(last)) = (fit.first(), fit.last()) else { return String::new() };
    let indices = if fit.len() > 2 && fit.iter().copied().eq(*first..=*last) {
        format!("{first} to {last}")
    } else {
        fit.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    };
    let needed = usize::try_from(profile.gpus).unwrap_or(usize::MAX);
    match (fit.len(), needed) {
        (1, _) => format!(", on GPU {indices}"),
        (here, needed) if here > needed => format!(", on {needed} of GPUs {indices}"),
        _ => format!(", on GPUs {indices}"),
    }
}

/// What has to be fetched first.
fn awaited(models: &[AbsentModel]) -> Option<String> {
    let names: Vec<String> = models.iter().map(|model| format!("`{}`", model.name)).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!(", once the model {one} is here")),
        many => Some(format!(", once the models {} are here", many.join(", "))),
    }
}

/// What a profile needs, a phrase each.
fn needs(profile: &ProfileState) -> Vec<String> {
    let Needs { vram_bytes, compute_capability, driver, cuda, disk_bytes, architectures, images, models } =
        &profile.needs;
    let mut needs = Vec::new();
    if profile.gpus > 0 {
        let mut gpus = crate::quantity::count(usize::try_from(profile.gpus).unwrap_or(usize::MAX), "GPU");
        if let Some(bytes) = vram_bytes {
            let each = if profile.gpus > 1 { " each" } else { "" };
            gpus += &format!(" with {} free{each}", needed_text(*bytes));
        }
        needs.push(gpus);
    }
    needs.extend(compute_capability.as_ref().map(|least| format!("compute capability {least}")));
    needs.extend(driver.as_ref().map(|least| format!("driver {least}")));
    needs.extend(cuda.as_ref().map(|least| format!("CUDA {least}")));
    if profile.memory_bytes > 0 {
        needs.push(format!("{} of memory", needed_text(profile.memory_bytes)));
    }
    needs.extend(disk_bytes.map(|bytes| format!("{} of free disk", needed_text(bytes))));
    if !architectures.is_empty() {
        needs.push(architectures.join(" or "));
    }
    if !images.is_empty() {
        needs.push(format!("images {}", images.join(" ")));
    }
    if !models.is_empty() {
        needs.push(format!("models {}", models.join(" ")));
    }
    needs
}

#[cfg(test)]
mod tests {
    use testbed_model::doctor::{
        Configuration, Finding, Needs, Origin, ProfileState, SCHEMA, Trouble, warnings,
    };
    use testbed_model::facts::Facts;
    use testbed_model::inventory;

    use super::told;
    use crate::fit;
    use crate::style::Style;

    fn finding() -> Finding {
        let mut facts = Facts { cores: 1, revision: Some("abc-dirty".to_owned()), ..Facts::default() };
        inventory::parse("host.toml", inventory::schema::EXAMPLE).unwrap().apply(&mut facts);
        let reason =
            |message: &str, hint: &str| Trouble { message: message.to_owned(), hint: Some(hint.to_owned()) };
        let reasons = vec![
            reason("it needs GPUs: 4, and this host has 3", "run it on a host that has it"),
            reason(
                "it needs NVIDIA driver 590 or newer, and this host has 580.65.06",
                "install a newer driver",
            ),
        ];
        let needs = Needs {
            vram_bytes: Some(80 << 30),
            driver: Some("590".parse().unwrap()),
            images: vec!["nats".to_owned(), "vllm".to_owned()],
            ..Needs::default()
        };
        let able = ProfileState {
            name: "vllm".to_owned(),
            description: None,
            tiers: Vec::new(),
            gpus: 1,
            memory_bytes: 16 << 30,
            needs: Needs::default(),
            fit: vec![0, 1],
            trouble: None,
            reasons: Vec::new(),
            absent_models: Vec::new(),
        };
        let unable = ProfileState {
            name: "vllm-tp4".to_owned(),
            gpus: 4,
            needs,
            fit: Vec::new(),
            trouble: reasons.first().cloned(),
            reasons,
            ..able.clone()
        };
        Finding {
            schema: SCHEMA,
            configuration: Configuration { root: "/r".to_owned(), origin: Origin::Upward, revision: None },
            project: "/p".to_owned(),
            warnings: warnings(&facts),
            facts,
            engine: None,
            profiles: vec![able, unable],
        }
    }

    #[test]
    fn everything_is_told_on_a_usual_screen_and_on_a_narrow_one() {
        insta::assert_snapshot!("usual", told(&finding(), &Style::plain(110)));
        insta::assert_snapshot!("narrow", told(&finding(), &Style::plain(72)));
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        for width in [72, 80, 96, 110, 200] {
            for line in told(&finding(), &Style::plain(width)).lines() {
                assert!(fit::columns(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let style = Style { colours: true, ..Style::plain(80) };
        let coloured = told(&finding(), &style);
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(console::strip_ansi_codes(&coloured), told(&finding(), &Style::plain(80)));
    }
}
