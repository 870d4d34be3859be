//! Flaky or a regression, by statistics: did the chance to fail change at some run, and when?
//!
//! Two models explain a case's failures. Either each execution fails with one unknown chance; or with one chance before some run and
//! another one from it on. Chances have Jeffreys' prior, Beta(1/2, 1/2), so the likelihood of `f` failures and `s` passes is the
//! beta-binomial `B(f + 1/2, s + 1/2) / B(1/2, 1/2)`; every run may be the one that changed it, with the same chance. Bayes' rule
//! weighs the models.

use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::rate::Rate;
use super::standing::Moment;

/// How sure an answer must be, from 0 to 1.
const SURE: f64 = 0.95;
/// One execution in a loop counts, but a loop of a million must not cost as much to think about.
const MOST_EXECUTIONS: u32 = 1000;

/// What statistics suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// Nothing was ever seen.
    Nothing,
    /// It always passed.
    Steady,
    /// It never passed.
    Broken,
    /// It passes and fails with one chance throughout: nothing in the code changed it.
    Flaky,
    /// It got worse at one run.
    Regression,
    /// It got better at one run.
    Mended,
}

impl Suspicion {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing known",
            Self::Steady => "steady",
            Self::Broken => "never passed",
            Self::Flaky => "flaky",
            Self::Regression => "regression",
            Self::Mended => "mended",
        }
    }
}

/// What statistics say of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What it is.
    pub suspicion: Suspicion,
    /// The probability, from 0 to 1, that something changed for the worse.
    pub worse: f64,
    /// The probability, from 0 to 1, that something changed for the better.
    pub better: f64,
    /// The first run that was different, where something did change.
    pub since: Option<Moment>,
    /// The rate before it.
    pub before: Rate,
    /// The rate from it on; all of it where nothing changed.
    pub after: Rate,
}

/// What statistics say of observations in the order of time.
pub(super) fn of(observations: &[Observation]) -> Change {
    let seen: Vec<&Observation> = observations.iter().filter(|seen| seen.counts()).collect();
    let whole = Rate::of(seen.iter().copied());
    let mut change = Change {
        suspicion: match (whole.executions, whole.failures()) {
            (0, _) => Suspicion::Nothing,
            (_, 0) => Suspicion::Steady,
            (all, failures) if all == failures => Suspicion::Broken,
            _ => Suspicion::Flaky,
        },
        worse: 0.0,
        better: 0.0,
        since: None,
        before: Rate::default(),
        after: whole,
    };
    if change.suspicion != Suspicion::Flaky {
        return change;
    }
    let trials: Vec<Trials> = seen.iter().map(|seen| Trials::of(seen)).collect();
    let splits = Splits::of(&trials);
    (change.worse, change.better) = (splits.worse, splits.better);
    let found = if splits.worse > SURE {
        Some((Suspicion::Regression, splits.worst))
    } else if splits.better > SURE {
        Some((Suspicion::Mended, splits.best))
    } else {
        None
    };
    if let Some((suspicion, at)) = found
        && let Some(first) = seen.get(at)
    {
        change.suspicion = suspicion;
        change.since = Some(Moment::of(first));
        change.before = Rate::of(seen.iter().take(at).copied());
        change.after = Rate::of(seen.iter().skip(at).copied());
    }
    change
}

/// Failures and passes.
#[derive(Clone, Copy, Debug, Default)]
struct Trials {
    failures: u32,
    passes: u32,
}

impl Trials {
    fn of(seen: &Observation) -> Self {
        let scale = seen.executions.div_ceil(MOST_EXECUTIONS).max(1);
        let passes = seen.executions.saturating_sub(seen.failures);
        // Rounded up: the one failure of a long loop must not vanish.
        Self { failures: seen.failures.div_ceil(scale), passes: passes.div_ceil(scale) }
    }

    const fn plus(self, other: Self) -> Self {
        Self { failures: self.failures + other.failures, passes: self.passes + other.passes }
    }

    const fn minus(self, other: Self) -> Self {
        Self { failures: self.failures - other.failures, passes: self.passes - other.passes }
    }

    /// Whether a greater share fails than of the other.
    fn is_worse_than(self, other: Self) -> bool {
        let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
        product(self.failures, other.passes) > product(other.failures, self.passes)
    }
}

/// All the runs at which something could have changed, weighed.
struct Splits {
    worse: f64,
    better: f64,
    worst: usize,
    best: usize,
}

impl Splits {
    fn of(trials: &[Trials]) -> Self {
        let whole = trials.iter().fold(Trials::default(), |sum, it| sum.plus(*it));
        let chance = Likelihood::up_to(whole);
        let alone = chance.ln(whole);
        let mut out = Self { worse: 0.0, better: 0.0, worst: 0, best: 0 };
        let (mut highest_worse, mut highest_better) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let count = u32::try_from(trials.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let mut before = Trials::default();
        for (at, next) in trials.iter().enumerate().skip(1) {
            before = before.plus(trials.get(at - 1).copied().unwrap_or(*next));
            let after = whole.minus(before);
            let ln = chance.ln(before) + chance.ln(after) - alone;
            let weight = ln.exp() / f64::from(count);
            if after.is_worse_than(before) {
                out.worse += weight;
                if ln > highest_worse {
                    (highest_worse, out.worst) = (ln, at);
                }
            } else if before.is_worse_than(after) {
                out.better += weight;
                if ln > highest_better {
                    (highest_better, out.best) = (ln, at);
                }
            }
        }
        // Nothing changed, for the worse, for the better: the first is as likely beforehand as the other two together.
        let sum = 1.0 + out.worse + out.better;
        if sum.is_finite() {
            (out.worse, out.better) = (out.worse / sum, out.better / sum);
        } else if highest_worse > highest_better {
            (out.worse, out.better) = (1.0, 0.0);
        } else {
            (out.worse, out.better) = (0.0, 1.0);
        }
        out
    }
}

/// The beta-binomial likelihood, from tables: `half[i]` is `ln Γ(i + 1/2) - ln Γ(1/2)`, `whole[i]` is `ln i!`.
struct Likelihood {
    half: Vec<f64>,
    whole: Vec<f64>,
}

impl Likelihood {
    fn up_to(most: Trials) -> Self {
        let (mut half, mut whole) = (vec![0.0], vec![0.0]);
        let (mut of_half, mut of_whole) = (0.0_f64, 0.0_f64);
        for i in 1..=(most.failures + most.passes) {
            of_half += (f64::from(i) - 0.5).ln();
            of_whole += f64::from(i).ln();
            half.push(of_half);
            whole.push(of_whole);
        }
        Self { half, whole }
    }

    /// The logarithm of the likelihood of these trials in their order.
    fn ln(&self, of: Trials) -> f64 {
        let at = |table: &[f64], index: u32| {
            usize::try_from(index).ok().and_then(|index| table.get(index)).copied().unwrap_or_default()
        };
        at(&self.half, of.failures) + at(&self.half, of.passes) - at(&self.whole, of.failures + of.passes)
    }
}
