//! From files and facts to a plan: everything that is decided before anything is started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::civil::Date;
use testbed_engine::configuration::{self, Texts};
use testbed_engine::docker::Daemon;
use testbed_engine::durations;
use testbed_engine::host::{changes, clock, environment as surroundings, facts};
use testbed_engine::image::Images;
use testbed_engine::models::Library;
use testbed_model::budget::Durations;
use testbed_model::catalog::Catalog;
use testbed_model::changes::{ChangedFile, Changes, Crates, Filters, Impact, Reading, Subject, impact};
use testbed_model::exit_code::ExitCode;
use testbed_model::facts::{DaemonFacts, Facts};
use testbed_model::hint::Hint;
use testbed_model::inventory::Inventory;
use testbed_model::lane::{Lane, SuiteKind};
use testbed_model::plan::{self, Choice, Environment, Explained, Inputs, Plan};
use testbed_model::profile::{self, BASE, Resolved};
use testbed_model::project::detect::detect;
use testbed_model::project::{self, Budgets, Project, Vocabulary};
use testbed_model::selection::{CasePattern, Expression, ExpressionError, Mark, complete};
use testbed_model::tier::Tier;

use crate::args::ChoiceArgs;
use crate::budgeting::Forecast;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::simulation;

/// Names a file of other ways to have images, such as the flake's image manifest.
const IMAGE_MANIFEST: &str = "TESTBED_IMAGE_MANIFEST";

/// The project file's name in messages.
pub const PROJECT_FILE: &str = "testbed.toml";

/// All that plans are made from.
#[derive(Debug)]
pub struct Preparation {
    /// Facts of host and checkout, with the daemon's where there are GPUs: whether they get into containers is the daemon's to say.
    pub facts: Facts,
    /// The image lock with all that it names.
    pub images: Images,
    /// The models that there are, and where they are.
    pub library: Library,
    /// The environments to choose from.
    pub environments: Vec<Environment>,
    inventory: Option<Inventory>,
    references: BTreeMap<String, String>,
    base: Resolved,
    texts: Texts,
    settings: Settings,
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
        let inventory = simulation::inventory(settings)?;
        // What asks so many is large.
        let facts = Box::pin(facts_of(settings, inventory.as_ref())).await;
        let texts = Texts::read(&settings.root, &settings.project)?;
        // A project file that is wrong hides only the project's own images; who asks for the project is told of it.
        let project = texts.project.as_deref().and_then(|text| project::parse(PROJECT_FILE, text).ok());
        let images = images_of(settings, project.as_ref())?;
        let references = images.references();
        let library = Library::open(&settings.root, &settings.state.join("cache"))?;
        let base = profile::resolve(BASE, &texts.profiles, &[])?;
        let names = if profiles.is_empty() {
            profile::names(&texts.profiles).into_iter().collect()
        } else {
            expanded(profiles, &texts)?
        };
        let environments =
            names.iter().map(|name| environment(name, &texts)).collect::<Result<Vec<_>, Failure>>()?;
        let settings = settings.clone();
        Ok(Self { facts, images, library, environments, inventory, references, base, texts, settings })
    }

    /// Takes in environments that names on a command line stand for, combinations with overlays too, and says which they are.
    pub fn include(&mut self, names: &[String]) -> Result<BTreeSet<String>, Failure> {
        let names = expanded(names, &self.texts)?;
        for name in &names {
            if !self.environments.iter().any(|known| known.profile.name == *name) {
                self.environments.push(environment(name, &self.texts)?);
            }
        }
        Ok(names)
    }

    /// Takes in what the container engine says of itself.
    pub fn meet(&mut self, daemon: DaemonFacts) {
        self.facts.daemon = Some(daemon);
        self.simulate();
    }

    /// Whether the container engine is another one than the one here.
    pub fn has_other_engine(&self) -> bool {
        self.inventory.as_ref().is_some_and(Inventory::has_engine)
    }

    fn simulate(&mut self) {
        if let Some(inventory) = &self.inventory {
            inventory.apply(&mut self.facts);
        }
    }

    /// The project under test: what its file says, or what can be told from its layout.
    pub async fn project(&self) -> Result<Project, Failure> {
        match &self.texts.project {
            Some(text) => Ok(project::parse(PROJECT_FILE, text)?),
            None => Ok(detect(&configuration::layout(&self.settings.project).await?)?),
        }
    }

    /// What is asked of the project: a tier, and what the command line narrows it to.
    pub async fn question(&self, tier: Tier, choice: &ChoiceArgs) -> Result<Question<'_>, Failure> {
        let arguments = choice;
        let choice = Choice {
            profiles: expanded(&choice.profiles, &self.texts)?.into_iter().collect(),
            suites: choice.suites.clone(),
            markers: expression("-m", choice.markers.as_deref())?,
            keyword: expression("-k", choice.keyword.as_deref())?,
            cases: choice.cases.iter().map(|text| CasePattern::new(text)).collect(),
            lanes: choice.lanes.clone(),
            shard: choice.shard,
        };
        let project = self.project().await?;
        let changes = match (&arguments.since, arguments.changed.as_slice()) {
            (Some(revision), _) => Some(changes::since(&self.settings.project, revision).await?),
            (None, []) => None,
            (None, files) => Some(changes::named(&self.settings.project, files)),
        };
        let changes = match changes {
            Some(files) => Some(self.changes(&project, files).await?),
            None => None,
        };
        Ok(Question {
            preparation: self,
            tier,
            project,
            profiles: self.profile_names(),
            choice,
            today: clock::today(),
            durations: durations::read(&self.settings.state),
            changes,
        })
    }

    /// What is known of changed files: what the project's filters and crates say of them.
    async fn changes(&self, project: &Project, files: Vec<ChangedFile>) -> Result<ChangesKnown, Failure> {
        let filters = match &project.changes.filters {
            None => None,
            Some(file) => configuration::optional(&self.settings.project, file)?
                .map(|text| Filters::parse(file, &text, Reading::default()))
                .transpose()?,
        };
        let cargo = project.suites.iter().filter(|suite| suite.kind == SuiteKind::Cargo);
        let workspaces: BTreeSet<String> = cargo.flat_map(|suite| suite.paths.iter().cloned()).collect();
        let workspaces: Vec<String> = workspaces.into_iter().collect();
        let crates = changes::crates(&self.settings.project, &workspaces).await?;
        Ok(ChangesKnown { files, filters, crates })
    }

    /// Plans the one stack of `up`.
    pub fn stack(&self, profile: &str) -> Result<testbed_model::stack::Stack, Failure> {
        let profiles = self.profile_names();
        let environment = plan::choose(&self.environments, Some(profile), &profiles, &self.facts)?;
        Ok(plan::plan_stack(environment, &self.references, self.library.models())?)
    }

    fn profile_names(&self) -> BTreeSet<String> {
        profile::names(&self.texts.profiles).into_iter().collect()
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
    /// How long cases took in earlier runs.
    pub durations: Durations,
    /// The day.
    pub today: Date,
    changes: Option<ChangesKnown>,
    profiles: BTreeSet<String>,
}

