//! Which service is at fault, and who waits for it.

use std::collections::{BTreeMap, VecDeque};

use testbed_model::event::{StackFailure, StackFailureCause};
use testbed_model::stack::Probe;

use super::{Bringup, Evidence, Node, Phase};

impl Bringup {
    /// A failure of a service, or of the stack as a whole, with what was heard last and who waits for whom.
    pub(super) fn failure(&self, service: Option<&str>, cause: StackFailureCause) -> StackFailure {
        let node = service.and_then(|service| self.nodes.get(service));
        StackFailure {
            service: service.map(str::to_owned),
            cause,
            last_answer: node.and_then(|node| node.proof.last_answer.clone()),
            log: Vec::new(),
            chain: service.map(|service| self.chain_to(service)).unwrap_or_default(),
        }
    }

    /// The failure when nothing died and the time is over.
    pub(super) fn timed_out(&self) -> StackFailure {
        let after_ms = self.timeout_ms;
        let timed_out = |waiting_for| StackFailureCause::TimedOut { after_ms, waiting_for };
        if let Some((name, node)) = self.awaited() {
            return self.failure(Some(name), timed_out(awaited_words(name, node)));
        }
        if !self.network {
            return self.failure(None, timed_out("the daemon to create the network".to_owned()));
        }
        let asked = match &self.ready_probe {
            Probe::Chat { .. } => format!("a chat completion through `{}`", self.ready_service),
            Probe::Tcp { .. } | Probe::Http { .. } => format!("ready probe of `{}`", self.ready_service),
        };
        let mut failure = self.failure(Some(&self.ready_service), timed_out(asked));
        failure.last_answer.clone_from(&self.ready.last_answer);
        failure
    }

    /// The service that is to be blamed for waiting: one that could have been proven by now. One for which others wait
    /// comes first, and the one through which the stack is asked comes last, since it depends on the others in fact even
    /// where the file does not say so.
    fn awaited(&self) -> Option<(&str, &Node)> {
        let blamable = |node: &Node| {
            let could_start = node.phase == Phase::Created && self.network && !self.is_blocked(node);
            let busy = matches!(node.phase, Phase::Starting | Phase::Running);
            let creating = node.phase == Phase::Creating && self.network;
            !node.proof.given && (could_start || busy || creating)
        };
        let waited_for = |name: &str| {
            let waits = |node: &Node| {
                let unmet = node.depends_on.get(name).is_some_and(|condition| !self.holds(name, *condition));
                node.phase <= Phase::Created && unmet
            };
            self.nodes.values().filter(|node| waits(node)).count()
        };
        let candidates = self.nodes.iter().filter(|(_, node)| blamable(node));
        let best = candidates.min_by_key(|(name, _)| {
            (usize::MAX - waited_for(name), **name == self.ready_service, (*name).clone())
        });
        best.map(|(name, node)| (name.as_str(), node))
    }

    fn is_blocked(&self, node: &Node) -> bool {
        node.depends_on.iter().any(|(dependency, condition)| !self.holds(dependency, *condition))
    }

    /// Who waits for whom, from the service through which the stack is asked (or else from any that depends on the
    /// culprit) down to the culprit, by the shortest way.
    fn chain_to(&self, culprit: &str) -> Vec<String> {
        let mut waiting_of: BTreeMap<&str, Option<&str>> = BTreeMap::from([(culprit, None)]);
        let mut queue = VecDeque::from([culprit]);
        let mut outermost = culprit;
        while let Some(current) = queue.pop_front() {
            let dependents = self.nodes.iter().filter(|(_, node)| node.depends_on.contains_key(current));
            for (name, _) in dependents {
                if !waiting_of.contains_key(name.as_str()) {
                    waiting_of.insert(name, Some(current));
                    queue.push_back(name);
                    outermost = name;
                }
            }
        }
        let start = if waiting_of.contains_key(self.ready_service.as_str()) {
            self.ready_service.as_str()
        } else {
            outermost
        };
        let mut chain = Vec::new();
        let mut current = Some(start);
        while let Some(name) = current {
            chain.push(name.to_owned());
            current = waiting_of.get(name).copied().flatten();
        }
        chain
    }
}

fn awaited_words(name: &str, node: &Node) -> String {
    match (node.phase, &node.evidence) {
        (Phase::Creating, _) => format!("the daemon to create `{name}`"),
        (Phase::Created | Phase::Starting, _) => format!("the daemon to start `{name}`"),
        (_, Evidence::Probe(_)) => format!("probe of `{name}`"),
        (_, Evidence::Health) => format!("health check of `{name}`"),
        (_, Evidence::Completion) => format!("`{name}` to complete"),
        (_, Evidence::Start) => format!("start of `{name}`"),
    }
}
