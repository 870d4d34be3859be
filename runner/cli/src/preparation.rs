//! From files and facts to a plan: everything that is decided before anything is started.

use std::collections::{BTreeMap, BTreeSet};

use testbed_engine::configuration::Texts;
use testbed_engine::host::facts;
use testbed_engine::image::Images;
use testbed_model::catalog::Catalog;
use testbed_model::exit_code::ExitCode;
use testbed_model::facts::Facts;
use testbed_model::hint::Hint;
use testbed_model::lane::Lane;
use testbed_model::plan::{self, Choice, Environment, Explained, Inputs, Plan, PlanError};
use testbed_model::profile::{self, BASE, Resolved};
use testbed_model::project::{self, Project, Vocabulary};
use testbed_model::selection::{CasePattern, Expression, ExpressionError};
use testbed_model::tier::Tier;

use crate::args::ChoiceArgs;
use crate::failure::Failure;
use crate::settings::Settings;

/// The project file's name in messages.
pub const PROJECT_FILE: &str = "testbed.toml";

/// All that plans are made from.
#[derive(Debug)]
pub struct Preparation {
    /// Facts of host and checkout, without the daemon's.
    pub facts: Facts,
    /// The image lock with all that it names.
    pub images: Images,
    /// The environments to choose from.
    pub environments: Vec<Environment>,
    references: BTreeMap<String, String>,
    base: Resolved,
    texts: Texts,
    settings: Settings,
}

/// The project under test has no project file.
#[derive(Debug, thiserror::Error)]
#[error("no `testbed.toml` in `{folder}`")]
struct NoProject {
    folder: String,
}

impl Hint for NoProject {
    fn hint(&self) -> Option<String> {
        Some("name the project's folder by `--project PATH`; README.md shows a small testbed.toml".into())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// An expression on the command line cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("`{flag}`: {error}")]
struct BadExpression {
    flag: &'static str,
    error: ExpressionError,
}

impl Hint for BadExpression {
    fn hint(&self) -> Option<String> {
        self.error.hint()
    }

    fn exit_code(&self) -> ExitCode {
        self.error.exit_code()
    }

    fn rendered(&self) -> Option<String> {
        self.error.rendered()
    }
}

impl Preparation {
    /// Reads files and gathers facts. With `profiles`, only those are read, so that a broken one does not stop another.
    pub async fn read(settings: &Settings, profiles: &[String]) -> Result<Self, Failure> {
        let facts = facts::gather(&settings.project).await;
        let texts = Texts::read(&settings.root, &settings.project)?;
        // A project file that is wrong hides only the project's own images; who asks for the project is told of it.
        let project = texts.project.as_deref().and_then(|text| project::parse(PROJECT_FILE, text).ok());
        let images = images_of(settings, project.as_ref())?;
        let references = images.references();
        let base = profile::resolve(BASE, &texts.profiles, &[])?;
        let names: Vec<String> = if profiles.is_empty() {
            profile::names(&texts.profiles).map(str::to_owned).collect()
        } else {
            profiles.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
        };
        let environments =
            names.iter().map(|name| environment(name, &texts)).collect::<Result<Vec<_>, Failure>>()?;
        Ok(Self { facts, images, environments, references, base, texts, settings: settings.clone() })
    }

    /// The project under test.
    pub fn project(&self) -> Result<Project, Failure> {
        let Some(text) = &self.texts.project else {
            return Err(NoProject { folder: self.settings.project.display().to_string() }.into());
        };
        Ok(project::parse(PROJECT_FILE, text)?)
    }

    /// What is asked of the project: a tier, and what the command line narrows it to.
    pub fn question(&self, tier: Tier, choice: &ChoiceArgs) -> Result<Question<'_>, Failure> {
        let choice = Choice {
            profiles: choice.profiles.clone(),
            suites: choice.suites.clone(),
            markers: expression("-m", choice.markers.as_deref())?,
            keyword: expression("-k", choice.keyword.as_deref())?,
            cases: choice.cases.iter().map(|text| CasePattern::new(text)).collect(),
        };
        let project = self.project()?;
        let (profiles, vocabulary) = (self.profile_names(), Vocabulary::default());
        Ok(Question { preparation: self, tier, project, profiles, choice, vocabulary })
    }

    /// Plans the one stack of `up`.
    pub fn stack(&self, profile: &str) -> Result<testbed_model::stack::Stack, Failure> {
        let profiles = self.profile_names();
        let environment = plan::choose(&self.environments, Some(profile), &profiles, &self.facts)?;
        Ok(plan::plan_stack(environment, &self.references)?)
    }

    fn profile_names(&self) -> BTreeSet<String> {
        profile::names(&self.texts.profiles).map(str::to_owned).collect()
    }
}

/// One question to a project, to be answered with or without knowing its cases.
#[derive(Debug)]
pub struct Question<'p> {
    preparation: &'p Preparation,
    /// The tier.
    pub tier: Tier,
    /// The project under test.
    pub project: Project,
    /// What the command line narrows the tier to.
    pub choice: Choice,
    /// What markers mean in the project.
    pub vocabulary: Vocabulary,
    profiles: BTreeSet<String>,
}

