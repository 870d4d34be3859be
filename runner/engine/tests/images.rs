//! Images in a real daemon: built, found again, carried to another machine. Every test has names of its own and removes
//! what it made.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and a fixture is part of its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testbed_engine::docker::Daemon;
use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::image::{Freshness, ImageError, Images, MissingTools, Provided, Providing, Verdict};
use testbed_model::event::ImageOrigin;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint as _;
use tokio_util::sync::CancellationToken;

/// A wheel of one small module without dependencies, for every Python.
const WHEEL: &str =
    "iniconfig==2.3.1 --hash=sha256:9121e2c1fdb355232495be3194c8dfe87ccc2d5dee45947b78e68f499790d7a7\n";

/// A folder of images with one image, whose name nobody else has.
struct Project {
    folder: TempDir,
    name: String,
    daemon: Daemon,
    cancel: CancellationToken,
}

impl Project {
    async fn new(test: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("selftest-{test}-{}", std::process::id());
        let this =
            Self { folder, name, daemon: Daemon::connect().await.unwrap(), cancel: CancellationToken::new() };
        this.write("files/etc/passwd", "root:x:0:0:root:/:/\n");
        // Content of its own keeps one test's image from being the other's.
        this.write("files/etc/test", &this.name);
        this.write("recipe.toml", &this.recipe(""));
        this.lock(r#"{"build": {"recipe": "recipe.toml"}}"#);
        this
    }

    fn recipe(&self, layers: &str) -> String {
        let files = "[[layer]]\nkind = \"files\"\nfrom = \"files\"\nfolders = { \"/tmp\" = \"1777\" }\n";
        format!(
            "schema = 1\n[config]\nuser = \"10001:10001\"\nlabels = {{ test = \"{}\" }}\n{layers}{files}",
            self.name
        )
    }

    fn lock(&self, way: &str) {
        let text = format!(r#"{{"schema": 1, "images": {{"{}": {way}}}}}"#, self.name);
        self.write("images.lock.json", &text);
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn images(&self, cache: &str) -> Images {
        Images::open(self.folder.path(), &self.path(cache)).unwrap()
    }

    fn how(&self, freshness: Freshness) -> Providing {
        let (events, _) = Events::channel(Clock::start());
        Providing { events, cancel: self.cancel.clone(), missing: MissingTools::Install, freshness }
    }

    async fn provide(&self, cache: &str, freshness: Freshness) -> Result<Provided, ImageError> {
        let how = self.how(freshness);
        let provided = self.images(cache).provide(&self.daemon, &[&self.name], &how).await?;
        Ok(provided.into_iter().next().unwrap())
    }

    async fn is_there(&self) -> bool {
        let reference = self.images("cache").reference(&self.name).unwrap();
        self.daemon.image_id(&reference).await.unwrap().is_some()
    }

    /// Removes the image with all its names.
    async fn remove(&self) {
        let latest = format!("testbed/{}:latest", self.name);
        for reference in [self.images("cache").reference(&self.name).unwrap(), latest] {
            self.daemon.remove_image(&reference).await.unwrap();
        }
    }
}

impl Drop for Project {
    /// A test that fails removes its image too.
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // A runtime cannot block inside of another one, and this may be dropped in the test's.
            scope.spawn(move || runtime.block_on(self.remove()));
        });
    }
}

#[tokio::test]
async fn an_image_built_twice_from_scratch_has_one_id_and_costs_nothing_the_third_time() {
    let project = Project::new("twice").await;
    let first = project.provide("cache", Freshness::Reuse).await.unwrap();
    assert_eq!(first.origin, ImageOrigin::Built);
    project.remove().await;
    let second = project.provide("other-cache", Freshness::Reuse).await.unwrap();
    assert_eq!((second.origin, &second.id), (ImageOrigin::Built, &first.id));
    let third = project.provide("no-cache", Freshness::Reuse).await.unwrap();
    assert_eq!((third.origin, &third.id), (ImageOrigin::Present, &first.id));
    assert!(!project.path("no-cache").exists());
    let again = project.provide("cache", Freshness::Anew).await.unwrap();
    assert_eq!((again.origin, &again.id), (ImageOrigin::Built, &first.id));
}

