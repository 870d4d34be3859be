//! Arguments of the verbs for a stack by hand: `up`, `shell`, `down`.

use clap::Args;

/// Arguments of `up`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each flag is a yes or no of its own")]
pub struct UpArgs {
    /// Profile
    #[arg(default_value = "mocker")]
    pub profile: String,
    /// Return when the stack is ready, and leave it standing
    #[arg(long)]
    pub detach: bool,
    /// How long a detached stack may stand before `gc` may remove it
    #[arg(long, value_name = "DURATION", default_value = "4h", requires = "detach")]
    pub keep: String,
    /// Tear down as soon as the stack is ready
    #[arg(long, conflicts_with = "detach")]
    pub once: bool,
    /// Print the event stream as JSON lines
    #[arg(long)]
    pub json: bool,
    /// Install missing host packages without asking (Debian, as root)
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `shell`.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// Run or profile: `latest`, an id or its beginning, a profile
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Service [default: frontend]
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// Which of a run's stacks
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Command instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Run id or profile; all detached stacks without one
    pub which: Option<String>,
}
