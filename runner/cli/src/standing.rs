//! Which of the stacks that were left standing somebody means.

use testbed_engine::stack::Standing;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::nearest::did_you_mean;

/// No stack that stands is the one that is meant.
#[derive(Debug, thiserror::Error)]
pub enum NotStanding {
    /// None has that name.
    #[error("no stack of `{which}` stands")]
    Stack {
        /// What was asked for.
        which: String,
        /// What there is.
        known: String,
    },
    /// There is none at all.
    #[error("no stack stands")]
    Nothing,
    /// Several have that name.
    #[error("several stacks of `{which}` stand: `{}`", profiles.join("`, `"))]
    Several {
        /// What was asked for.
        which: String,
        /// Their profiles.
        profiles: Vec<String>,
    },
    /// None of them is one that the plan needs.
    #[error("the plan needs no stack of `{which}`: it has `{}`", profiles.join("`, `"))]
    NotNeeded {
        /// What was asked for.
        which: String,
        /// Their profiles.
        profiles: Vec<String>,
    },
}

impl Hint for NotStanding {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Stack { known, .. } => known.clone(),
            Self::Nothing => "`testbed run TIER --keep on-failure` leaves one with red cases standing, \
                              `testbed up PROFILE --detach` any"
                .to_owned(),
            Self::Several { profiles, .. } | Self::NotNeeded { profiles, .. } => {
                format!("name one by `--profile {}`", profiles.first()?)
            }
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Those of a run, by `latest`, its id or the id's beginning, or of a profile. There is at least one.
pub fn all_of<'s>(all: &'s [Standing], which: &str) -> Result<Vec<&'s Standing>, NotStanding> {
    let newest = all.iter().map(|stack| stack.run.as_str()).max().ok_or(NotStanding::Nothing)?;
    let run = if which == "latest" { newest } else { which };
    let fits = |stack: &&Standing| stack.run.as_str().starts_with(run) || stack.profile == run;
    let found: Vec<&Standing> = all.iter().filter(fits).collect();
    if found.is_empty() {
        let words = all.iter().flat_map(|stack| [stack.run.as_str(), stack.profile.as_str()]);
        let known = did_you_mean(which, words.collect::<Vec<_>>());
        return Err(NotStanding::Stack { which: which.to_owned(), known });
    }
    Ok(found)
}

/// The only one of those, or the only one with that profile.
pub fn one_of<'s>(
    all: &'s [Standing],
    which: &str,
    profile: Option<&str>,
) -> Result<&'s Standing, NotStanding> {
    let of_run = all_of(all, which)?;
    let fitting = of_run.iter().filter(|stack| profile.is_none_or(|profile| profile == stack.profile));
    let fitting: Vec<&Standing> = fitting.copied().collect();
    match fitting.as_slice() {
        [stack] => Ok(stack),
        [] => {
            let known: Vec<&str> = of_run.iter().map(|stack| stack.profile.as_str()).collect();
            let asked = profile.unwrap_or(which);
            Err(NotStanding::Stack { which: asked.to_owned(), known: did_you_mean(asked, known) })
        }
        several => {
            let profiles = several.iter().map(|stack| stack.profile.clone()).collect();
            Err(NotStanding::Several { which: which.to_owned(), profiles })
        }
    }
}

/// Those that a plan can use: the newest one of each of its profiles.
pub fn usable(all: &[Standing], which: &str, needed: &[&str]) -> Result<Vec<Standing>, NotStanding> {
    let of_run = all_of(all, which)?;
    let newest = |profile: &&str| of_run.iter().rev().find(|stack| stack.profile == *profile);
    let usable: Vec<Standing> = needed.iter().filter_map(newest).map(|stack| (*stack).clone()).collect();
    if usable.is_empty() {
        let profiles = of_run.iter().map(|stack| stack.profile.clone()).collect();
        return Err(NotStanding::NotNeeded { which: which.to_owned(), profiles });
    }
    Ok(usable)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use testbed_engine::stack::Standing;

    use super::{all_of, one_of, usable};

    const OLD: &str = "20261121-100000-000001";
    const NEW: &str = "20261121-110000-000002";

    fn standing(run: &str, profile: &str) -> Standing {
        Standing {
            run: run.parse().unwrap(),
            profile: profile.to_owned(),
            network: format!("testbed-{run}-{profile}"),
            until: jiff::Timestamp::UNIX_EPOCH,
            subnet: None,
            services: BTreeMap::new(),
            down: BTreeSet::new(),
        }
    }

    fn some() -> Vec<Standing> {
        vec![standing(OLD, "mocker"), standing(NEW, "disagg"), standing(NEW, "mocker")]
    }

    #[test]
    fn a_run_is_the_latest_one_or_named_by_its_beginning_or_by_a_profile() {
        let all = some();
        let runs = |which: &str| -> Vec<&str> {
            all_of(&all, which).unwrap().iter().map(|stack| stack.run.as_str()).collect()
        };
        assert_eq!(runs("latest"), [NEW, NEW]);
        assert_eq!(runs("20261121-10"), [OLD]);
        assert_eq!(runs("mocker"), [OLD, NEW]);
        assert_eq!(all_of(&all, "mokcer").unwrap_err().to_string(), "no stack of `mokcer` stands");
        assert_eq!(all_of(&[], "latest").unwrap_err().to_string(), "no stack stands");
    }

    #[test]
    fn where_several_stand_a_profile_decides() {
        let all = some();
        assert_eq!(one_of(&all, OLD, None).unwrap().profile, "mocker");
        let several = one_of(&all, NEW, None).unwrap_err();
        assert_eq!(several.to_string(), format!("several stacks of `{NEW}` stand: `disagg`, `mocker`"));
        assert_eq!(one_of(&all, NEW, Some("disagg")).unwrap().profile, "disagg");
        assert!(one_of(&all, NEW, Some("tcp")).is_err());
    }

    #[test]
    fn a_plan_uses_the_newest_of_each_of_its_profiles() {
        let all = some();
        let used = usable(&all, "mocker", &["mocker"]).unwrap();
        assert_eq!(used.iter().map(|stack| stack.run.as_str()).collect::<Vec<_>>(), [NEW]);
        let refused = usable(&all, OLD, &["disagg"]).unwrap_err();
        assert_eq!(refused.to_string(), format!("the plan needs no stack of `{OLD}`: it has `mocker`"));
    }
}
