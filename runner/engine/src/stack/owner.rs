//! Who made an object in the daemon, as its labels say, and whether that one still lives.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use testbed_model::id::label;

use crate::docker::Labels;
use crate::host::identity::ProcessIdentity;

/// Enough of a boot's id to tell two boots apart.
const BOOT_DIGITS: usize = 12;

/// A runner's process as written into a label: `HOST:PID:START`, where `START` holds the start in clock ticks, the
/// process id namespace and the boot, so that a process id which was given again is not mistaken for its first holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    host: String,
    pid: u32,
    start_ticks: u64,
    namespace: u64,
    boot: String,
}

/// What became of an object's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerFate {
    /// It runs.
    Alive,
    /// It ended, or the host has been booted since.
    Dead,
    /// It belongs to another host or to a container there: nothing can be said from here.
    Elsewhere,
}

/// A label's value that is not an owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an owner (it looks like `HOST:PID:TICKS.NAMESPACE.BOOT`)")]
pub struct OwnerError(String);

impl From<&ProcessIdentity> for Owner {
    fn from(process: &ProcessIdentity) -> Self {
        Self {
            host: process.host.clone(),
            pid: process.pid,
            start_ticks: process.start_ticks,
            namespace: process.namespace,
            boot: process.boot.chars().take(BOOT_DIGITS).collect(),
        }
    }
}

impl Owner {
    /// What became of the owner, seen from a process (`here`) that can look up when another one started.
    pub fn fate(&self, here: &ProcessIdentity, start_ticks: impl Fn(u32) -> Option<u64>) -> OwnerFate {
        if self.host != here.host {
            return OwnerFate::Elsewhere;
        }
        if self.boot != Self::from(here).boot {
            return OwnerFate::Dead;
        }
        if self.namespace != here.namespace {
            return OwnerFate::Elsewhere;
        }
        match start_ticks(self.pid) {
            Some(ticks) if ticks == self.start_ticks => OwnerFate::Alive,
            _ => OwnerFate::Dead,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}.{}.{}", self.host, self.pid, self.start_ticks, self.namespace, self.boot)
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (rest, start) = text.rsplit_once(':')?;
            let (host, pid) = rest.rsplit_once(':')?;
            let mut start = start.splitn(3, '.');
            Some(Self {
                host: host.to_owned(),
                pid: pid.parse().ok()?,
                start_ticks: start.next()?.parse().ok()?,
                namespace: start.next()?.parse().ok()?,
                boot: start.next()?.to_owned(),
            })
        };
        parse().ok_or_else(|| OwnerError(text.to_owned()))
    }
}

/// Whether an object with these labels was left behind: its owner is dead, and nobody asked to keep it until later.
pub fn is_left_behind(
    labels: &Labels,
    here: &ProcessIdentity,
    now: Timestamp,
    start_ticks: impl Fn(u32) -> Option<u64>,
) -> bool {
    let keep_until = labels.get(label::KEEP_UNTIL).and_then(|until| until.parse::<Timestamp>().ok());
    let owner = labels.get(label::OWNER).and_then(|owner| owner.parse::<Owner>().ok());
    owner.is_some_and(|owner| owner.fate(here, start_ticks) == OwnerFate::Dead)
        && keep_until.is_none_or(|until| until <= now)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use testbed_model::id::label;

    use super::{Owner, OwnerFate, is_left_behind};
    use crate::docker::Labels;
    use crate::host::identity::ProcessIdentity;

    fn here() -> ProcessIdentity {
        ProcessIdentity {
            host: "lab".to_owned(),
            boot: "0123456789abcdef0123456789abcdef".to_owned(),
            namespace: 4_026_531_836,
            pid: 17,
            start_ticks: 900,
        }
    }

    fn labels(owner: &Owner, keep_until: Option<&str>) -> Labels {
        let mut labels = Labels::from([(label::OWNER.to_owned(), owner.to_string())]);
        if let Some(until) = keep_until {
            labels.insert(label::KEEP_UNTIL.to_owned(), until.to_owned());
        }
        labels
    }

    #[test]
    fn an_owner_reads_back_from_its_label() {
        let owner = Owner::from(&here());
        assert_eq!(owner.to_string(), "lab:17:900.4026531836.0123456789ab");
        assert_eq!(owner.to_string().parse(), Ok(owner));
        for text in ["", "lab", "lab:17", "lab:17:900", "lab:x:900.1.b", "lab:17:900.b"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_process_id_that_was_given_again_is_not_the_owner() {
        let owner = Owner::from(&here());
        assert_eq!(owner.fate(&here(), |_| Some(900)), OwnerFate::Alive);
        assert_eq!(owner.fate(&here(), |_| Some(901)), OwnerFate::Dead);
        assert_eq!(owner.fate(&here(), |_| None), OwnerFate::Dead);
    }

    #[test]
    fn nothing_is_said_of_owners_on_other_hosts_or_in_containers() {
        let mut other = here();
        other.host = "elsewhere".to_owned();
        assert_eq!(Owner::from(&other).fate(&here(), |_| None), OwnerFate::Elsewhere);
        let mut contained = here();
        contained.namespace += 1;
        assert_eq!(Owner::from(&contained).fate(&here(), |_| None), OwnerFate::Elsewhere);
        contained.boot = "f".repeat(32);
        assert_eq!(
            Owner::from(&contained).fate(&here(), |_| None),
            OwnerFate::Dead,
            "the host was booted since"
        );
    }

    #[test]
    fn what_is_meant_to_stay_stays_until_its_time() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let owner = Owner::from(&here());
        let left = |labels: &Labels, ticks| is_left_behind(labels, &here(), now, |_| ticks);
        assert!(left(&labels(&owner, None), None));
        assert!(!left(&labels(&owner, None), Some(900)), "its owner lives");
        assert!(!left(&labels(&owner, Some("2026-11-21T12:00:01Z")), None), "it is kept");
        assert!(left(&labels(&owner, Some("2026-11-21T12:00:00Z")), None), "its time has come");
        assert!(!left(&Labels::new(), None), "nobody knows whose it is");
    }
}
