//! The host's programs that building needs: found, or installed where that is allowed, or named with the command.

use std::path::Path;

use testbed_model::image::{ImageName, Layer};
use tokio::sync::Mutex;

use super::error::ImageError;
use super::task::Task;
use super::wheels;
use crate::host::files::Identity;
use crate::host::process::{Program, find};

/// What to do about a program that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingTools {
    /// Name it, with the command that installs it.
    Name,
    /// Install it, where that is possible: as root, on Debian or a system like it.
    Install,
}

/// The programs, as they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// The interpreter whose pip installs wheels; none if no layer needs it.
    pub python: Option<String>,
}

/// A program and the Debian package that brings it.
#[derive(Clone, Copy, Debug)]
struct Tool {
    program: &'static str,
    package: &'static str,
}

const MMDEBSTRAP: Tool = Tool { program: "mmdebstrap", package: "mmdebstrap" };
const PIP: Tool = Tool { program: "pip", package: "python3-pip" };

/// Images are built side by side, and only one installation can be under way on a host.
static INSTALLING: Mutex<()> = Mutex::const_new(());

/// Finds the programs that a layer needs. What is missing is installed or named.
pub async fn provide(layer: &Layer, missing: MissingTools, task: &Task) -> Result<Tools, ImageError> {
    let tool = match look(layer, task).await? {
        Ok(tools) => return Ok(tools),
        Err(tool) => tool,
    };
    let _turn = INSTALLING.lock().await;
    if let Ok(tools) = look(layer, task).await? {
        return Ok(tools);
    }
    install(tool, missing, task).await?;
    look(layer, task).await?.map_err(|tool| not_there(tool, &task.image))
}

/// The programs that a layer needs, or the first that is missing.
async fn look(layer: &Layer, task: &Task) -> Result<Result<Tools, Tool>, ImageError> {
    Ok(match layer {
        Layer::Debian(_) if find(MMDEBSTRAP.program).is_none() => Err(MMDEBSTRAP),
        Layer::Wheels(_) => match wheels::interpreter(&task.cancel).await? {
            Some(python) => Ok(Tools { python: Some(python) }),
            None => Err(PIP),
        },
        Layer::Debian(_) | Layer::Files(_) | Layer::Bytecode(_) => Ok(Tools::default()),
    })
}

async fn install(tool: Tool, missing: MissingTools, task: &Task) -> Result<(), ImageError> {
    let can =
        Identity::own().is_root() && find("apt-get").is_some() && Path::new("/etc/debian_version").exists();
    if missing == MissingTools::Name || !can {
        return Err(not_there(tool, &task.image));
    }
    let apt = |args: &[&str]| {
        Program::new("apt-get")
            .args(args.iter().copied())
            .with("DEBIAN_FRONTEND", "noninteractive")
            .with("LC_ALL", "C")
    };
    let step = format!("installing {}", tool.package);
    task.execute("apt-get update", &step, &apt(&["update", "--quiet"])).await?;
    let wait = "--option=DPkg::Lock::Timeout=120";
    let args = ["install", "--quiet", "--yes", "--no-install-recommends", wait, tool.package];
    task.execute("apt-get install", &step, &apt(&args)).await
}

fn not_there(Tool { program, package }: Tool, image: &ImageName) -> ImageError {
    let sudo = if Identity::own().is_root() { "" } else { "sudo " };
    ImageError::MissingTool {
        program: program.to_owned(),
        image: image.clone(),
        install: format!("{sudo}apt-get update && {sudo}apt-get install --yes {package}"),
    }
}

#[cfg(test)]
mod tests {
    use testbed_model::hint::Hint as _;

    use super::{MMDEBSTRAP, not_there};

    #[test]
    fn a_missing_program_is_named_with_the_command_that_installs_it() {
        let error = not_there(MMDEBSTRAP, &"nats".parse().unwrap());
        assert_eq!(error.to_string(), "`mmdebstrap` is needed to build image `nats`, and is not installed");
        assert!(error.hint().unwrap().contains("apt-get install --yes mmdebstrap"));
    }
}
