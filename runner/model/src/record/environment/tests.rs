//! What is part of an environment, and what is not.

use std::collections::BTreeMap;

use super::{RecordedEnvironment, Surroundings, environments, mounted};
use crate::facts::Facts;
use crate::lane::Cases;
use crate::plan::Plan;
use crate::plan::tests::premerge;
use crate::record::RecordedImage;
use crate::stack::Mount;

/// What decides besides a plan; tests change what they are about.
struct World {
    plan: Plan,
    images: BTreeMap<String, RecordedImage>,
    files: BTreeMap<String, String>,
    facts: Facts,
}

impl World {
    fn new() -> Self {
        let plan = premerge();
        let image = |(name, reference): (&String, &String)| {
            let image = RecordedImage { reference: reference.clone(), id: format!("sha256:{name}") };
            (name.clone(), image)
        };
        let facts = Facts {
            architecture: "x86_64".to_owned(),
            kernel: "6.18.35+deb13-amd64".to_owned(),
            cores: 2,
            ..Facts::default()
        };
        let files = mounted(&plan).into_iter().map(|source| (source, "0123".to_owned())).collect();
        Self { images: plan.images.iter().map(image).collect(), plan, files, facts }
    }

    fn all(&self) -> Vec<RecordedEnvironment> {
        let (images, files, facts) = (&self.images, &self.files, &self.facts);
        environments(&self.plan, Surroundings { images, files, facts, testbed: "0.1.0", seed: 0 })
    }

    fn of(&self, lane: &str) -> RecordedEnvironment {
        let has =
            |environment: &RecordedEnvironment| environment.lanes.iter().any(|its| its.to_string() == lane);
        self.all().into_iter().find(has).unwrap()
    }

    /// The parts of a lane's environment that a change of the world changes.
    fn changed(&self, lane: &str, change: impl FnOnce(&mut Self)) -> Vec<String> {
        let mut other = Self { plan: self.plan.clone(), ..Self::new() };
        change(&mut other);
        let (before, after) = (self.of(lane), other.of(lane));
        let names: Vec<String> = before
            .parts
            .keys()
            .chain(after.parts.keys().filter(|name| !before.parts.contains_key(*name)))
            .filter(|name| before.parts.get(*name) != after.parts.get(*name))
            .cloned()
            .collect();
        assert_eq!(names.is_empty(), before.id == after.id);
        names
    }
}

#[test]
fn an_environment_names_its_parts() {
    let parts = World::new().of("e2e@mocker").parts;
    let names: Vec<&str> = parts.keys().map(String::as_str).collect();
    insta::assert_snapshot!(names.join("\n"));
    assert_eq!(parts["kernel"], "6.18");
    assert_eq!(parts["image dynamo"], "sha256:dynamo");
}

#[test]
fn every_lane_has_exactly_one_environment_and_lanes_without_a_stack_share_one() {
    let world = World::new();
    let all = world.all();
    let mut lanes: Vec<String> =
        all.iter().flat_map(|environment| &environment.lanes).map(ToString::to_string).collect();
    let mut planned: Vec<String> = world.plan.lanes.iter().map(|lane| lane.id.to_string()).collect();
    lanes.sort();
    planned.sort();
    assert_eq!(lanes, planned);
    assert_ne!(world.of("e2e@mocker").id, world.of("e2e@mocker-file").id);
}

#[test]
fn what_decides_a_result_changes_the_id_and_is_named() {
    let world = World::new();
    let changed = |change: fn(&mut World)| world.changed("e2e@mocker", change);
    assert_eq!(changed(|world| world.facts.kernel = "6.19.0".to_owned()), ["kernel"]);
    assert_eq!(changed(|world| world.images.get_mut("nats").unwrap().id.push('x')), ["image nats"]);
    assert_eq!(changed(|world| world.plan.models.get_mut("tiny").unwrap().0.push('9')), ["model tiny"]);
    assert_eq!(changed(|world| world.plan.stacks[0].timeouts.ready_ms += 1), ["stack"]);
    assert_eq!(
        changed(|world| {
            let frontend = world.plan.stacks[0].services.get_mut("frontend").unwrap();
            frontend.environment.insert("DYN_LOG".to_owned(), "debug".to_owned());
        }),
        ["service frontend"]
    );
    assert_eq!(changed(|world| world.plan.lanes.iter_mut().for_each(|lane| lane.workers += 1)), ["tool"]);
}

