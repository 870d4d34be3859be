//! Shards: the cases of a run dealt out to several machines, each of which takes one share.
//!
//! Every machine decides for itself and all decide the same, so the split depends on nothing but the cases and how long they took.
//! Cases of one lane share a stack, which every shard that has one of them must bring up: a lane stays whole unless it is too
//! large for a fair share. Then its files stay whole, for they share fixtures, and only a file that is too large is split.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::exit_code::ExitCode;
use crate::hint::Hint;
use crate::lane::LaneId;
use crate::stack::Millis;

/// More machines than this are a slip of the finger.
const MAX_COUNT: u32 = 1000;

/// One of several shares: `2/5` is the second of five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    number: u32,
    count: u32,
}

/// A text that is no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not two numbers.
    #[error("the shard `{0}` is not of the form `NUMBER/COUNT`")]
    Form(String),
    /// There cannot be so many.
    #[error("the shard `{text}` is one of {count}, and there must be 1 to {MAX_COUNT}")]
    Count {
        /// As given.
        text: String,
        /// The count.
        count: u32,
    },
    /// There is no such one.
    #[error("the shard `{text}` has the number {number}, and there are 1 to {count}")]
    Number {
        /// As given.
        text: String,
        /// The number.
        number: u32,
        /// The count.
        count: u32,
    },
}

impl Hint for ShardError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Form(_) | Self::Count { .. } => "the second of five machines is `--shard 2/5`".to_owned(),
            Self::Number { number: 0, count, .. } => format!("the first is `1/{count}`"),
            Self::Number { count, .. } => format!("the last is `{count}/{count}`"),
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl Shard {
    /// Which one, from one.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Of how many.
    pub const fn count(self) -> u32 {
        self.count
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok())?;
        let parts = text.split_once('/').and_then(|(number, count)| Some((digits(number)?, digits(count)?)));
        let Some((number, count)) = parts else { return Err(ShardError::Form(text.to_owned())) };
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(ShardError::Count { text: text.to_owned(), count });
        }
        if !(1..=count).contains(&number) {
            return Err(ShardError::Number { text: text.to_owned(), number, count });
        }
        Ok(Self { number, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

/// A case to deal out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dealt {
    /// Its lane: the suite, and the profile whose stack it needs.
    pub lane: LaneId,
    /// Its file.
    pub file: Option<String>,
    /// Its id.
    pub id: String,
    /// How long it is expected to take.
    pub cost_ms: Millis,
}

/// The cases of one shard, as positions in `cases`, in their order.
pub fn members(cases: &[Dealt], shard: Shard) -> Vec<usize> {
    let mut shares = split(cases, shard.count);
    let at = usize::try_from(shard.number - 1).unwrap_or(usize::MAX);
    if at < shares.len() { shares.swap_remove(at) } else { Vec::new() }
}

/// The cases of every shard, as positions in `cases`, in their order. The order of the cases decides nothing.
///
/// The costliest piece goes first and each goes to the shard with the least so far, which keeps the largest share within one
/// piece of the mean; but a part of a lane goes to a shard that has the lane already as long as that stays within its share.
pub fn split(cases: &[Dealt], count: u32) -> Vec<Vec<usize>> {
    let mut shares: Vec<Share<'_>> = (0..count.max(1)).map(|_| Share::default()).collect();
    let total: u64 = cases.iter().map(cost).fold(0, u64::saturating_add);
    let fair = total.div_ceil(u64::from(count.max(1)));
    for piece in pieces(cases, fair) {
        let fits = |share: &Share<'_>| {
            share.lanes.contains(&piece.lane) && share.cost.saturating_add(piece.cost) <= fair
        };
        // Of those that have the lane, the fullest: what is left stays in few shards.
        let same = (0..shares.len())
            .filter(|at| fits(&shares[*at]))
            .max_by_key(|at| (shares[*at].cost, usize::MAX - at));
        let least = || (0..shares.len()).min_by_key(|at| shares[*at].cost);
        if let Some(share) = same.or_else(least).and_then(|at| shares.get_mut(at)) {
            share.cost = share.cost.saturating_add(piece.cost);
            share.lanes.push(piece.lane);
            share.cases.extend(piece.cases);
        }
    }
    for share in &mut shares {
        share.cases.sort_unstable();
    }
    shares.into_iter().map(|share| share.cases).collect()
}

