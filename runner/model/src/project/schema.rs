//! Every key that a project file can have, as one table: the reader, the JSON Schema and the reference page are made from it.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is not empty.
    Name,
    /// A name that is also a part of file names.
    Identifier,
    /// The name of a preset.
    Preset,
    /// The name of an image.
    Image,
    /// A list of Debian packages, at least one.
    Packages,
    /// A program's name, or its path in an image.
    Program,
    /// `uid:gid` of an ordinary user.
    User,
    /// The tool of a suite.
    Tool,
    /// The nature of tests.
    Type,
    /// A tier.
    Tier,
    /// A path below the project's root.
    Path,
    /// A list of paths below the project's root, at least one.
    Paths,
    /// A list of profiles' names or patterns.
    Profiles,
    /// A marker expression.
    Markers,
    /// An expression of the suite's own tool.
    Filter,
    /// A list of texts.
    Texts,
    /// Text or a number, as text.
    Variable,
    /// A number of workers.
    Workers,
    /// A duration such as `30s`, more than nothing.
    Duration,
    /// A duration down to microseconds, more than nothing.
    FineDuration,
    /// A list of groups of markers, none twice.
    Groups,
    /// The name of a marker.
    Marker,
    /// The markers of a group: a list of names, or a table of names with meanings.
    Members,
    /// A list of patterns of files, at least one.
    Files,
    /// A list of patterns of case ids, at least one.
    Cases,
    /// A list of patterns of file names with placeholders.
    Patterns,
    /// A suite's name.
    Suite,
    /// A list of suites' names, at least one.
    Suites,
    /// `true`.
    Truth,
    /// A day.
    Date,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Path of names: `[]` stands for each item of a list, a word in `<>` for any name.
    pub path: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Whether its table must hold it.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

/// Keys of one table of which it must hold exactly one.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The path of the table.
    pub table: &'static [&'static str],
    /// The keys.
    pub keys: &'static [&'static str],
}

const fn key(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, required: false, meaning }
}

const fn required(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, required: true, meaning }
}

/// Every key, in the order of the reference page.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    required(&["project", "name"], Kind::Identifier, "the project's name"),
    key(&["project", "preset"], Kind::Preset, "what is built in for such a project: it holds for every table that this file leaves out"),

    required(&["image", "[]", "name"], Kind::Image, "a name of its own, which no image of the lock has"),
    key(&["image", "[]", "base"], Kind::Image, "image of the lock, with a recipe, that it starts from; `tests` without it"),
    key(&["image", "[]", "requirements"], Kind::Paths, "requirement files: exact versions, each with `--hash`"),
    key(&["image", "[]", "packages"], Kind::Packages, "Debian packages of the base's release"),

    required(&["suite", "[]", "name"], Kind::Identifier, "a name, unique in the project"),
    required(&["suite", "[]", "kind"], Kind::Tool, "the tool that collects and executes the suite"),
    key(&["suite", "[]", "type"], Kind::Type, "nature of the tests; pytest needs it, hooks are `lint` and Rust tests `unit` without it"),
    key(&["suite", "[]", "tier"], Kind::Tier, "the earliest tier that holds the suite; follows from the type without it"),
    key(&["suite", "[]", "paths"], Kind::Paths, "files or folders with tests; pytest needs it, the others take the project's root without it"),
    key(&["suite", "[]", "profiles"], Kind::Profiles, "profiles whose stacks the suite can run against; without it the suite needs no stack"),
    key(&["suite", "[]", "expression"], Kind::Filter, "pytest: a marker expression on top of the tier's; cargo: a filter of nextest"),
    key(&["suite", "[]", "arguments"], Kind::Texts, "further arguments of the tool"),
    key(&["suite", "[]", "environment", "<name>"], Kind::Variable, "environment of the tool"),
    key(&["suite", "[]", "workers"], Kind::Workers, "parallel workers of the tool; 1 without it"),
    key(&["suite", "[]", "image"], Kind::Name, "image that the tool runs in, of the lock or of this file; `tests` without it"),
    key(&["suite", "[]", "python"], Kind::Program, "pytest: the interpreter in the image; `python3` without it"),
    key(&["suite", "[]", "folder"], Kind::Path, "pytest: the tool's working folder; the project's root without it"),
    key(&["suite", "[]", "user"], Kind::User, "the tool's user, never root; without it Testbed chooses one"),
    key(&["suite", "[]", "timeouts", "case"], Kind::Duration, "time for one case, over the profile's"),
    key(&["suite", "[]", "timeouts", "suite"], Kind::Duration, "time for all cases of the suite, over the profile's"),

    key(&["markers", "required"], Kind::Groups, "groups of which each case needs a marker of its own"),
    key(&["markers", "groups", "<group>"], Kind::Members, "the markers of a group"),
    key(&["markers", "defaults", "<group>"], Kind::Marker, "what a case without a marker of the group counts as having"),
    key(&["markers", "aliases", "<spelling>"], Kind::Marker, "the marker that another spelling means"),

    required(&["lane", "[]", "name"], Kind::Identifier, "a name, unique in the project"),
    required(&["lane", "[]", "suite"], Kind::Suite, "the suite that the lane is a part of"),
    key(&["lane", "[]", "expression"], Kind::Markers, "the cases that the lane lets through; all of the suite without it"),
    key(&["lane", "[]", "tier"], Kind::Tier, "the earliest tier that holds the lane; the suite's without it"),
    key(&["lane", "[]", "workers"], Kind::Workers, "parallel workers of the tool, over the suite's"),

    key(&["budgets", "tiers", "<tier>"], Kind::Duration, "time that a whole tier may take"),
    key(&["budgets", "suites", "<type>"], Kind::Duration, "time that a whole suite with tests of a type may take"),
    key(&["budgets", "cases", "<type>", "<kind>"], Kind::FineDuration, "time that one case of a type and a tool may take"),

    key(&["changes", "filters"], Kind::Path, "a file in the format of paths-filter: names, each with patterns of files"),
    key(&["changes", "always"], Kind::Markers, "cases that every selection by changes keeps"),
    key(&["changes", "rule", "[]", "files"], Kind::Files, "the rule is about files that fit one of these patterns; `**` crosses folders"),
    key(&["changes", "rule", "[]", "filter"], Kind::Name, "the rule is about files that a name of the filters file covers"),
    key(&["changes", "rule", "[]", "suites"], Kind::Suites, "such a change concerns these suites"),
    key(&["changes", "rule", "[]", "cases"], Kind::Markers, "such a change concerns these cases"),
    key(&["changes", "rule", "[]", "everything"], Kind::Truth, "such a change concerns every case"),
    key(&["changes", "rule", "[]", "nothing"], Kind::Truth, "such a change concerns no case"),

    key(&["naming", "patterns"], Kind::Patterns, "how test files are called: a name must fit one of these"),
    key(&["naming", "exempt"], Kind::Files, "files that are left alone"),

    required(&["quarantine", "[]", "cases"], Kind::Cases, "the ids of cases that are not executed; `*` stands for anything, also for `/`"),
    required(&["quarantine", "[]", "ticket"], Kind::Name, "the ticket that tells why"),
    required(&["quarantine", "[]", "until"], Kind::Date, "the last day on which it holds"),
    key(&["quarantine", "[]", "owner"], Kind::Name, "who mends the cases"),
    key(&["quarantine", "[]", "reason"], Kind::Name, "why, in a sentence"),
];

