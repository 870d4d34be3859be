//! `testbed models`, and what a run says of models that it cannot have.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testbed_model::exit_code::ExitCode;

use crate::site::{SMALL_STACK, Site};

/// Of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const SECRET: &str = "hf_verysecretword";

/// A server that answers each question as `answer` says: it is given the head and the connection.
struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(usize, &str, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&heads);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut head = String::new();
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                while lines.read_line(&mut head).is_ok_and(|count| count > 2) {}
                let number = all.lock().unwrap().len();
                all.lock().unwrap().push(head.clone());
                answer(number, &head, &mut stream);
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn tell(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}");
    let _ = stream.write_all(text.as_bytes());
}

fn models(hash: &str) -> String {
    format!(
        "[[model]]\nname = \"far\"\nhuggingface = \"A/b\"\nrevision = \"{}\"\nlicence = \"MIT\"\nsize = 5\nfiles = [\n  {{ path = \"words\", sha256 = \"{hash}\", size = 5 }},\n]\n",
        "0c".repeat(20)
    )
}

/// A site with one model of a repository.
fn site() -> Site {
    Site::small().with("models/models.toml", &models(HELLO))
}

/// The same, whose profile needs the model.
fn needing() -> Site {
    let stack = format!("{SMALL_STACK}    volumes: ['../models:/models:ro']\n");
    site().with("compose/small.yaml", &stack).with(
        "envs/small.toml",
        "stack = \"compose/small.yaml\"\ntiers = [\"premerge\"]\nmodels = [\"far\"]\n",
    )
}

fn fetch(site: &Site, server: &Server, further: &[&str]) -> Command {
    let endpoint = server.url();
    site.command(
        ["models", "fetch", "far", "--endpoint", &endpoint].into_iter().chain(further.iter().copied()),
    )
}

/// The message of a command that failed after it had told of its progress.
fn failed(site: &Site, command: &mut Command, code: ExitCode) -> String {
    let ended = site.ended(command);
    assert_eq!((ended.code(), ended.out.as_str()), (code, ""), "{}", ended.err);
    let told = ended.told();
    let at = told.find("error: ").unwrap_or_else(|| panic!("no message: {told}"));
    told[at..].to_owned()
}

fn place(site: &Site) -> std::path::PathBuf {
    let folder = site.path().join(".testbed/cache/models");
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    names
        .into_iter()
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("far-"))
        .unwrap_or_default()
}