#[tokio::test]
async fn a_recipe_with_layers_of_every_kind_gives_one_id_twice_from_scratch() {
    let project = Project::new("kinds").await;
    project.write("requirements.txt", WHEEL);
    let layers = "[[layer]]\nkind = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n\
                  [[layer]]\nkind = \"wheels\"\nrequirements = \"requirements.txt\"\ntarget = \"/opt/x\"\n\
                  python = \"3.11\"\nglibc = \"2.36\"\n\
                  [[layer]]\nkind = \"bytecode\"\ninterpreter = \"/usr/bin/python3.11\"\npaths = [\"/opt/x\"]\n";
    project.write("recipe.toml", &project.recipe(layers));
    let first = project.provide("cache", Freshness::Reuse).await.unwrap();
    assert!(first.packages.as_ref().unwrap().0.contains_key("python3.11-minimal"));
    project.remove().await;
    let second = project.provide("other-cache", Freshness::Reuse).await.unwrap();
    assert_eq!(first.id, second.id);
}

#[tokio::test]
async fn a_changed_input_gives_another_image_under_another_name() {
    let project = Project::new("changed").await;
    let first = project.provide("cache", Freshness::Reuse).await.unwrap();
    project.remove().await;
    project.write("files/etc/passwd", "root:x:0:0:root:/root:/\n");
    let second = project.provide("cache", Freshness::Reuse).await.unwrap();
    assert_ne!(first.reference, second.reference);
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn a_name_that_was_given_to_another_image_is_noticed() {
    let (project, other) = (Project::new("named").await, Project::new("foreign").await);
    let images = project.images("cache");
    let verdict = async || images.verify(&project.daemon, &[&project.name]).await.unwrap().remove(0).verdict;
    assert_eq!(verdict().await, Verdict::Missing);
    let own = project.provide("cache", Freshness::Reuse).await.unwrap();
    assert_eq!(verdict().await, Verdict::Present);
    let foreign = other.provide("cache", Freshness::Reuse).await.unwrap();
    let (repository, tag) = own.reference.rsplit_once(':').unwrap();
    project.daemon.tag_image(&foreign.reference, repository, tag).await.unwrap();
    let found = verdict().await;
    assert!(matches!(found, Verdict::Differs { .. }) && !found.is_usable(), "{found}");
}

#[tokio::test]
async fn a_set_is_carried_to_a_machine_that_lacks_it_and_a_changed_one_is_refused_whole() {
    let project = Project::new("carried").await;
    let images = project.images("cache");
    let how = project.how(Freshness::Reuse);
    let built = project.provide("cache", Freshness::Reuse).await.unwrap();
    let (file, bad) = (project.path("set.tar.zst"), project.path("bad.tar"));
    let contents = images.export(&project.daemon, &[&project.name], &file, &how).await.unwrap();
    assert_eq!(contents.images[0].reference, built.reference);
    images.export(&project.daemon, &[&project.name], &bad, &how).await.unwrap();
    project.remove().await;

    let mut bytes = fs::read(&bad).unwrap();
    let content = bytes.windows(5).rposition(|window| window == b"root:").unwrap();
    bytes[content] = b'R';
    fs::write(&bad, &bytes).unwrap();
    let error = images.import(&project.daemon, &bad, &how).await.unwrap_err();
    assert!(error.to_string().contains("was changed"), "{error}");
    assert_eq!(error.exit_code(), ExitCode::Environment);
    assert!(!project.is_there().await);

    let imported = images.import(&project.daemon, &file, &how).await.unwrap();
    assert_eq!((&imported[0].id, imported[0].origin), (&built.id, ImageOrigin::Loaded));
    assert!(project.is_there().await);
}

#[tokio::test]
async fn an_archive_that_the_lock_names_is_loaded_if_it_holds_the_image_of_that_id() {
    let project = Project::new("loaded").await;
    let how = project.how(Freshness::Reuse);
    let built = project.provide("cache", Freshness::Reuse).await.unwrap();
    let images = project.images("cache");
    images.export(&project.daemon, &[&project.name], &project.path("image.tar"), &how).await.unwrap();
    project.remove().await;

    project.lock(&format!(r#"{{"load": {{"archive": "image.tar", "id": "{}"}}}}"#, built.id));
    let loaded = project.provide("cache", Freshness::Reuse).await.unwrap();
    assert_eq!((&loaded.id, loaded.origin), (&built.id, ImageOrigin::Loaded));
    project.remove().await;

    // A program that writes the archive does as well, and what it says of a failure is told.
    let stream = |script: &str| {
        let program = project.path("stream");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        project.lock(&format!(r#"{{"load": {{"stream": "{}", "id": "{}"}}}}"#, program.display(), built.id));
    };
    stream(&format!("cat '{}'", project.path("image.tar").display()));
    let streamed = project.provide("cache", Freshness::Reuse).await.unwrap();
    assert_eq!((&streamed.id, streamed.origin), (&built.id, ImageOrigin::Loaded));
    project.remove().await;
    stream("echo no room >&2; exit 3");
    let error = project.provide("cache", Freshness::Reuse).await.unwrap_err();
    assert!(
        error.to_string().contains("did not stream an image, and ended with exit code 3: no room"),
        "{error}"
    );

    let other = format!("sha256:{}", "0".repeat(64));
    project.lock(&format!(r#"{{"load": {{"archive": "image.tar", "id": "{other}"}}}}"#));
    let error = project.provide("cache", Freshness::Reuse).await.unwrap_err();
    assert!(error.to_string().contains("does not hold the image"), "{error}");
    project.lock(&format!(r#"{{"load": {{"archive": "gone.tar", "id": "{other}"}}}}"#));
    let error = project.provide("cache", Freshness::Reuse).await.unwrap_err();
    assert!(error.to_string().contains("gone.tar"), "{error}");
}

#[tokio::test]
async fn an_image_that_no_registry_gives_names_itself_and_the_way_out() {
    let project = Project::new("pulled").await;
    let digest = "0".repeat(64);
    // Nobody listens there, and the daemon takes loopback for an insecure registry.
    project.lock(&format!(
        r#"{{"pull": {{"repository": "127.0.0.1:1/x", "tag": "1.0.x", "digest": "sha256:{digest}"}}}}"#
    ));
    let error = project.provide("cache", Freshness::Reuse).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("image `{}` cannot be had: ", project.name)), "{error}");
    assert!(error.hint().unwrap().contains("testbed images import"));
    assert_eq!(error.exit_code(), ExitCode::Environment);
}

#[tokio::test]
async fn exporting_what_is_not_there_says_how_to_have_it() {
    let project = Project::new("absent").await;
    let how = project.how(Freshness::Reuse);
    let file = project.path("set.tar");
    let error =
        project.images("cache").export(&project.daemon, &[&project.name], &file, &how).await.unwrap_err();
    assert_eq!(error.hint().unwrap(), format!("have it first: `testbed images build {}`", project.name));
    assert!(!file.exists());
}

#[tokio::test]
async fn an_interrupted_build_leaves_no_image_and_no_work() {
    let project = Project::new("interrupted").await;
    project.cancel.cancel();
    let error = project.provide("cache", Freshness::Reuse).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Interrupted);
    assert!(!project.is_there().await);
    assert!(!has_entries(&project.path("cache/work")));
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_named() {
    let project = Project::new("unwritable").await;
    project.write("cache", "a file where a folder should be");
    let error = project.provide("cache", Freshness::Reuse).await.unwrap_err();
    assert!(error.to_string().contains(&project.path("cache").display().to_string()), "{error}");
    assert_eq!(error.exit_code(), ExitCode::Environment);
}

#[tokio::test]
async fn packages_that_came_are_recorded_as_expected() {
    let project = Project::new("recorded").await;
    let images = project.images("cache");
    let provided = project.provide("cache", Freshness::Reuse).await.unwrap();
    let sum = "a".repeat(64);
    let packages = testbed_model::image::PackageSet::from_sums(&format!("{sum}  libc6_1_amd64.deb"));
    images.record_packages(&[Provided { packages, ..provided }]).unwrap();
    let text = fs::read_to_string(project.path("packages.lock.json")).unwrap();
    assert!(text.contains(&format!("\"libc6\": \"1 sha256:{sum}\"")), "{text}");
    let mode = fs::metadata(project.path("packages.lock.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    // The file is read again with all that is in it.
    project.images("cache");
}

fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
