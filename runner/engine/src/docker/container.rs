//! A container's life: create, start, signal, pause, wait, remove, look.

use std::time::Duration;

use bollard::errors::Error as ClientError;
use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    RestartContainerOptionsBuilder, StatsOptionsBuilder, StopContainerOptionsBuilder, TopOptionsBuilder,
};
use futures_util::{StreamExt, pin_mut};

use super::error::{self, DaemonError};
use super::request;
use super::spec::{ContainerId, ContainerSpec};
use super::{Daemon, Health};
use crate::host::control_group::Usage;

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitInfo {
    /// Exit code of its first process.
    pub code: i64,
    /// Whether the kernel killed a process of it for lack of memory.
    pub oom_killed: bool,
}

/// What a container is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerState {
    /// Whether it runs; a paused one does.
    pub running: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// How it ended, if it was started and does not run.
    pub exit: Option<ExitInfo>,
    /// What the daemon's health check says, if there is one.
    pub health: Option<Health>,
    /// Why the daemon could not start it.
    pub error: Option<String>,
    /// Process id of its first process on the daemon's host, while it runs.
    pub pid: Option<i64>,
}

impl Daemon {
    /// Creates a container. Its network need not exist yet; its image, its volumes and its bind mounts' sources must.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, DaemonError> {
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let response = self.client.create_container(Some(options), request::container(spec)).await;
        let created = response
            .map_err(|e| error::doing(format!("create `{}` from image `{}`", spec.name, spec.image), &e))?;
        Ok(ContainerId(created.id))
    }

    /// Starts a created or ended container. One that runs is left as it is.
    pub async fn start(&self, id: &ContainerId) -> Result<(), DaemonError> {
        let response = self.client.start_container(&id.0, None).await;
        response.map_err(|e| error::doing(format!("start container `{}`", short(id)), &e))
    }

    /// Sends a signal such as `SIGKILL` to the first process. One that does not run is a conflict.
    pub async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), DaemonError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let response = self.client.kill_container(&id.0, Some(options)).await;
        response.map_err(|e| error::doing(format!("send {signal} to container `{}`", short(id)), &e))
    }

    /// Asks the first process to end, and kills it after the grace period; returns when it has ended.
    pub async fn stop(&self, id: &ContainerId, grace_s: u32) -> Result<(), DaemonError> {
        let grace_s = i32::try_from(grace_s).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(grace_s).build();
        let response = self.client.stop_container(&id.0, Some(options)).await;
        response.map_err(|e| error::doing(format!("stop container `{}`", short(id)), &e))
    }

    /// Stops and starts in one request.
    pub async fn restart(&self, id: &ContainerId, grace_s: u32) -> Result<(), DaemonError> {
        let grace_s = i32::try_from(grace_s).unwrap_or(i32::MAX);
        let options = RestartContainerOptionsBuilder::default().t(grace_s).build();
        let response = self.client.restart_container(&id.0, Some(options)).await;
        response.map_err(|e| error::doing(format!("restart container `{}`", short(id)), &e))
    }

    /// Freezes all processes.
    pub async fn pause(&self, id: &ContainerId) -> Result<(), DaemonError> {
        let response = self.client.pause_container(&id.0).await;
        response.map_err(|e| error::doing(format!("pause container `{}`", short(id)), &e))
    }

    /// Lets frozen processes go on.
    pub async fn unpause(&self, id: &ContainerId) -> Result<(), DaemonError> {
        let response = self.client.unpause_container(&id.0).await;
        response.map_err(|e| error::doing(format!("unpause container `{}`", short(id)), &e))
    }

    /// Kills and removes a container and its anonymous volumes. One that is gone already is not an error.
    pub async fn remove(&self, id: &ContainerId) -> Result<(), DaemonError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.client.remove_container(&id.0, Some(options)).await {
            Err(ClientError::DockerResponseServerError { status_code: 404, .. }) | Ok(()) => Ok(()),
            Err(e) => Err(error::doing(format!("remove container `{}`", short(id)), &e)),
        }
    }

    /// Waits until a container, once started, does not run any more.
    pub async fn wait(&self, id: &ContainerId) -> Result<ExitInfo, DaemonError> {
        let doing = || format!("wait for container `{}`", short(id));
        let code = {
            let answers = self.client.wait_container(&id.0, None);
            pin_mut!(answers);
            match answers.next().await {
                Some(Ok(answer)) => answer.status_code,
                Some(Err(ClientError::DockerContainerWaitError { code, .. })) => code,
                Some(Err(e)) => return Err(error::doing(doing(), &e)),
                None => {
                    let message = "the answer ended early".to_owned();
                    return Err(DaemonError::Lost { doing: doing(), message });
                }
            }
        };
        let oom_killed = match self.state(id).await {
            Ok(state) => state.exit.is_some_and(|exit| exit.oom_killed),
            Err(e) if e.is_not_found() => false,
            Err(e) => return Err(e),
        };
        Ok(ExitInfo { code, oom_killed })
    }

    /// What a container uses at this moment, from its control group; none where it does not run.
    pub async fn usage(&self, id: &ContainerId) -> Result<Option<Usage>, DaemonError> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let answers = self.client.stats(&id.0, Some(options));
        pin_mut!(answers);
        let Some(answer) = answers.next().await else { return Ok(None) };
        let answer = answer.map_err(|e| error::doing(format!("measure container `{}`", short(id)), &e))?;
        let cpu = answer.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).filter(|spent| *spent > 0);
        let memory = answer.memory_stats.unwrap_or_default();
        let (Some(cpu), Some(used)) = (cpu, memory.usage) else { return Ok(None) };
        // The names of control groups of version 2, and of version 1.
        let kinds = memory.stats.unwrap_or_default();
        let cache = kinds.get("inactive_file").or_else(|| kinds.get("total_inactive_file"));
        let memory_bytes = used.saturating_sub(cache.copied().unwrap_or(0));
        Ok(Some(Usage { cpu: Duration::from_nanos(cpu), memory_bytes }))
    }

    /// The state of a process of a running container, as `ps` of the daemon's host names it: `Ssl`, `T`; none where the
    /// container has no such process.
    pub async fn process_state(&self, id: &ContainerId, pid: i64) -> Result<Option<String>, DaemonError> {
        let options = TopOptionsBuilder::default().ps_args("-o pid,stat").build();
        let response = self.client.top_processes(&id.0, Some(options)).await;
        let answer = response
            .map_err(|e| error::doing(format!("list the processes of container `{}`", short(id)), &e))?;
        let titles = answer.titles.unwrap_or_default();
        let column = |name: &str| titles.iter().position(|title| title.eq_ignore_ascii_case(name));
        let (Some(pids), Some(states)) = (column("PID"), column("STAT")) else { return Ok(None) };
        let rows = answer.processes.unwrap_or_default();
        let row = rows.iter().find(|row| row.get(pids).is_some_and(|text| *text == pid.to_string()));
        Ok(row.and_then(|row| row.get(states).cloned()))
    }

    /// What a container is at this moment.
    pub async fn state(&self, id: &ContainerId) -> Result<ContainerState, DaemonError> {
        let doing = || format!("inspect container `{}`", short(id));
        let response = self.client.inspect_container(&id.0, None).await;
        let state = response.map_err(|e| error::doing(doing(), &e))?.state.unwrap_or_default();
        let running = state.running.unwrap_or(false);
        let ended =
            matches!(state.status, Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD));
        Ok(ContainerState {
            running,
            paused: state.paused.unwrap_or(false),
            exit: ended.then(|| ExitInfo {
                code: state.exit_code.unwrap_or_default(),
                oom_killed: state.oom_killed.unwrap_or(false),
            }),
            health: state
                .health
                .and_then(|health| health.status)
                .and_then(|status| Health::parse(status.as_ref())),
            error: state.error.filter(|error| !error.is_empty()),
            pid: state.pid.filter(|pid| *pid > 0),
        })
    }
}

/// Enough of an id for a message.
pub(super) fn short(id: &ContainerId) -> &str {
    id.0.get(..12).unwrap_or(&id.0)
}