#[test]
fn every_model_is_listed_with_where_it_comes_from_and_whether_it_is_here() {
    let site = Site::small().with_link("models", "models");
    let ended = site.testbed(["models", "list"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    insta::assert_snapshot!(ended.out);
    let made = site.testbed(["models", "make-tiny", "tiny-llama"]);
    assert_eq!(made.code(), ExitCode::Passed, "{}", made.err);
    let folder = made.out.trim().strip_prefix("tiny-llama ").unwrap();
    assert!(fs::metadata(format!("{folder}/model.safetensors")).unwrap().len() > 1_000_000);
    let listed: serde_json::Value =
        serde_json::from_str(&site.testbed(["models", "list", "--json"]).out).unwrap();
    let of =
        |name: &str| listed.as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone();
    assert_eq!(
        (of("tiny-llama")["state"].as_str(), of("tiny-llama")["folder"].as_str()),
        (Some("here"), Some(folder))
    );
    assert_eq!(of("qwen3-0.6b")["command"], "testbed models fetch qwen3-0.6b");
    assert_eq!(of("deepseek-r1-distill-llama-8b")["content"], serde_json::Value::Null);
    let verified = site.testbed(["models", "verify"]);
    assert_eq!(
        verified.out,
        "tiny: every file is the one that it must be\ntiny-llama: every file is the one that it must be\n"
    );
}

#[test]
fn a_mistake_in_models_toml_names_its_place_whatever_is_asked_for() {
    let text = models(HELLO).replace("licence", "▸license");
    let site = Site::small().with("models/models.toml", &text);
    insta::assert_snapshot!(site.refuses(["models", "list"], ExitCode::Usage));
    site.refuses(["plan", "--no-collect"], ExitCode::Usage);
}

#[test]
fn an_unknown_model_offers_the_nearest_name() {
    insta::assert_snapshot!(site().refuses(["models", "verify", "fra"], ExitCode::Usage));
    let told = needing().with(
        "envs/small.toml",
        "stack = \"compose/small.yaml\"\ntiers = [\"premerge\"]\n▸models = [\"A/c\"]\n",
    );
    insta::assert_snapshot!(told.refuses(["plan", "--no-collect"], ExitCode::Usage));
}

#[test]
fn a_fetch_waits_resumes_and_then_verifies() {
    let server = Server::start(|number, head, stream| match number {
        0 => tell(stream, "429 Too Many Requests", "retry-after: 1\r\n", ""),
        1 => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: 5\r\n\r\nhel");
        }
        _ => {
            assert!(head.contains("range: bytes=3-\r\n") && head.contains("if-range: \"a\"\r\n"), "{head}");
            tell(stream, "206 Partial Content", "content-range: bytes 3-4/5\r\n", "lo");
        }
    });
    let site = site();
    let ended = site.ended(&mut fetch(&site, &server, &[]));
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert_eq!(ended.out, format!("far {}\n", place(&site).display()));
    assert_eq!(fs::read_to_string(place(&site).join("words")).unwrap(), "hello");
    assert!(ended.err.contains("far: words: the server asks to wait 1s"), "{}", ended.err);
    assert!(
        server.heads()[0].starts_with(&format!("GET /A/b/resolve/{}/words HTTP/1.1\r\n", "0c".repeat(20)))
    );
    assert_eq!(server.heads().len(), 3);
    assert_eq!(site.testbed(["models", "verify"]).code(), ExitCode::Passed);
}

#[test]
fn a_wrong_hash_is_refused_with_both_hashes_and_the_file() {
    let server = Server::start(|_, _, stream| tell(stream, "200 OK", "", "HELLO"));
    let site = site();
    insta::assert_snapshot!(failed(&site, &mut fetch(&site, &server, &[]), ExitCode::Environment));
    assert_eq!(place(&site).as_os_str(), "");
}

#[test]
fn a_killed_fetch_leaves_nothing_that_is_used_and_something_to_go_on_with() {
    // Its connection stays open until the fetch is killed.
    let server = Server::start(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: 5\r\n\r\nhell");
        let _ = std::io::copy(stream, &mut std::io::sink());
    });
    let second = Server::start(|_, head, stream| {
        assert!(head.contains("range: bytes=4-\r\n"), "{head}");
        tell(stream, "206 Partial Content", "content-range: bytes 4-4/5\r\n", "o");
    });
    let site = site();
    let mut fetching =
        fetch(&site, &server, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let part = || {
        let making =
            fs::read_dir(site.path().join(".testbed/cache/models/.making")).ok()?.flatten().next()?;
        fs::read_to_string(making.path().join("words.part")).ok()
    };
    let began = Instant::now();
    while part().as_deref() != Some("hell") {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", part());
        std::thread::yield_now();
    }
    fetching.kill().unwrap();
    fetching.wait().unwrap();
    assert_eq!(place(&site).as_os_str(), "", "half a model is none");
    let ended = site.ended(&mut fetch(&site, &second, &[]));
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert_eq!(fs::read_to_string(place(&site).join("words")).unwrap(), "hello");
}

#[test]
fn an_interrupt_ends_a_wait_at_once() {
    let server =
        Server::start(|_, _, stream| tell(stream, "429 Too Many Requests", "retry-after: 600\r\n", ""));
    let site = site();
    let mut fetching =
        fetch(&site, &server, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while server.heads().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&fetching), Signal::INT).unwrap();
    let status = fetching.wait().unwrap();
    assert_eq!(status.code(), Some(i32::from(ExitCode::Interrupted.number())));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_token_reaches_the_endpoint_alone_and_no_output() {
    let far = Server::start(|_, _, stream| tell(stream, "200 OK", "", "hello"));
    let to = far.url();
    let server = Server::start(move |_, head, stream| {
        if head.contains(&format!("authorization: Bearer {SECRET}")) {
            tell(stream, "302 Found", &format!("location: {to}/blob?Signature=x\r\n"), "");
        } else {
            tell(stream, "401 Unauthorized", "", "");
        }
    });
    let site = site().with("token", &format!("{SECRET}\n"));
    let without = failed(&site, &mut fetch(&site, &server, &[]), ExitCode::Environment);
    assert!(
        without.contains("is refused with 401\nhint: the repository is private, gated or misspelt"),
        "{without}"
    );
    let wrong =
        site.refused(fetch(&site, &server, &[]).env("HF_TOKEN", format!("{SECRET}x y")), ExitCode::Usage);
    assert!(wrong.contains("HF_TOKEN") && !wrong.contains("secret"), "{wrong}");
    let ended = site.ended(&mut fetch(&site, &server, &["--token-file", "token", "--json"]));
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert!(ended.out.contains("model_ready"), "{}", ended.out);
    assert!(!format!("{}{}", ended.out, ended.err).contains("secret"));
    assert_eq!(far.heads().len(), 1);
    assert!(!far.heads()[0].to_lowercase().contains("authorization") && !far.heads()[0].contains("secret"));
}

#[test]
fn a_model_is_imported_from_a_folder() {
    let site = site().with("from/words", "hellO");
    insta::assert_snapshot!(failed(
        &site,
        &mut site.command(["models", "import", "far", "from"]),
        ExitCode::Environment
    ));
    let site = site.with("from/words", "hello");
    let ended = site.testbed(["models", "import", "A/b", "from"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert_eq!(fs::read_to_string(place(&site).join("words")).unwrap(), "hello");
}

#[test]
fn a_model_that_is_not_here_is_a_remark_of_the_plan_and_refused_by_what_would_start_it() {
    let site = needing();
    let ended = site.testbed(["plan", "--no-collect"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert!(
        ended.err.contains(
            "the model `far` is not here, and the profile `small` needs it: `testbed models fetch far`"
        ),
        "{}",
        ended.err
    );
    assert!(ended.out.contains("\nmodels\n  far "), "{}", ended.out);
    insta::assert_snapshot!(site.refuses(["up", "small"], ExitCode::Environment), @r"
    error: the model `far` is not here, and the profile `small` needs it
    hint: testbed models fetch far
    ");
    site.write("plan.json", site.testbed(["plan", "--no-collect", "--json"]).out.as_bytes());
    let told = site.refuses(["run", "--plan", "plan.json"], ExitCode::Environment);
    assert!(told.contains("the model `far` is not here"), "{told}");
    site.write("models/models.toml", models(&"ab".repeat(32)).as_bytes());
    let told = site.refuses(["run", "--plan", "plan.json"], ExitCode::Usage);
    assert!(told.starts_with("error: the plan wants the model `far` as `"), "{told}");
}

#[test]
fn a_model_that_nobody_has_pinned_is_refused_with_the_command_that_pins_it() {
    let text = models(HELLO).replace(&format!(", sha256 = \"{HELLO}\", size = 5"), "");
    let site = needing().with("models/models.toml", &text);
    insta::assert_snapshot!(site.refuses(["up", "small"], ExitCode::Environment), @r"
    error: the model `far` is not pinned, and the profile `small` needs it
    hint: testbed models fetch --pin far
    ");
    let server = Server::start(|_, _, stream| tell(stream, "200 OK", "", "hello"));
    let ended = site.ended(&mut fetch(&site, &server, &["--pin"]));
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert_eq!(fs::read_to_string(site.path().join("models/models.toml")).unwrap(), models(HELLO));
}

#[test]
fn a_model_that_containers_cannot_read_or_that_was_changed_is_refused_before_anything_starts() {
    let text = "[[model]]\nname = \"far\"\nfolder = \"near\"\nlicence = \"MIT\"\nsize = 5\nfiles = [{ path = \"words\", sha256 = \"HASH\", size = 5 }]\n";
    let site =
        needing().with("models/models.toml", &text.replace("HASH", HELLO)).with("models/near/words", "hello");
    let file = site.path().join("models/near/words");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    // As the containers' own user one may read it.
    if fs::metadata(&file).unwrap().uid() != 10001 {
        insta::assert_snapshot!(site.refuses(["up", "small"], ExitCode::Environment));
    }
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "hellO").unwrap();
    insta::assert_snapshot!("a_model_that_was_changed", site.refuses(["up", "small"], ExitCode::Environment));
}

#[test]
fn what_models_toml_names_no_more_is_told_and_removed_unless_somebody_uses_it() {
    let site = site();
    let store = site.path().join(".testbed/cache/models");
    for name in ["far-00112233445566aa", "gone-00112233445566bb"] {
        fs::create_dir_all(store.join(name)).unwrap();
        fs::write(store.join(name).join("words"), "hello").unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = site.command(arguments.iter().copied());
        // Without an engine there is no container that mounts anything.
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        site.ended(&mut command)
    };
    let listed = run(&["models", "list"]);
    assert!(listed.err.contains("10 B that models/models.toml names no more"), "{}", listed.err);
    let dry = run(&["models", "prune", "--dry-run"]);
    assert_eq!(
        (dry.code(), dry.out.as_str()),
        (
            ExitCode::Passed,
            "would remove far-00112233445566aa, 5 B\nwould remove gone-00112233445566bb, 5 B\n"
        )
    );
    let used = fs::File::open(store.join("gone-00112233445566bb")).unwrap();
    used.lock_shared().unwrap();
    assert_eq!(
        run(&["models", "prune"]).out,
        "removed far-00112233445566aa, 5 B\nkept gone-00112233445566bb, 5 B: a process uses it\n"
    );
    drop(used);
    let told: serde_json::Value = serde_json::from_str(&run(&["models", "prune", "--json"]).out).unwrap();
    assert_eq!((told[0]["state"].as_str(), told[0]["bytes"].as_u64()), (Some("removed"), Some(5)));
    assert_eq!(run(&["models", "prune"]).out, "nothing to remove\n");
    assert_eq!(run(&["models", "list"]).err, "");
}