impl Question<'_> {
    /// Facts of host and checkout.
    pub const fn facts(&self) -> &Facts {
        &self.preparation.facts
    }

    /// The image lock with all that it names.
    pub const fn images(&self) -> &Images {
        &self.preparation.images
    }

    /// The suites whose cases have to be known.
    pub fn collectable(&self) -> Result<Vec<Lane>, Failure> {
        Ok(plan::collectable(&self.inputs(&Catalog::default()))?)
    }

    /// The plan for the cases that are known.
    pub fn plan(&self, catalog: &Catalog) -> Result<Plan, Failure> {
        Ok(plan::plan(&self.inputs(catalog))?)
    }

    /// Why a case is in the plan or not.
    pub fn explain(&self, catalog: &Catalog, case: &str) -> Result<Vec<Explained>, Failure> {
        Ok(plan::explain(&self.inputs(catalog), case)?)
    }

    fn inputs<'a>(&'a self, catalog: &'a Catalog) -> Inputs<'a> {
        let preparation = self.preparation;
        Inputs {
            tier: self.tier,
            project: &self.project,
            base: &preparation.base,
            environments: &preparation.environments,
            profiles: &self.profiles,
            images: &preparation.references,
            facts: &preparation.facts,
            choice: &self.choice,
            catalog,
            vocabulary: &self.vocabulary,
        }
    }
}

/// The images of the lock and of the project.
pub fn images_of(settings: &Settings, project: Option<&Project>) -> Result<Images, Failure> {
    let images = Images::open(&settings.root.join("images"), &settings.state.join("cache"))?;
    Ok(match project {
        Some(project) => images.with_project(&settings.project, project)?,
        None => images,
    })
}

/// What a flag asks for; an expression that says nothing asks for nothing, as in pytest.
fn expression(flag: &'static str, text: Option<&str>) -> Result<Option<Expression>, BadExpression> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(Expression::parse).transpose().map_err(|error| BadExpression { flag, error })
}

fn environment(name: &str, texts: &Texts) -> Result<Environment, Failure> {
    let resolved = profile::resolve(name, &texts.profiles, &[])?;
    let text = match &resolved.stack {
        // Without a stack the model says what is wrong.
        None => "",
        Some(stack) => texts.stacks.get(&stack.value).ok_or_else(|| {
            let fault = resolved.fault(&stack.origin, format!("there is no stack `{}`", stack.value));
            PlanError::from(fault.with_nearest(&stack.value, texts.stacks.keys().map(String::as_str)))
        })?,
    };
    Ok(Environment::new(resolved, text)?)
}
