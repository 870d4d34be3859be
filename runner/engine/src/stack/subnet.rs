//! Address ranges: a small one per stack, out of a range of our own, beside everything that the host routes already.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Addresses of one stack: 61 for services and executors, after the network's, the bridge's and the broadcast address.
const STACK_PREFIX: u8 = 26;

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

/// A text that is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of IPv4 addresses (it looks like `10.231.0.0/16`)")]
pub struct SubnetError(String);

impl Subnet {
    /// The range from which stacks take theirs when nothing says otherwise.
    pub const DEFAULT_RANGE: Self = Self { base: 0x0AE7_0000, prefix: 16 };

    const fn mask(prefix: u8) -> u32 {
        if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) }
    }

    const fn last(self) -> u32 {
        self.base | !Self::mask(self.prefix)
    }

    /// Whether two ranges share an address.
    pub const fn overlaps(self, other: Self) -> bool {
        self.base <= other.last() && other.base <= self.last()
    }

    /// The range's address by position: 0 is the network's own, 1 by custom the bridge's.
    pub fn address(self, position: u32) -> Option<Ipv4Addr> {
        let address = self.base.checked_add(position)?;
        (address < self.last()).then(|| Ipv4Addr::from(address))
    }

    /// How many positions there are, the network's own included and the broadcast address left out.
    pub const fn positions(self) -> u32 {
        self.last() - self.base
    }

    /// The ranges for one stack that lie in this one and touch none of `taken`, in an order that depends on `seed` only:
    /// so two runs rarely try the same one first, and one run always tries the same ones.
    pub fn candidates(self, seed: &str, taken: &[Self]) -> Vec<Self> {
        let prefix = STACK_PREFIX.max(self.prefix);
        let count = 1_u32 << (prefix - self.prefix).min(16);
        let size = 1_u32 << (32 - prefix);
        let all = (0..count).map(|index| Self { base: self.base + index * size, prefix });
        let mut free: Vec<Self> =
            all.filter(|candidate| !taken.iter().any(|taken| taken.overlaps(*candidate))).collect();
        free.sort_by_cached_key(|candidate| {
            Sha256::new().chain_update(seed).chain_update(candidate.base.to_be_bytes()).finalize()
        });
        free
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(base, prefix)| {
            let base: u32 = base.parse::<Ipv4Addr>().ok()?.into();
            let prefix: u8 = prefix.parse().ok()?;
            // A smaller one than /28 has no room for a stack, and a base inside of the range is a slip.
            ((1..=28).contains(&prefix) && base & !Self::mask(prefix) == 0).then_some(Self { base, prefix })
        });
        parsed.ok_or_else(|| SubnetError(text.to_owned()))
    }
}

/// The ranges that the host has routes for, from the text of `/proc/net/route`. The default route covers everything
/// and is left out.
pub fn routed(route_table: &str) -> Vec<Subnet> {
    let rows = route_table.lines().skip(1);
    let ranges = rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|text| u32::from_str_radix(text, 16).ok());
        let (base, mask) = (number(1)?.swap_bytes(), number(7)?.swap_bytes());
        let prefix = u8::try_from(mask.leading_ones()).ok()?;
        (prefix > 0).then_some(Subnet { base: base & Subnet::mask(prefix), prefix })
    });
    ranges.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Subnet, routed};

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1\t0040E70A\t00000000\t0001\t0\t0\t0\t00C0FFFF\t0\t0\t0
";

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_range_reads_as_it_is_documented() {
        assert_eq!(Subnet::DEFAULT_RANGE.to_string(), "10.231.0.0/16");
    }

    #[test]
    fn routes_are_read_and_the_default_route_is_left_out() {
        assert_eq!(routed(ROUTES), [subnet("10.231.64.0/18"), subnet("172.17.0.0/16")]);
        assert_eq!(routed(""), []);
        assert_eq!(routed("Iface Destination\nnonsense\n"), []);
    }

    #[test]
    fn what_is_not_a_range_is_refused_with_an_example() {
        for text in ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/30", "10.0.0.0/0", "ten/8"] {
            let error = text.parse::<Subnet>().unwrap_err().to_string();
            assert!(error.contains("10.231.0.0/16"), "{error}");
        }
    }

    #[test]
    fn a_run_tries_its_ranges_in_its_own_order() {
        let range = Subnet::DEFAULT_RANGE;
        let first = range.candidates("run-a", &[]);
        assert_eq!(first.len(), 1024);
        assert_eq!(first, range.candidates("run-a", &[]));
        assert_ne!(first[0], range.candidates("run-b", &[])[0]);
    }

    #[test]
    fn a_range_as_small_as_one_stack_is_used_as_it_is() {
        assert_eq!(subnet("10.9.0.0/28").candidates("x", &[]), [subnet("10.9.0.0/28")]);
        assert!(subnet("10.9.0.0/28").candidates("x", &[subnet("10.0.0.0/8")]).is_empty());
    }

    #[test]
    fn addresses_stop_before_the_broadcast_address() {
        let subnet = subnet("10.9.0.0/28");
        assert_eq!(subnet.address(14).unwrap().to_string(), "10.9.0.14");
        assert_eq!(subnet.address(15), None);
        assert_eq!(subnet.positions(), 15);
    }

    proptest! {
        #[test]
        fn candidates_never_touch_what_is_taken(base in 0_u32..=0xFFFF, prefix in 16_u8..=32, seed in "[a-z]{0,4}") {
            let taken = Subnet { base: (0x0AE7_0000 | base) & Subnet::mask(prefix), prefix };
            for candidate in Subnet::DEFAULT_RANGE.candidates(&seed, &[taken]) {
                prop_assert!(!candidate.overlaps(taken));
                prop_assert!(candidate.overlaps(Subnet::DEFAULT_RANGE));
            }
        }

        #[test]
        fn any_table_is_read_without_panic(text in "\\PC*") {
            let _ = routed(&text);
        }
    }
}