/// Files of a rule of changes.
pub const RULE_FILES: Choice = Choice { table: &["changes", "rule", "[]"], keys: &["files", "filter"] };

/// Effect of a rule of changes.
pub const RULE_EFFECT: Choice =
    Choice { table: &["changes", "rule", "[]"], keys: &["suites", "cases", "everything", "nothing"] };

/// Every choice among keys.
pub const CHOICES: [Choice; 2] = [RULE_FILES, RULE_EFFECT];

/// Keys that a suite of pytest needs, and others do not.
pub const PYTEST_NEEDS: [&str; 2] = ["type", "paths"];

/// More workers than this are a slip of the finger.
pub const MAX_WORKERS: u32 = 256;

/// What each table is for, in the order of the reference page.
pub const TABLES: [(&str, &str); 10] = [
    ("[project]", "The project itself. The only table that must be there."),
    (
        "[[image]]",
        "An image of the lock with dependencies of the project's own on top. At least one of `requirements` and `packages`. Wheels are \
         in `/opt/project`, and are found before what the base has; Debian packages join the base's, without what its recipe leaves out.",
    ),
    ("[[suite]]", "A set of tests that one tool executes. At least one, unless a preset has some."),
    (
        "[markers]",
        "The markers that cases carry. Without this table, those of Dynamo's tests. A group is a list of names, or a table of names \
         with their meanings. A marker may be in several groups.",
    ),
    ("[[lane]]", "A part of a suite that is executed by itself."),
    ("[budgets]", "How long tiers, suites and cases may take."),
    ("[changes]", "Which cases a change of files concerns."),
    (
        "[[changes.rule]]",
        "One rule: these files concern these cases. Exactly one of `files` and `filter`, and exactly one of `suites`, `cases`, \
         `everything` and `nothing`. Every rule that fits a changed file counts.",
    ),
    (
        "[naming]",
        "How test files are called. `<component>`, `<type>`, `<backend>`, `<tier>` and `<hardware>` stand for a marker of that group, \
         `<flow>` for any words joined by `_`.",
    ),
    ("[[quarantine]]", "Cases that are not executed for a while, because somebody is mending them."),
];

/// The names that may come next after `table`, where names are fixed.
pub fn names_after(table: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.path.starts_with(table))
        .filter_map(|key| key.path.get(table.len()).copied())
        .filter(|name| !is_free(name))
        .collect();
    names.dedup();
    names
}

/// What a key of a table means.
pub fn meaning(table: &[&str], name: &str) -> Option<&'static str> {
    let key = KEYS.iter().find(|key| key.path.split_last() == Some((&name, table)));
    key.map(|key| key.meaning)
}

/// Whether a part of a path stands for any name.
pub fn is_free(part: &str) -> bool {
    part == "*" || part.starts_with('<')
}

/// A project file that uses every key; the reference page ends with it.
pub const EXAMPLE: &str = include_str!("example.toml");
