//! What a suite is told of its stack: the file that `TESTBED_FACTS` names, and the variables that Dynamo's suites read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use testbed_model::lane::Lane;
use testbed_model::stack::{Probe, Service, Stack};

use super::site::{Assembly, HOME, Site, StackSite};

const NATS_PORT: u16 = 4222;
const ETCD_PORT: u16 = 2379;
const SYSTEM_PORT_VARIABLE: &str = "DYN_SYSTEM_PORT";

/// Tells the lane's tools of their stack.
pub(super) fn tell(assembly: &mut Assembly, lane: &Lane, site: &Site, stack: &StackSite) {
    let facts = format!("{HOME}/testbed/facts.json");
    let control = format!("{HOME}/testbed/control.sock");
    assembly.job.files.insert(facts.clone(), document(lane, site, &stack.stack).to_string());
    assembly.job.control = Some(control.clone());
    assembly.set("TESTBED_FACTS", facts);
    assembly.set("TESTBED_CONTROL", control);
    let endpoints = endpoints(&stack.stack);
    for (variable, endpoint) in [("NATS_SERVER", "nats"), ("ETCD_ENDPOINTS", "etcd")] {
        if let Some(address) = endpoints.get(endpoint) {
            assembly.job.environment.entry(variable.to_owned()).or_insert_with(|| address.clone());
        }
    }
}

/// The document; its keys are documented in the pytest plugin's module `facts`.
fn document(lane: &Lane, site: &Site, stack: &Stack) -> Value {
    let model = match &stack.ready.probe {
        Probe::Chat { model, .. } => model.as_str(),
        Probe::Tcp { .. } | Probe::Http { .. } => "",
    };
    let services = stack.services.values().map(|service| {
        let entry = json!({ "host": service.name, "ports": ports(stack, service) });
        (service.name.clone(), entry)
    });
    json!({
        "run_id": site.run.as_str(),
        "profile": stack.profile,
        "model": model,
        "ready_s": stack.timeouts.ready_ms / 1000,
        "stack_facts": stack.facts,
        "services": services.collect::<Map<_, _>>(),
        "endpoints": endpoints(stack),
        "covered_by": lane.covered_by,
        "covered_later": lane.covered_later,
    })
}

fn ports(stack: &Stack, service: &Service) -> BTreeMap<&'static str, u16> {
    let mut ports = BTreeMap::new();
    if service.name == stack.ready.service {
        ports.insert("http", port(&stack.ready.probe));
    }
    let system = service.environment.get(SYSTEM_PORT_VARIABLE).and_then(|port| port.parse().ok());
    if let Some(system) = system.filter(|port| *port > 0) {
        ports.insert("system", system);
    }
    ports
}

/// Addresses by name. NATS and etcd are known by the names that every Dynamo stack gives them.
fn endpoints(stack: &Stack) -> BTreeMap<String, String> {
    let ready = (&stack.ready.service, port(&stack.ready.probe));
    let mut endpoints = BTreeMap::from([("frontend".to_owned(), format!("http://{}:{}", ready.0, ready.1))]);
    if stack.services.contains_key("nats") {
        endpoints.insert("nats".to_owned(), format!("nats://nats:{NATS_PORT}"));
    }
    if stack.services.contains_key("etcd") {
        endpoints.insert("etcd".to_owned(), format!("http://etcd:{ETCD_PORT}"));
    }
    endpoints
}

const fn port(probe: &Probe) -> u16 {
    match probe {
        Probe::Tcp { port } | Probe::Http { port, .. } | Probe::Chat { port, .. } => *port,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use testbed_model::lane::SuiteKind;

    use super::super::site::tests::{lane, site, stack_site};
    use super::document;

    #[test]
    fn the_facts_name_every_service_and_where_to_reach_it() {
        let mut lane = lane(SuiteKind::Pytest, "e2e", Some("mocker"));
        lane.covered_by = vec![BTreeMap::from([("router".to_owned(), "round-robin".to_owned())])];
        lane.covered_later = vec![BTreeMap::from([("mode".to_owned(), "disagg".to_owned())])];
        insta::assert_json_snapshot!(document(&lane, &site(), &stack_site().stack));
    }
}
