//! Hardening: what every container gives up, and who may ask for what of it back.
//!
//! A stack may be stricter than the defaults as it likes. What is weaker needs the profile's word: a compose file that
//! asks for it alone is refused, so that nobody weakens a container by copying a line.

use std::collections::BTreeSet;

use crate::compose::{Marked, ServiceDefinition};
use crate::profile::Relaxation;
use crate::span::Fault;

use super::Environment;

/// The user of every container.
const USER: &str = "10001:10001";

/// What holds for one service.
pub(super) struct Hardening {
    pub user: String,
    pub read_only: bool,
    pub no_new_privileges: bool,
    pub cap_add: BTreeSet<String>,
    pub cap_drop: BTreeSet<String>,
}

/// Applies the defaults, the stack's wishes and the profile's relaxations to a service.
pub(super) fn apply(
    environment: &Environment,
    name: &str,
    service: &ServiceDefinition,
) -> Result<Hardening, Fault> {
    let none = Relaxation::default();
    let relaxed = environment.profile.hardening.get(name).unwrap_or(&none);
    let refuse = |asked: &Marked<String>, key: &str, value: &str| {
        let message =
            format!("the service `{name}` asks for `{}`, which the profile does not allow", asked.value);
        let way_out = format!(
            "write `[hardening]` with `{name} = {{ {key} = {value} }}` in envs/{}.toml",
            environment.profile.name
        );
        environment.compose.fault(asked.mark, message).with_hint(way_out)
    };
    let asked = |mark, what: &str| Marked { value: what.to_owned(), mark };

    let user = match (&relaxed.user, &service.user) {
        (Some(user), _) => user.value.clone(),
        (None, Some(user)) if is_root(&user.value) => {
            let wish = asked(user.mark, &format!("user: {}", user.value));
            return Err(refuse(&wish, "user", &format!("{:?}", user.value)));
        }
        (None, Some(user)) => user.value.clone(),
        (None, None) => USER.to_owned(),
    };
    let read_only = match (&relaxed.read_only, &service.read_only) {
        (Some(allowed), _) => allowed.value,
        (None, Some(Marked { value: false, mark })) => {
            return Err(refuse(&asked(*mark, "read_only: false"), "read_only", "false"));
        }
        (None, _) => true,
    };
    let no_new_privileges = match (&relaxed.no_new_privileges, &service.no_new_privileges) {
        (Some(allowed), _) => allowed.value,
        (None, Some(Marked { value: false, mark })) => {
            return Err(refuse(&asked(*mark, "no-new-privileges:false"), "no_new_privileges", "false"));
        }
        (None, _) => true,
    };
    let allowed: BTreeSet<String> =
        relaxed.cap_add.iter().flat_map(|capabilities| capabilities.value.iter().cloned()).collect();
    if let Some(wish) = service.cap_add.iter().find(|wish| !allowed.contains(&wish.value)) {
        return Err(refuse(wish, "cap_add", &format!("[{:?}]", wish.value)));
    }
    Ok(Hardening {
        user,
        read_only,
        no_new_privileges,
        cap_add: allowed,
        cap_drop: ["ALL".to_owned()].into(),
    })
}

/// Whether user or group is root's.
fn is_root(user: &str) -> bool {
    user.split(':').any(|id| id.parse() == Ok(0_u32))
}
