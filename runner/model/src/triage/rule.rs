//! The rules as data: read from `rules.toml`, in which they are documented.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::Cause;
use super::fact::FactKind;
use crate::case::Outcome;
use crate::stack::Millis;

/// The text of the rules, part of the program.
const TEXT: &str = include_str!("rules.toml");

/// All rules, in the order in which they are tried, and the lists of texts that they name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Lists of patterns, lower case, in which `*` is any text and `{file}` the case's file.
    pub texts: BTreeMap<String, Vec<String>>,
    /// The rules. The first that fits decides.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// One rule. A condition that is empty or none holds always.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, lower case with hyphens.
    pub name: String,
    /// What it judges.
    pub of: Vec<SubjectKind>,
    /// The kinds of fact of which it needs one.
    #[serde(default)]
    pub fact: Vec<FactKind>,
    /// With which codes the fact's service may have ended.
    #[serde(default)]
    pub exit_codes: Vec<i64>,
    /// Whether the kernel killed the fact's service for lack of memory.
    #[serde(default)]
    pub memory: Option<bool>,
    /// Patterns of the fact's words.
    #[serde(default)]
    pub says: Vec<String>,
    /// The list of which a text stands in the log of the fact's service.
    #[serde(default)]
    pub log: Option<String>,
    /// The list of which no text stands there.
    #[serde(default)]
    pub no_log: Option<String>,
    /// Lists of which a text stands in what the subject tells of itself.
    #[serde(default)]
    pub account: Vec<String>,
    /// Lists of which a text stands in what its services logged meanwhile.
    #[serde(default)]
    pub meanwhile: Vec<String>,
    /// How the case ended.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// How much older than a case's beginning the fact may be.
    #[serde(default)]
    pub before_ms: Millis,
    /// How much younger than its end.
    #[serde(default)]
    pub after_ms: Millis,
    /// What it concludes.
    pub cause: Verdict,
    /// Why, in a sentence without its dot.
    pub because: String,
}

/// What a rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A red case.
    Case,
    /// A lane that failed beyond its cases.
    Lane,
    /// A stack that did not come up.
    Stack,
    /// A service that ended unasked.
    Service,
    /// A run that broke as a whole.
    Run,
}

/// What a rule concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The test is wrong.
    Test,
    /// The product is.
    Product,
    /// What surrounds the product broke.
    Infrastructure,
    /// The host itself did.
    Host,
    /// The same as that of the fact.
    Inherited,
}

impl Verdict {
    /// The cause, where the rule itself says it.
    pub const fn cause(self) -> Option<Cause> {
        match self {
            Self::Test => Some(Cause::Test),
            Self::Product => Some(Cause::Product),
            Self::Infrastructure => Some(Cause::Infrastructure),
            Self::Host => Some(Cause::Host),
            Self::Inherited => None,
        }
    }
}

impl Rules {
    /// The rules of this version. A test sees to it that their text can be read; if it could not, nothing would be excused.
    pub fn of_this_version() -> &'static Self {
        static RULES: OnceLock<Rules> = OnceLock::new();
        RULES.get_or_init(|| Self::read(TEXT).unwrap_or_default())
    }

    /// Reads rules.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// Whether a text fits a pattern in which `*` is any text, also none. Both are to be lower case.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Rule, Rules, SubjectKind, TEXT, Verdict, fits};

    fn lists(rule: &Rule) -> impl Iterator<Item = &String> {
        rule.account.iter().chain(&rule.meanwhile).chain(&rule.log).chain(&rule.no_log)
    }

    #[test]
    fn the_rules_can_be_read_and_name_what_is_there() {
        let rules = Rules::read(TEXT).unwrap();
        let mut names = BTreeSet::new();
        for rule in &rules.rules {
            assert!(names.insert(&rule.name), "`{}` twice", rule.name);
            assert!(!rule.of.is_empty() && !rule.because.ends_with('.'), "{}", rule.name);
            for list in lists(rule) {
                assert!(rules.texts.contains_key(list), "`{}` names the unknown list `{list}`", rule.name);
            }
            for pattern in &rule.says {
                assert_eq!(*pattern, pattern.to_lowercase(), "{}", rule.name);
            }
        }
        let used: BTreeSet<&String> = rules.rules.iter().flat_map(lists).collect();
        for (name, patterns) in &rules.texts {
            assert!(used.contains(name), "nobody uses the list `{name}`");
            assert!(patterns.iter().all(|pattern| *pattern == pattern.to_lowercase()), "{name}");
        }
        assert_eq!(Rules::of_this_version(), &rules);
    }

    #[test]
    fn nothing_is_excused_by_what_a_test_or_a_service_writes() {
        for rule in &Rules::of_this_version().rules {
            let excuses = matches!(rule.cause, Verdict::Infrastructure | Verdict::Host | Verdict::Inherited);
            assert!(!excuses || !rule.fact.is_empty(), "`{}` excuses without a fact", rule.name);
            assert!(!excuses || rule.log.is_none(), "`{}` excuses by a log", rule.name);
        }
    }

    #[test]
    fn every_subject_has_a_rule_that_always_fits_or_a_fact_of_its_own() {
        let rules = &Rules::of_this_version().rules;
        let last = rules.last().unwrap();
        assert!(last.fact.is_empty() && last.account.is_empty() && last.outcomes.is_empty());
        let subjects = [SubjectKind::Case, SubjectKind::Lane, SubjectKind::Stack, SubjectKind::Service];
        assert!(subjects.iter().all(|subject| last.of.contains(subject)));
        assert_eq!(last.cause, Verdict::Product);
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("*", "x"),
            ("a*", "a"),
            ("*b*", "abc"),
            ("a*c", "abc"),
            ("a*b*c", "a.b.b.c"),
            ("*é", "aé"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*a", "a"), ("*b", "abc"), ("a*b*c", "acb"), ("", "x")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
