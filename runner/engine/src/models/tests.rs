//! Models come here whole or not at all, whatever a server, a disk or a signal does.

mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use testbed_model::event::{Event, Stamped};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint as _;
use testbed_model::models::{FILE, Models};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use self::server::{Answer, Server, sha256};
use super::error::ModelError;
use super::hub::Hub;
use super::patience::Patience;
use super::token::Token;
use super::{Having, Library, Origin, Presence};
use crate::events::Events;
use crate::host::clock::Clock;

const SECRET: &str = "hf_verysecretword";
const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS: &str =
    "weights that are longer than one part of them, for a connection has to be cut somewhere in them";

/// A configuration with one model of a repository, and what hears of it.
struct Ground {
    folder: TempDir,
    events: Events,
    heard: UnboundedReceiver<Stamped>,
    cancel: CancellationToken,
    patience: Patience,
    token: Option<&'static str>,
    pin: bool,
}

impl Ground {
    fn new() -> Self {
        let config = file("config.json", Some("{}"));
        let weights = file("sub/model.safetensors", Some(WEIGHTS));
        Self::with(&format!("{config}\n{weights}"), WEIGHTS.len() + 2)
    }

    /// With these lines of files.
    fn with(files: &str, size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[[model]]\nname = \"far\"\nhuggingface = \"A/b-1.0\"\nrevision = \"{REVISION}\"\nlicence = \"MIT\"\nsize = {size}\nfiles = [\n{files}\n]\n"
        );
        fs::create_dir_all(folder.path().join("models")).unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        let (events, heard) = Events::channel(Clock::start());
        let millisecond = Duration::from_millis(1);
        let patience = Patience {
            pause: millisecond,
            longest: millisecond,
            silence: Duration::from_secs(5),
            ..Patience::default()
        };
        Self { folder, events, heard, cancel: CancellationToken::new(), patience, token: None, pin: false }
    }

    fn library(&self) -> Library {
        Library::open(self.folder.path(), &self.folder.path().join("cache")).unwrap()
    }

    async fn fetch(&self, server: &Server) -> Result<PathBuf, ModelError> {
        let token = self.token.map(|text| Token::of_text(text, "HF_TOKEN".to_owned()).unwrap());
        let hub = Hub::new(Some(&server.url()), token, &self.patience).unwrap();
        let origin = Origin { hub, patience: self.patience, pin: self.pin };
        let library = self.library();
        let model = library.model("far").unwrap();
        library.fetch(model, &origin, &Having { events: &self.events, cancel: &self.cancel }).await
    }

    /// What was told, without times.
    fn told(&mut self) -> String {
        let mut told = String::new();
        while let Ok(stamped) = self.heard.try_recv() {
            told.push_str(&match stamped.event {
                Event::ModelProgress { step, done, .. } => format!("{step} {}\n", done.unwrap()),
                Event::ModelReady { origin, .. } => format!("ready: {origin:?}\n"),
                other => format!("{other:?}\n"),
            });
        }
        told
    }

    fn presence(&self) -> Presence {
        let library = self.library();
        library.presence(library.model("far").unwrap())
    }

    fn making(&self) -> Vec<PathBuf> {
        let making = self.folder.path().join("cache/models/.making");
        fs::read_dir(making).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// What is here of the weights.
    fn part(&self) -> String {
        let making = self.making();
        fs::read_to_string(making[0].join("sub/model.safetensors.part")).unwrap_or_default()
    }
}

fn file(path: &str, content: Option<&str>) -> String {
    match content {
        Some(content) => {
            format!("{{ path = \"{path}\", sha256 = \"{}\", size = {} }},", sha256(content), content.len())
        }
        None => format!("{{ path = \"{path}\" }},"),
    }
}