#[derive(Debug, Default)]
struct Share<'c> {
    cost: u64,
    lanes: Vec<&'c LaneId>,
    cases: Vec<usize>,
}

/// Cases that stay together.
#[derive(Debug)]
struct Piece<'c> {
    cost: u64,
    lane: &'c LaneId,
    first: &'c str,
    cases: Vec<usize>,
}

impl<'c> Piece<'c> {
    fn new(cases: &'c [Dealt], lane: &'c LaneId, members: Vec<usize>) -> Self {
        let of = |at: &usize| cases.get(*at);
        Self {
            cost: members.iter().filter_map(of).map(cost).fold(0, u64::saturating_add),
            lane,
            first: members.iter().filter_map(of).map(|case| case.id.as_str()).min().unwrap_or_default(),
            cases: members,
        }
    }
}

/// A case that takes no time, or of which nothing is known, still counts.
fn cost(case: &Dealt) -> u64 {
    case.cost_ms.max(1)
}

/// Lanes, files and cases, each as large as a fair share allows; the costliest first.
fn pieces(cases: &[Dealt], fair: u64) -> Vec<Piece<'_>> {
    let mut by_lane: BTreeMap<&LaneId, BTreeMap<Option<&str>, Vec<usize>>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate() {
        by_lane.entry(&case.lane).or_default().entry(case.file.as_deref()).or_default().push(at);
    }
    let limit = fair.saturating_add(fair / 4);
    let mut pieces = Vec::new();
    for (lane, files) in by_lane {
        let whole = Piece::new(cases, lane, files.values().flatten().copied().collect());
        if whole.cost <= limit {
            pieces.push(whole);
            continue;
        }
        for members in files.into_values() {
            let file = Piece::new(cases, lane, members);
            if file.cost <= limit {
                pieces.push(file);
            } else {
                pieces.extend(file.cases.into_iter().map(|at| Piece::new(cases, lane, vec![at])));
            }
        }
    }
    pieces.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| (a.lane, a.first).cmp(&(b.lane, b.first))));
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Dealt, Shard, ShardError, cost, members, split};
    use crate::hint::Hint as _;
    use crate::lane::LaneId;

    fn case(suite: &str, profile: &str, file: &str, id: usize, cost_ms: u64) -> Dealt {
        Dealt {
            lane: LaneId { suite: suite.to_owned(), part: None, profile: Some(profile.to_owned()) },
            file: Some(file.to_owned()),
            id: format!("{file}::test_{id}"),
            cost_ms,
        }
    }

    #[test]
    fn a_shard_is_read_and_written() {
        let shard: Shard = "2/5".parse().unwrap();
        assert_eq!((shard.number(), shard.count(), shard.to_string().as_str()), (2, 5, "2/5"));
        assert_eq!(serde_json::from_str::<Shard>("\"1/1\"").unwrap().count(), 1);
        assert!(serde_json::from_str::<Shard>("\"2/1\"").is_err());
    }

    #[test]
    fn what_is_no_shard_is_told_with_the_way_out() {
        let told = |text: &str| {
            let error: ShardError = text.parse::<Shard>().unwrap_err();
            format!("{error}\nhint: {}", error.hint().unwrap())
        };
        for text in ["a/b", "", "2", "/", "1/2/3", "-1/2", "+1/2", "1/99999999999"] {
            assert!(told(text).contains("is not of the form `NUMBER/COUNT`"), "{text}");
        }
        insta::assert_snapshot!(told("a/b"), @r"
        the shard `a/b` is not of the form `NUMBER/COUNT`
        hint: the second of five machines is `--shard 2/5`
        ");
        insta::assert_snapshot!(told("3/2"), @r"
        the shard `3/2` has the number 3, and there are 1 to 2
        hint: the last is `2/2`
        ");
        insta::assert_snapshot!(told("0/5"), @r"
        the shard `0/5` has the number 0, and there are 1 to 5
        hint: the first is `1/5`
        ");
        insta::assert_snapshot!(told("0/0"), @r"
        the shard `0/0` is one of 0, and there must be 1 to 1000
        hint: the second of five machines is `--shard 2/5`
        ");
    }

    #[test]
    fn lanes_stay_whole_where_they_fit() {
        let cases: Vec<Dealt> = (0..6)
            .map(|at| case("e2e", ["a", "b", "c"][at % 3], &format!("{}.py", at % 2), at, 10))
            .collect();
        let shares = split(&cases, 3);
        assert_eq!(shares, [[0, 3], [1, 4], [2, 5]]);
        assert_eq!(members(&cases, "2/3".parse().unwrap()), [1, 4]);
    }

    #[test]
    fn a_lane_that_is_too_large_is_split_by_file_and_a_file_by_case() {
        let mut cases: Vec<Dealt> = (0..5).map(|at| case("u", "p", "big.py", at, 40)).collect();
        cases.extend((5..7).map(|at| case("u", "p", "small.py", at, 20)));
        cases.extend((7..9).map(|at| case("v", "q", "other.py", at, 20)));
        assert_eq!(split(&cases, 2), [vec![0, 1, 2, 7, 8], vec![3, 4, 5, 6]]);
    }

    #[test]
    fn a_part_of_a_lane_follows_the_others_while_that_is_fair() {
        let mut cases: Vec<Dealt> = (0..6).map(|at| case("u", "p", &format!("{at}.py"), at, 10)).collect();
        cases.extend((6..12).map(|at| case("v", "q", &format!("{at}.py"), at, 10)));
        let shares = split(&cases, 4);
        let lanes = |share: &Vec<usize>| share.iter().filter(|at| **at < 6).count();
        assert!(shares.iter().all(|share| share.len() == 3 && matches!(lanes(share), 0 | 3)), "{shares:?}");
    }

    fn cases() -> impl Strategy<Value = Vec<Dealt>> {
        let one = ("[ab]", "[pqr]", "[xyz]\\.py", 0_u64..2000);
        proptest::collection::vec(one, 0..60).prop_map(|all| {
            let make = |(at, (suite, profile, file, cost))| case(suite, profile, file, at, cost);
            all.iter()
                .enumerate()
                .map(|(at, (suite, profile, file, cost))| {
                    make((at, (suite.as_str(), profile.as_str(), file.as_str(), *cost)))
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_case_is_in_exactly_one_shard(cases in cases(), count in 1_u32..9) {
            let mut all: Vec<usize> = split(&cases, count).into_iter().flatten().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..cases.len()).collect::<Vec<_>>());
        }

        #[test]
        fn the_order_of_the_cases_decides_nothing(cases in cases().prop_shuffle(), count in 1_u32..9) {
            let ids = |cases: &[Dealt]| -> Vec<Vec<String>> {
                let named = |share: Vec<usize>| {
                    let mut names: Vec<String> = share.iter().map(|at| cases[*at].id.clone()).collect();
                    names.sort();
                    names
                };
                split(cases, count).into_iter().map(named).collect()
            };
            let mut sorted = cases.clone();
            sorted.sort();
            prop_assert_eq!(ids(&cases), ids(&sorted));
        }

        #[test]
        fn no_share_is_larger_than_the_mean_and_one_piece(cases in cases(), count in 1_u32..9) {
            let total: u64 = cases.iter().map(cost).sum();
            let fair = total.div_ceil(u64::from(count));
            let largest = cases.iter().map(cost).max().unwrap_or(0).max(fair + fair / 4);
            for share in split(&cases, count) {
                let load: u64 = share.iter().map(|at| cost(&cases[*at])).sum();
                prop_assert!(load <= fair + largest, "{load} of {fair} and {largest}");
            }
        }

        #[test]
        fn many_small_lanes_are_dealt_out_evenly(costs in proptest::collection::vec(50_u64..100, 40..80), count in 1_u32..5) {
            let cases: Vec<Dealt> =
                costs.iter().enumerate().map(|(at, cost)| case("s", &format!("p{at}"), "f.py", at, *cost)).collect();
            let loads: Vec<u64> =
                split(&cases, count).iter().map(|share| share.iter().map(|at| cases[*at].cost_ms).sum()).collect();
            let mean = costs.iter().sum::<u64>() / u64::from(count);
            prop_assert!(loads.iter().all(|load| *load * 10 <= mean * 12), "{loads:?}");
        }
    }
}