/// What changed, with all that says what it concerns.
#[derive(Debug)]
struct ChangesKnown {
    files: Vec<ChangedFile>,
    filters: Option<Filters>,
    crates: Crates,
}

/// A plan, and what its maker wants to have said of it.
#[derive(Debug)]
pub struct Decided {
    /// The plan.
    pub plan: Plan,
    /// What a person should know: that everything runs although only a change was asked about, that it will take too long.
    pub remarks: Vec<String>,
    /// How long it will take.
    pub forecast: Forecast,
    /// How long it may take.
    pub budgets: Budgets,
}

impl Decided {
    /// A plan by itself, of which nothing is predicted and nothing is demanded.
    pub fn bare(plan: Plan) -> Self {
        let forecast = Forecast::of(&plan, &Budgets::default(), &Durations::default(), 1);
        Self { plan, remarks: Vec::new(), forecast, budgets: Budgets::default() }
    }
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

    /// The models that there are, and where they are.
    pub const fn library(&self) -> &Library {
        &self.preparation.library
    }

    /// What markers mean in the project.
    pub const fn vocabulary(&self) -> &Vocabulary {
        &self.project.vocabulary
    }

    /// The suites whose cases have to be known.
    pub fn collectable(&self) -> Result<Vec<Lane>, Failure> {
        Ok(plan::collectable(&self.inputs(&Catalog::default(), None))?)
    }

