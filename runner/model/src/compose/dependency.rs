//! What services expect of each other: every dependency exists, can be met, and none goes in a circle.

use std::collections::BTreeSet;

use super::{ComposeFile, ServiceDefinition};
use crate::span::Fault;
use crate::stack::Condition;

/// Checks all dependencies of a file.
pub(super) fn check(compose: &ComposeFile) -> Result<(), Fault> {
    for (name, service) in &compose.services {
        check_service(compose, name, service)?;
    }
    check_circles(compose)
}

fn check_service(compose: &ComposeFile, name: &str, service: &ServiceDefinition) -> Result<(), Fault> {
    for (target_name, condition) in &service.depends_on {
        let Some(target) = compose.services.get(target_name) else {
            let message = format!("the service `{name}` depends on `{target_name}`, which does not exist");
            let others = compose.services.keys().filter(|other| *other != name).map(String::as_str);
            return Err(compose.fault(condition.mark, message).with_nearest(target_name, others));
        };
        let can_be_healthy = target.probe.is_some() || target.healthcheck.is_some();
        if condition.value == Condition::ServiceHealthy && !can_be_healthy {
            let message = format!(
                "the service `{name}` waits until `{target_name}` is healthy, but nothing says when that is"
            );
            let hint = format!("give `{target_name}` a probe in `x-testbed`, or a `healthcheck`");
            return Err(compose.fault(condition.mark, message).with_hint(hint));
        }
        // A service that always takes part must not need one that may be left out.
        let may_miss = !target.profiles.is_empty()
            && (service.profiles.is_empty() || !service.profiles.is_subset(&target.profiles));
        if may_miss {
            let message = format!(
                "the service `{name}` depends on `{target_name}`, which takes part in fewer Compose profiles"
            );
            let hint = format!("give `{target_name}` the `profiles` of `{name}` too, or none");
            return Err(compose.fault(condition.mark, message).with_hint(hint));
        }
    }
    Ok(())
}

/// Depth first, in the order of names, without recursion: a chain may be as long as the file.
fn check_circles(compose: &ComposeFile) -> Result<(), Fault> {
    let dependencies = |name: &str| compose.services.get(name).into_iter().flat_map(|s| s.depends_on.iter());
    let mut finished: BTreeSet<&str> = BTreeSet::new();
    for root in compose.services.keys() {
        if finished.contains(root.as_str()) {
            continue;
        }
        let mut on_path: BTreeSet<&str> = BTreeSet::from([root.as_str()]);
        let mut path = vec![(root.as_str(), dependencies(root))];
        while let Some((name, rest)) = path.last_mut() {
            let name = *name;
            match rest.next() {
                None => {
                    path.pop();
                    on_path.remove(name);
                    finished.insert(name);
                }
                Some((target, condition)) if on_path.contains(target.as_str()) => {
                    let steps = path.iter().map(|(step, _)| *step).skip_while(|step| *step != target);
                    let circle: Vec<&str> = steps.chain([target.as_str()]).collect();
                    let message = format!("`depends_on` goes in a circle: `{}`", circle.join("` -> `"));
                    let fault = compose.fault(condition.mark, message);
                    return Err(fault.with_hint("leave one of these dependencies out"));
                }
                Some((target, _)) => {
                    if !finished.contains(target.as_str()) {
                        on_path.insert(target);
                        path.push((target, dependencies(target)));
                    }
                }
            }
        }
    }
    Ok(())
}
