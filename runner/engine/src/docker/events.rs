//! What the daemon says on its own about containers.

use std::collections::HashMap;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use testbed_model::id::label;

use super::Daemon;
use super::error::{self, DaemonError};
use super::spec::ContainerId;

/// What happens to containers, until the daemon goes away.
pub type ContainerEvents = BoxStream<'static, Result<ContainerEvent, DaemonError>>;

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEvent {
    /// Which container.
    pub id: ContainerId,
    /// Its service label.
    pub service: String,
    /// What happened.
    pub action: ContainerAction,
    /// When, by the daemon's clock.
    pub at: Timestamp,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerAction {
    /// Its first process runs.
    Start,
    /// Its first process ended.
    Die {
        /// Exit code.
        code: i64,
    },
    /// The kernel killed a process of it for lack of memory.
    Oom,
    /// The health check's verdict changed.
    Health(Health),
    /// It is gone.
    Destroy,
}

/// What a health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// No verdict yet.
    Starting,
    /// It succeeded.
    Healthy,
    /// It failed as often as allowed.
    Unhealthy,
}

impl Health {
    /// From the daemon's word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "starting" => Some(Self::Starting),
            "healthy" => Some(Self::Healthy),
            "unhealthy" => Some(Self::Unhealthy),
            _ => None,
        }
    }
}

impl Daemon {
    /// What happens to containers that carry all of these labels, also what happened since the given time: so nothing is
    /// missed between asking and the daemon's first answer.
    pub fn events(&self, labels: &[(&str, &str)], since: Timestamp) -> ContainerEvents {
        let labels = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = HashMap::from([("type", vec!["container".to_owned()]), ("label", labels)]);
        let since = format!("{}.{:09}", since.as_second(), since.subsec_nanosecond());
        let options = EventsOptionsBuilder::default().filters(&filters).since(&since).build();
        let messages = self.client.events(Some(options));
        let events = messages.filter_map(|message| {
            std::future::ready(match message {
                Ok(message) => event(message).map(Ok),
                Err(e) => Some(Err(error::doing("report what happens to containers", &e))),
            })
        });
        events.boxed()
    }
}

fn event(message: EventMessage) -> Option<ContainerEvent> {
    let actor = message.actor?;
    let attributes = actor.attributes.unwrap_or_default();
    let action = match message.action?.as_str() {
        "start" => ContainerAction::Start,
        "die" | "died" => {
            // Docker and Podman spell the attribute differently.
            let code = attributes.get("exitCode").or_else(|| attributes.get("containerExitCode"));
            ContainerAction::Die { code: code.and_then(|code| code.parse().ok()).unwrap_or_default() }
        }
        "oom" => ContainerAction::Oom,
        "destroy" | "remove" => ContainerAction::Destroy,
        other => ContainerAction::Health(Health::parse(other.strip_prefix("health_status: ")?)?),
    };
    let at = message.time_nano.and_then(|ns| Timestamp::from_nanosecond(i128::from(ns)).ok());
    Some(ContainerEvent {
        id: ContainerId(actor.id?),
        service: attributes.get(label::SERVICE).cloned().unwrap_or_default(),
        action,
        at: at.unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::{EventActor, EventMessage};

    use super::{ContainerAction, Health, event};

    fn message(action: &str, attributes: &[(&str, &str)]) -> EventMessage {
        let attributes: HashMap<_, _> =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        EventMessage {
            action: Some(action.to_owned()),
            actor: Some(EventActor { id: Some("c1".to_owned()), attributes: Some(attributes) }),
            time_nano: Some(1_795_271_405_000_000_001),
            ..EventMessage::default()
        }
    }

    #[test]
    fn a_death_carries_its_code_and_service() {
        let died = event(message("die", &[("exitCode", "137"), ("dev.testbed.service", "etcd")])).unwrap();
        assert_eq!((died.action, died.service.as_str()), (ContainerAction::Die { code: 137 }, "etcd"));
        assert_eq!(died.at.to_string(), "2026-11-21T14:30:05.000000001Z");
    }

    #[test]
    fn health_verdicts_are_read_and_commands_of_the_check_are_not_mistaken_for_them() {
        let healthy = event(message("health_status: healthy", &[])).unwrap();
        assert_eq!(healthy.action, ContainerAction::Health(Health::Healthy));
        assert_eq!(event(message("exec_start: /bin/check healthy", &[])), None);
    }
}