fn is_whole(folder: &Path) {
    assert_eq!(fs::read_to_string(folder.join("config.json")).unwrap(), "{}");
    assert_eq!(fs::read_to_string(folder.join("sub/model.safetensors")).unwrap(), WEIGHTS);
    for (path, mode) in
        [("", 0o755), ("sub", 0o755), ("config.json", 0o644), ("sub/model.safetensors", 0o644)]
    {
        assert_eq!(folder.join(path).metadata().unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
    let names: Vec<String> = fs::read_dir(folder.join("sub"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["model.safetensors"], "nothing else lies there");
}

#[tokio::test]
async fn a_model_is_fetched_once_and_then_here() {
    let server = Server::start(|_| Answer::Good).await;
    let mut ground = Ground::new();
    assert_eq!(ground.presence(), Presence::Missing);
    let folder = ground.fetch(&server).await.unwrap();
    is_whole(&folder);
    assert_eq!(ground.presence(), Presence::Here(folder.clone()));
    assert_eq!(
        server.paths(),
        [
            format!("/A/b-1.0/resolve/{REVISION}/config.json"),
            format!("/A/b-1.0/resolve/{REVISION}/sub/model.safetensors")
        ]
    );
    assert!(ground.told().ends_with("ready: Fetched\n"));
    assert_eq!(ground.fetch(&server).await.unwrap(), folder);
    assert_eq!(server.paths().len(), 2, "what is here is not asked for");
    assert_eq!(ground.told(), "ready: Present\n");
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_waited_for_and_that_is_told() {
    for value in ["1", "DATE"] {
        let server = Server::start(move |asked| match asked.number {
            0 => Answer::Later(value.to_owned()),
            _ => Answer::Good,
        })
        .await;
        let mut ground = Ground::new();
        let began = Clock::start();
        is_whole(&ground.fetch(&server).await.unwrap());
        // A date has whole seconds, so it may lie just ahead.
        let least = if value == "1" { 1000 } else { 0 };
        assert!(began.elapsed_ms() >= least, "{value}: {}", began.elapsed_ms());
        assert!(ground.told().contains("config.json: the server asks to wait"), "{value}");
        assert_eq!(server.paths().len(), 3);
    }
}

#[tokio::test]
async fn a_server_that_asks_too_often_or_for_too_long_is_left() {
    let server = Server::start(|_| Answer::Later("0".to_owned())).await;
    let ground = Ground::new();
    let error = ground.fetch(&server).await.unwrap_err();
    assert!(matches!(error, ModelError::Busy { .. }), "{error}");
    assert_eq!(server.paths().len(), 11);

    let server = Server::start(|_| Answer::Later("86400".to_owned())).await;
    let error = ground.fetch(&server).await.unwrap_err();
    assert!(error.to_string().ends_with("/config.json asks to wait 24h"), "{error}");
    assert_eq!((server.paths().len(), error.exit_code()), (1, ExitCode::Environment));
}

#[tokio::test]
async fn a_signal_ends_a_wait_at_once() {
    let server = Server::start(|_| Answer::Later("600".to_owned())).await;
    let ground = Ground::new();
    let (cancel, began) = (ground.cancel.clone(), Clock::start());
    let soon = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(ground.fetch(&server), soon);
    assert!(matches!(ended, Err(ModelError::Cancelled)), "{ended:?}");
    assert!(began.elapsed_ms() < 5000);
}

#[tokio::test]
async fn what_is_cut_off_is_resumed_where_it_ended() {
    let server = Server::start(|asked| match asked.number {
        1 => Answer::Cut(20),
        2 => Answer::Cut(10),
        _ => Answer::Good,
    })
    .await;
    let mut ground = Ground::new();
    is_whole(&ground.fetch(&server).await.unwrap());
    let asked = server.asked();
    let ranges: Vec<Option<&str>> = asked.iter().map(|asked| asked.range.as_deref()).collect();
    assert_eq!(ranges, [None, None, Some("bytes=20-"), Some("bytes=30-")]);
    let tag = format!("\"{}\"", sha256(WEIGHTS));
    assert_eq!(asked[2].if_range.as_ref(), Some(&tag));
    assert!(ground.told().contains("; again in"));
}

#[tokio::test]
async fn what_a_killed_fetch_left_is_resumed_by_the_next_one() {
    let cutting = Server::start(|asked| if asked.number == 0 { Answer::Good } else { Answer::Cut(5) }).await;
    let mut ground = Ground::new();
    ground.patience.failures = 1;
    let error = ground.fetch(&cutting).await.unwrap_err();
    assert!(matches!(error, ModelError::Network { .. }), "{error}");
    assert_eq!(ground.part(), &WEIGHTS[..5]);
    assert_eq!(ground.presence(), Presence::Missing, "half a model is none");

    let server = Server::start(|_| Answer::Good).await;
    is_whole(&ground.fetch(&server).await.unwrap());
    let asked = server.asked();
    assert_eq!(
        (asked.len(), asked[0].range.as_deref()),
        (1, Some("bytes=5-")),
        "what was whole is not asked for again"
    );
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_and_one_without_ranges_begin_anew() {
    for answer in [Answer::OtherTag, Answer::NoRanges] {
        let kind = answer.clone();
        let server = Server::start(move |asked| match asked.number {
            0 => Answer::Good,
            1 => Answer::Cut(20),
            _ => kind.clone(),
        })
        .await;
        let ground = Ground::new();
        is_whole(&ground.fetch(&server).await.unwrap());
        let ranges: Vec<Option<String>> = server.asked().into_iter().map(|asked| asked.range).collect();
        assert_eq!(ranges[2].as_deref(), Some("bytes=20-"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_beginning_of_something_else_is_thrown_away_and_fetched_once_more() {
    let server = Server::start(|_| Answer::Good).await;
    let ground = Ground::new();
    let library = ground.library();
    let content = library.model("far").unwrap().content().unwrap();
    let making = ground.folder.path().join(format!("cache/models/.making/far-{content}/sub"));
    fs::create_dir_all(&making).unwrap();
    fs::write(making.join("model.safetensors.part"), "WEIGHTS that are").unwrap();
    is_whole(&ground.fetch(&server).await.unwrap());
    let ranges: Vec<Option<String>> = server.asked().into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=16-".to_owned()), None]);
}

#[tokio::test]
async fn a_wrong_hash_and_a_wrong_size_are_refused_and_nothing_of_them_is_kept() {
    let other = WEIGHTS.replacen("weights", "WEIGHTS", 1);
    let server = Server::start(move |asked| {
        if asked.path.ends_with("safetensors") { Answer::Bytes(other.clone()) } else { Answer::Good }
    })
    .await;
    let ground = Ground::new();
    let error = ground.fetch(&server).await.unwrap_err();
    let ModelError::WrongHash { model, path, expected, got, .. } = &error else { panic!("{error}") };
    assert_eq!((model.as_str(), path.as_str()), ("far", "sub/model.safetensors"));
    assert_eq!((expected, got), (&sha256(WEIGHTS), &sha256(&WEIGHTS.replacen("weights", "WEIGHTS", 1))));
    assert!(error.hint().unwrap().ends_with("what came is removed"));
    assert_eq!((ground.part().as_str(), ground.presence(), server.paths().len()), ("", Presence::Missing, 2));

    let server = Server::start(|_| Answer::Bytes("short".to_owned())).await;
    let ground = Ground::new();
    let error = ground.fetch(&server).await.unwrap_err();
    assert!(error.to_string().ends_with("expected 2 bytes, got 5"), "{error}");
}

#[tokio::test]
async fn a_file_that_goes_on_after_its_end_is_left_there() {
    let server = Server::start(|asked| if asked.number == 0 { Answer::Good } else { Answer::Endless }).await;
    let ground = Ground::new();
    let error = ground.fetch(&server).await.unwrap_err();
    let expected = format!("expected {} bytes, and more came", WEIGHTS.len());
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert_eq!((ground.part().as_str(), ground.presence()), ("", Presence::Missing));
}

#[tokio::test]
async fn what_a_killed_replacement_left_is_in_nobodys_way() {
    let server = Server::start(|_| Answer::Good).await;
    let ground = Ground::new();
    let folder = ground.fetch(&server).await.unwrap();
    fs::remove_file(folder.join("config.json")).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let left = ground.folder.path().join(format!("cache/models/.making/{name}.old"));
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("config.json"), "{}").unwrap();
    is_whole(&ground.fetch(&server).await.unwrap());
    assert_eq!(ground.making(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn the_token_reaches_the_first_host_alone_and_no_text() {
    let far = Server::start(|_| Answer::Good).await;
    let to = far.url();
    let server = Server::start(move |asked| {
        if asked.token.as_deref() == Some(&format!("Bearer {SECRET}")) {
            Answer::Redirect(to.clone())
        } else {
            Answer::Status(401)
        }
    })
    .await;
    let mut ground = Ground::new();
    let error = ground.fetch(&server).await.unwrap_err();
    assert!(error.to_string().ends_with("/config.json is refused with 401"), "{error}");
    assert!(error.hint().unwrap().contains("`HF_TOKEN`"));
    ground.token = Some(SECRET);
    is_whole(&ground.fetch(&server).await.unwrap());
    assert!(server.asked()[1..].iter().all(|asked| asked.token.is_some()));
    assert_eq!(far.asked().len(), 2);
    assert!(
        far.asked().iter().all(|asked| asked.token.is_none() && !asked.headers.contains(SECRET)),
        "{:?}",
        far.asked()
    );
    assert!(!ground.told().contains(SECRET));

    let refusing = Server::start(|_| Answer::Status(403)).await;
    let mut ground = Ground::new();
    ground.token = Some(SECRET);
    let error = ground.fetch(&refusing).await.unwrap_err();
    assert!(error.hint().unwrap().starts_with("the token does not open it"));
    assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("secretword"));
}

#[tokio::test]
async fn what_is_not_there_and_what_leads_nowhere_are_told_at_once() {
    for (answer, what) in [
        (Answer::Status(404), "is not there (404)"),
        (Answer::Status(418), "answers 418 I'm a teapot"),
        (Answer::Redirect("ftp://127.0.0.1/".to_owned()), "with a redirect to `ftp:`"),
        (Answer::Loop, "with more than 10 redirects"),
    ] {
        let told = answer.clone();
        let server = Server::start(move |_| told.clone()).await;
        let error = Ground::new().fetch(&server).await.unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
        assert!(error.hint().is_some());
        assert!(server.paths().len() == 1 || matches!(answer, Answer::Loop));
    }
}

#[tokio::test]
async fn a_server_that_breaks_is_asked_again_so_often_and_no_more() {
    let server =
        Server::start(|asked| if asked.number < 2 { Answer::Status(502) } else { Answer::Good }).await;
    is_whole(&Ground::new().fetch(&server).await.unwrap());
    let server = Server::start(|_| Answer::Status(500)).await;
    let error = Ground::new().fetch(&server).await.unwrap_err();
    assert!(error.to_string().contains("it answers 500"), "{error}");
    assert_eq!(server.paths().len(), 6);
}

#[tokio::test]
async fn what_nobody_has_pinned_is_fetched_only_to_be_pinned() {
    let server = Server::start(|_| Answer::Good).await;
    let files = format!("{}\n{}", file("config.json", None), file("sub/model.safetensors", None));
    let mut ground = Ground::with(&files, 1000);
    let error = ground.fetch(&server).await.unwrap_err();
    assert_eq!((error.hint().unwrap().as_str(), server.paths().len()), ("testbed models fetch --pin far", 0));
    assert_eq!(ground.presence(), Presence::Unpinned);
    ground.pin = true;
    let folder = ground.fetch(&server).await.unwrap();
    is_whole(&folder);
    assert_eq!(ground.presence(), Presence::Here(folder));
    let models = Models::parse(FILE, &fs::read_to_string(ground.folder.path().join(FILE)).unwrap()).unwrap();
    assert_eq!(models.models["far"].files[1].pin.as_ref().unwrap().sha256, sha256(WEIGHTS));
}

#[tokio::test]
async fn what_the_server_itself_says_of_a_hash_has_to_be_true() {
    let server = Server::start(|_| Answer::Linked("0".repeat(64))).await;
    let mut ground = Ground::with(&file("config.json", None), 1000);
    ground.pin = true;
    let error = ground.fetch(&server).await.unwrap_err();
    assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");
}

#[tokio::test]
async fn two_processes_fetch_a_model_once() {
    let server = Server::start(|_| Answer::Slow(Duration::from_millis(50))).await;
    let mut ground = Ground::new();
    let (first, second) = tokio::join!(ground.fetch(&server), ground.fetch(&server));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(server.paths().len(), 2);
    assert!(ground.told().contains("waiting for another process"));
}

#[tokio::test]
async fn a_model_is_imported_from_a_folder_that_has_its_files_and_from_no_other() {
    let ground = Ground::new();
    let library = ground.library();
    let model = library.model("A/b-1.0").unwrap();
    let from = tempfile::tempdir().unwrap();
    let having = Having { events: &ground.events, cancel: &ground.cancel };
    let import = async || library.import(model, from.path(), &having).await;
    fs::write(from.path().join("config.json"), "{}").unwrap();
    assert!(
        matches!(import().await, Err(ModelError::NoFile { path, .. }) if path == "sub/model.safetensors")
    );
    fs::create_dir(from.path().join("sub")).unwrap();
    let weights = from.path().join("sub/model.safetensors");
    fs::write(&weights, WEIGHTS.to_uppercase()).unwrap();
    assert!(matches!(import().await, Err(ModelError::WrongHash { .. })));
    assert_eq!((ground.presence(), ground.making().len()), (Presence::Missing, 0));
    // Caches of Hugging Face hold links to their files.
    fs::write(from.path().join("blob"), WEIGHTS).unwrap();
    fs::remove_file(&weights).unwrap();
    std::os::unix::fs::symlink(from.path().join("blob"), &weights).unwrap();
    let folder = import().await.unwrap();
    is_whole(&folder);
    assert!(!folder.join("sub/model.safetensors").is_symlink());
    assert_eq!(library.verify(model, &ground.cancel).unwrap(), folder);
}

#[tokio::test]
async fn what_was_changed_in_the_store_is_found_and_replaced() {
    let server = Server::start(|_| Answer::Good).await;
    let ground = Ground::new();
    let folder = ground.fetch(&server).await.unwrap();
    let library = ground.library();
    let model = library.model("far").unwrap();
    fs::write(folder.join("sub/model.safetensors"), WEIGHTS.to_uppercase()).unwrap();
    assert!(matches!(library.verify(model, &ground.cancel), Err(ModelError::WrongHash { .. })));
    fs::write(folder.join("extra"), "").unwrap();
    fs::write(folder.join("sub/model.safetensors"), WEIGHTS).unwrap();
    assert!(
        matches!(library.verify(model, &ground.cancel), Err(ModelError::Unlisted { path, .. }) if path == "extra")
    );
    fs::remove_file(folder.join("config.json")).unwrap();
    assert_eq!(ground.presence(), Presence::Missing);
    is_whole(&ground.fetch(&server).await.unwrap());
    assert!(!folder.join("extra").exists());
}

/// The configuration of this repository.
fn own(cache: &Path) -> Library {
    Library::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), cache).unwrap()
}

#[tokio::test]
async fn our_own_tiny_models_are_made_as_models_toml_says() {
    let cache = tempfile::tempdir().unwrap();
    let library = own(cache.path());
    let (events, _heard) = Events::channel(Clock::start());
    let cancel = CancellationToken::new();
    let having = Having { events: &events, cancel: &cancel };
    for name in ["tiny-llama", "tiny-qwen3"] {
        let model = library.model(name).unwrap();
        let folder = library.make(model, &having).await.unwrap();
        assert_eq!(library.verify(model, &cancel).unwrap(), folder);
        assert_eq!(folder.join("model.safetensors").metadata().unwrap().permissions().mode() & 0o777, 0o644);
    }
    let tiny = library.model("tiny").unwrap();
    assert!(library.verify(tiny, &cancel).unwrap().ends_with("models/tiny"));
}
