//! Why a stack did not come up, or did not go down.

use testbed_model::demand::Unmet;
use testbed_model::event::{StackFailure, StackFailureCause};
use testbed_model::exit_code::ExitCode;
use testbed_model::grant::Ungranted;
use testbed_model::hint::Hint;

use super::subnet::Subnet;
use crate::docker::DaemonError;

/// An error of a stack's life. When a bring-up returns one, nothing of the stack is left, unless it says so.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StackError {
    /// A service or the daemon failed, or the time ran out.
    #[error("stack `{stack}` did not come up: {}", failure_words(failure))]
    Failed {
        /// Profile.
        stack: String,
        /// All that is known.
        failure: Box<StackFailure>,
        /// The way out, where the daemon's own error has one.
        way_out: Option<String>,
    },
    /// It was interrupted.
    #[error("the bring-up of stack `{stack}` was interrupted")]
    Cancelled {
        /// Profile.
        stack: String,
    },
    /// No address range is free.
    #[error("no address range is free for stack `{stack}` in {range}")]
    NoSubnet {
        /// Profile.
        stack: String,
        /// Where one was looked for.
        range: Subnet,
    },
    /// More services than addresses.
    #[error("stack `{stack}` has {services} services, more than the address range {subnet} has room for")]
    TooLarge {
        /// Profile.
        stack: String,
        /// How many.
        services: usize,
        /// The range.
        subnet: Subnet,
    },
    /// There is no such service.
    #[error("stack `{stack}` has no service `{service}`")]
    UnknownService {
        /// Profile.
        stack: String,
        /// What was asked for.
        service: String,
    },
    /// The teardown did not get rid of everything.
    #[error("of {of} these are left: {}: {message}", quoted(left))]
    Left {
        /// What was to be removed: ``stack `mocker` ``, `dead runs`.
        of: String,
        /// Names of containers, networks and volumes.
        left: Vec<String>,
        /// The daemon's words.
        message: String,
    },
    /// Its services do not get the GPUs that they reserve.
    #[error("stack `{stack}` does not get its GPUs: {why}")]
    Gpus {
        /// Profile.
        stack: String,
        /// Why.
        why: Box<Ungranted>,
    },
    /// An image demands another driver, or other GPUs, than its service would have.
    #[error("`{service}` of stack `{stack}` is not started: its image `{image}` wants {unmet}")]
    Demand {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
        /// Its image, as the daemon knows it.
        image: String,
        /// What it wants, and what is here.
        unmet: Box<Unmet>,
    },
    /// The host does not say who this process is.
    #[error("the host does not say which process this is: {message}")]
    Host {
        /// The system's words.
        message: String,
    },
    /// The daemon failed at something that concerns no single service.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
}

impl Hint for StackError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { way_out: Some(way_out), .. } => Some(way_out.clone()),
            Self::Failed { failure, .. } => failure.way_out(),
            Self::NoSubnet { .. } | Self::TooLarge { .. } => Some(
                "`testbed gc` removes the networks of dead runs; a larger or another range can be set"
                    .to_owned(),
            ),
            Self::Left { .. } => Some("`testbed gc` removes what dead runs left behind".to_owned()),
            Self::UnknownService { .. } | Self::Cancelled { .. } | Self::Host { .. } => None,
            Self::Gpus { why, .. } => why.hint(),
            Self::Demand { .. } => Some(
                "install a driver that serves it and start the host again; whoever knows that it runs with this one sets \
                 `NVIDIA_DISABLE_REQUIRE: \"1\"` in the service's environment"
                    .to_owned(),
            ),
            Self::Daemon(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Cancelled { .. } => ExitCode::Interrupted,
            _ => ExitCode::Environment,
        }
    }
}

/// What happened, in a sentence.
fn failure_words(failure: &StackFailure) -> String {
    let service =
        failure.service.as_deref().map_or_else(|| "it".to_owned(), |service| format!("`{service}`"));
    match &failure.cause {
        StackFailureCause::Exited { oom_killed: true, exit_code } => {
            format!("{service} was killed for lack of memory, code {exit_code}")
        }
        StackFailureCause::Exited { exit_code, .. } => format!("{service} ended with code {exit_code}"),
        StackFailureCause::TimedOut { after_ms, waiting_for } => {
            let heard = failure.last_answer.as_deref().map(|answer| format!(", which last said `{answer}`"));
            let seconds = std::time::Duration::from_millis(*after_ms);
            format!("after {seconds:?} it still waited for {waiting_for}{}", heard.unwrap_or_default())
        }
        StackFailureCause::Unhealthy => format!("the health check of {service} gave up"),
        StackFailureCause::Daemon { message } => message.clone(),
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use testbed_model::event::{StackFailure, StackFailureCause};
    use testbed_model::exit_code::ExitCode;
    use testbed_model::hint::Hint;

    use super::StackError;

    fn failed(cause: StackFailureCause, last_answer: Option<&str>) -> StackError {
        let failure = StackFailure {
            service: Some("etcd".to_owned()),
            cause,
            last_answer: last_answer.map(str::to_owned),
            log: Vec::new(),
            chain: vec!["etcd".to_owned()],
        };
        StackError::Failed { stack: "mocker".to_owned(), failure: Box::new(failure), way_out: None }
    }

    #[test]
    fn a_failure_names_the_service_what_happened_and_the_way_out() {
        let exited = failed(StackFailureCause::Exited { exit_code: 2, oom_killed: false }, None);
        assert_eq!(exited.to_string(), "stack `mocker` did not come up: `etcd` ended with code 2");
        let hungry = failed(StackFailureCause::Exited { exit_code: 137, oom_killed: true }, None);
        assert!(hungry.hint().unwrap().contains("memory limit of `etcd`"));
        let waiting_for = "probe of `etcd`".to_owned();
        let late = failed(StackFailureCause::TimedOut { after_ms: 90_500, waiting_for }, Some("503"));
        assert_eq!(
            late.to_string(),
            "stack `mocker` did not come up: after 90.5s it still waited for probe of `etcd`, which last said `503`"
        );
        assert!(late.hint().unwrap().contains("timeouts"));
    }

    #[test]
    fn an_interruption_is_not_a_failure_of_the_environment() {
        let cancelled = StackError::Cancelled { stack: "mocker".to_owned() };
        assert_eq!(cancelled.exit_code(), ExitCode::Interrupted);
        let failed = failed(StackFailureCause::Unhealthy, None);
        assert_eq!(failed.exit_code(), ExitCode::Environment);
    }
}