#[test]
fn what_a_bind_mount_holds_is_part_of_the_environment() {
    let mut world = World::new();
    let mount =
        Mount::Bind { source: "compose/nats.conf".into(), target: "/nats.conf".into(), read_only: true };
    world.plan.stacks[0].services.get_mut("frontend").unwrap().mounts.push(mount);
    world.files.insert("compose/nats.conf".to_owned(), "0123".to_owned());
    assert_eq!(world.of("e2e@mocker").parts["files compose/nats.conf"], "0123");
    let before = world.of("e2e@mocker").id;
    world.files.insert("compose/nats.conf".to_owned(), "4567".to_owned());
    assert_ne!(world.of("e2e@mocker").id, before);
}

#[test]
fn what_decides_no_result_leaves_the_id() {
    let world = World::new();
    let changed = |change: fn(&mut World)| world.changed("e2e@mocker", change);
    let none: [&str; 0] = [];
    assert_eq!(changed(|world| world.facts.kernel = "6.18.1-other".to_owned()), none);
    assert_eq!(changed(|world| world.facts.cores = 64), none);
    assert_eq!(
        changed(|world| {
            for lane in &mut world.plan.lanes {
                lane.cases = Some(Cases { ids: vec!["a".to_owned()], ..Cases::default() });
            }
        }),
        none
    );
}

#[test]
fn before_an_image_is_known_its_reference_stands_for_it() {
    let world = World { images: BTreeMap::new(), ..World::new() };
    assert_eq!(world.of("e2e@mocker").parts["image dynamo"], "testbed/dynamo:0123456789ab");
}

#[test]
fn the_flake_that_a_runner_comes_from_is_part_of_its_environment() {
    let from_flake = |world: &mut World| {
        let (revision, lock) = ("abc".to_owned(), "sha256:0123".to_owned());
        world.facts.flake = Some(crate::facts::FlakeFacts { revision, lock });
    };
    assert_eq!(World::new().changed("e2e@mocker", from_flake), ["flake lock", "flake revision"]);
}

#[test]
fn gpus_and_their_driver_belong_to_lanes_whose_stack_has_some() {
    let accelerated = |world: &mut World, driver: &str| {
        let mut accelerators = crate::gpu::tests::host(vec![crate::gpu::tests::gpu(0, "NVIDIA H200", 141)]);
        driver.clone_into(&mut accelerators.driver);
        world.facts.accelerators = Some(accelerators);
    };
    let world = World::new();
    assert_eq!(world.changed("e2e@mocker", |world| accelerated(world, "580.65.06")), Vec::<String>::new());
    let mut with_gpus = World::new();
    with_gpus.plan.stacks[0].gpu_need = Some(crate::stack::GpuNeed::default());
    accelerated(&mut with_gpus, "580.65.06");
    let stack = with_gpus.plan.stacks[0].profile.clone();
    let parts = with_gpus.of(&format!("e2e@{stack}")).parts;
    assert_eq!((parts["driver"].as_str(), parts["gpu"].as_str()), ("580.65", "NVIDIA H200"));
    accelerated(&mut with_gpus, "580.65.99");
    assert_eq!(with_gpus.of(&format!("e2e@{stack}")).parts, parts, "a patch level is no other environment");
    accelerated(&mut with_gpus, "590.10");
    assert_ne!(with_gpus.of(&format!("e2e@{stack}")).parts["driver"], parts["driver"]);
}