    /// The plan for the cases that are known.
    pub fn plan(&self, catalog: &Catalog) -> Result<Decided, Failure> {
        let impact = self.impact(catalog)?;
        let plan = plan::plan(&self.inputs(catalog, impact.as_ref()))?;
        let mut remarks = Vec::from_iter(simulation::remark(self.facts()));
        if let Some(signs) = &self.project.detected {
            remarks.push(format!("there is no `testbed.toml`; the suites are told from {signs}"));
        }
        if let Some(Impact::Everything { why }) = &impact {
            remarks.push(format!("the whole tier runs, not only what the changes concern: {why}"));
        }
        let budgets = self.project.budgets.clone();
        let forecast = Forecast::of(&plan, &budgets, &self.durations, self.facts().cores);
        remarks.extend(forecast.warning());
        Ok(Decided { plan, remarks, forecast, budgets })
    }

    /// Why a case is in the plan or not.
    pub fn explain(&self, catalog: &Catalog, case: &str) -> Result<Vec<Explained>, Failure> {
        let impact = self.impact(catalog)?;
        Ok(plan::explain(&self.inputs(catalog, impact.as_ref()), case)?)
    }

    /// What the changes concern, where only that is asked for.
    fn impact(&self, catalog: &Catalog) -> Result<Option<Impact>, Failure> {
        let Some(changes) = &self.changes else { return Ok(None) };
        let mut completed = Vec::new();
        for suite in &self.project.suites {
            let Some(known) = catalog.suites.get(&suite.name) else { continue };
            let marks: Vec<Vec<Mark>> =
                known.marks.iter().map(|written| complete(written, self.vocabulary())).collect();
            completed.push((suite, known, marks));
        }
        let subjects: Vec<Subject<'_>> = completed
            .iter()
            .map(|(suite, catalog, marks)| Subject { name: &suite.name, kind: suite.kind, catalog, marks })
            .collect();
        let impact = impact(&Changes {
            rules: &self.project.changes,
            filters: changes.filters.as_ref(),
            crates: &changes.crates,
            suites: &subjects,
            files: &changes.files,
        })?;
        Ok(Some(impact))
    }

    fn inputs<'a>(&'a self, catalog: &'a Catalog, impact: Option<&'a Impact>) -> Inputs<'a> {
        let preparation = self.preparation;
        Inputs {
            tier: self.tier,
            project: &self.project,
            base: &preparation.base,
            environments: &preparation.environments,
            profiles: &self.profiles,
            images: &preparation.references,
            models: preparation.library.models(),
            facts: &preparation.facts,
            choice: &self.choice,
            catalog,
            vocabulary: self.vocabulary(),
            today: self.today,
            impact,
            durations: &self.durations,
        }
    }
}

/// What is true of this host, or of the one that stands in for it.
async fn facts_of(settings: &Settings, inventory: Option<&Inventory>) -> Facts {
    let mut facts = facts::gather(&settings.project, &settings.state).await;
    let simulate = |facts: &mut Facts| inventory.iter().for_each(|inventory| inventory.apply(facts));
    simulate(&mut facts);
    if facts.gpus > 0 && facts.daemon.is_none() {
        // Whoever needs the engine will say what is wrong with it.
        if let Ok(daemon) = Daemon::connect().await {
            facts.daemon = daemon.facts().await.ok();
        }
        simulate(&mut facts);
    }
    facts
}

/// The images of the lock and of the project.
pub fn images_of(settings: &Settings, project: Option<&Project>) -> Result<Images, Failure> {
    let mut images = Images::open(&settings.root.join("images"), &settings.state.join("cache"))?;
    if let Some(manifest) = surroundings::variable(IMAGE_MANIFEST) {
        images = images.with_manifest(Path::new(&manifest))?;
    }
    Ok(match project {
        Some(project) => images.with_project(&settings.project, project)?,
        None => images,
    })
}

/// The profiles that names on the command line stand for: a matrix stands for all of its combinations.
fn expanded(names: &[String], texts: &Texts) -> Result<BTreeSet<String>, Failure> {
    let expanded = names.iter().map(|name| profile::expand(name, &texts.profiles));
    Ok(expanded.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What a flag asks for; an expression that says nothing asks for nothing, as in pytest.
fn expression(flag: &'static str, text: Option<&str>) -> Result<Option<Expression>, BadExpression> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(Expression::parse).transpose().map_err(|error| BadExpression { flag, error })
}

fn environment(name: &str, texts: &Texts) -> Result<Environment, Failure> {
    let resolved = profile::resolve(name, &texts.profiles, &[])?;
    Ok(Environment::new(resolved, &texts.stacks)?)
}
