//! Layers of Python wheels, installed by the host's pip for the image's Python.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use testbed_model::image::{ImagePath, Mode, Requirement, Target, WheelsLayer, parse_requirements};
use tokio_util::sync::CancellationToken;

use super::error::ImageError;
use super::task::{Task, blocking, text_of};
use super::tree::{Content, Found, Node, Tree, scan};
use crate::host::process::Program;

/// Interpreters that may have pip. Which one it is does not show in the layer.
const INTERPRETERS: [&str; 7] =
    ["python3", "python3.11", "python3.12", "python3.13", "python3.14", "/usr/bin/python3", "python"];

/// The interpreter that scripts name.
const SHEBANG: &[u8] = b"#!/usr/bin/python3\n";

/// Settings of a user that would send the wheels somewhere else.
const SETTINGS: [&str; 7] = [
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_CONSTRAINT",
    "PIP_PYTHON",
];

/// The interpreter whose pip installs, if there is one.
pub async fn interpreter(cancel: &CancellationToken) -> Result<Option<String>, ImageError> {
    for name in INTERPRETERS {
        let program = Program::new(name).args(["-m", "pip", "--version"]);
        match program.capture(cancel).await {
            Ok(captured) if captured.ended.is_success() => return Ok(Some(name.to_owned())),
            Err(crate::host::process::ProcessError::Cancelled { .. }) => return Err(ImageError::Cancelled),
            _ => {}
        }
    }
    Ok(None)
}

/// Makes the content of a layer.
pub async fn make(
    layer: &WheelsLayer,
    requirements: &Path,
    interpreter: &str,
    task: &Task,
) -> Result<Tree, ImageError> {
    let folder = task.folder("wheels")?;
    let pins = pins(layer, requirements, task)?;
    let program = program(layer, &pins, interpreter, &folder, task)?;
    let installed = task.execute("pip", "python wheels", &program).await;
    installed.map_err(|error| explained(error, layer, task))?;
    let (layer, task) = (layer.clone(), task.clone());
    blocking(move || collect(&folder, &layer, &task)).await
}

/// The pins that hold for the image, as a file for pip: pip itself would ask their markers of the host.
fn pins(layer: &WheelsLayer, requirements: &Path, task: &Task) -> Result<PathBuf, ImageError> {
    let text = fs::read_to_string(requirements).map_err(ImageError::file("read", requirements))?;
    let target = Target { python: &layer.python, architecture: task.architecture };
    let pins = parse_requirements(&requirements.display().to_string(), &text, &target)?;
    let path = task.work.join("requirements.txt");
    let lines: String = pins.iter().map(Requirement::line).collect();
    fs::write(&path, lines).map_err(ImageError::file("write", &path))?;
    Ok(path)
}

/// pip says of a package that has no wheel for the image only that there is no such version.
fn explained(error: ImageError, layer: &WheelsLayer, task: &Task) -> ImageError {
    const SIGN: &str = "No matching distribution found for ";
    let ImageError::Failed { words, .. } = &error else { return error };
    let package = words.iter().find_map(|line| line.split_once(SIGN)).map(|(_, package)| package);
    match package.and_then(|package| package.split_whitespace().next()) {
        None => error,
        Some(package) => ImageError::NoWheel {
            image: task.image.clone(),
            package: package.to_owned(),
            file: layer.requirements.clone(),
            python: layer.python.clone(),
            machine: format!("{} with glibc 2.{}", task.architecture.docker(), layer.glibc_minor),
        },
    }
}

fn program(
    layer: &WheelsLayer,
    requirements: &Path,
    interpreter: &str,
    folder: &Path,
    task: &Task,
) -> Result<Program, ImageError> {
    let digits = layer.python.replace('.', "");
    let mut args = vec![
        "-m".to_owned(),
        "pip".to_owned(),
        "install".to_owned(),
        "--no-deps".to_owned(),
        "--require-hashes".to_owned(),
        "--only-binary=:all:".to_owned(),
        "--no-compile".to_owned(),
        "--progress-bar=off".to_owned(),
        "--implementation=cp".to_owned(),
        format!("--python-version={}", layer.python),
        format!("--abi=cp{digits}"),
        "--abi=abi3".to_owned(),
        "--abi=none".to_owned(),
        format!("--target={}", text_of(folder)?),
        format!("--requirement={}", text_of(requirements)?),
    ];
    let platforms = task.architecture.wheel_platforms(layer.glibc_minor);
    args.extend(platforms.into_iter().map(|platform| format!("--platform={platform}")));
    Ok(Program::new(interpreter)
        .args(args)
        .without(SETTINGS)
        .with("PIP_USER", "0")
        .with("PIP_NO_INPUT", "1")
        .with("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .with("PIP_ROOT_USER_ACTION", "ignore")
        .with("LC_ALL", "C"))
}

/// What pip made, without what the layer excludes and what differs from one pip to another: compiled code, scripts, and
/// records of them.
fn collect(folder: &Path, layer: &WheelsLayer, task: &Task) -> Result<Tree, ImageError> {
    let (target, sieve) = (&layer.target, layer.sieve());
    let found = scan(folder).map_err(|(path, source)| ImageError::File { doing: "read", path, source })?;
    let mut tree = Tree::new();
    let mut scripts = BTreeSet::new();
    for found in &found {
        if is_entry_points(&found.path) {
            let text = fs::read_to_string(&found.source).map_err(ImageError::file("read", &found.source))?;
            scripts.extend(entry_points(&text));
        }
    }
    for Found { path, source, node } in found {
        let in_bin = path.parent().is_some_and(|parent| parent.as_str() == "bin");
        let is_own_script = in_bin && scripts.iter().any(|script| script.name == path.file_name());
        let at = target.join(&path);
        if !stays(&path) || is_own_script || !sieve.keeps(&at) {
            continue;
        }
        let node = cleaned(node, &path, &source, in_bin)?;
        tree.put(at, node).map_err(|error| task.content(error))?;
    }
    let bin = ImagePath::parse("bin").map_err(|error| task.content(error))?;
    for script in scripts {
        let name = ImagePath::parse(&script.name).map_err(|error| task.content(error))?;
        tree.put_bytes(target.join(&bin).join(&name), Mode::PROGRAM, &script.program())
            .map_err(|error| task.content(error))?;
    }
    if tree.len() < 3 {
        return Err(task.content("pip installed nothing"));
    }
    Ok(tree)
}

fn is_entry_points(path: &ImagePath) -> bool {
    path.file_name() == "entry_points.txt" && in_dist_info(path)
}

fn in_dist_info(path: &ImagePath) -> bool {
    path.parent()
        .is_some_and(|parent| !parent.as_str().contains('/') && parent.as_str().ends_with(".dist-info"))
}

fn stays(path: &ImagePath) -> bool {
    let compiled = path.as_str().split('/').any(|part| part == "__pycache__");
    let of_pip =
        in_dist_info(path) && ["direct_url.json", "REQUESTED", "INSTALLER"].contains(&path.file_name());
    !compiled && !of_pip && path.extension() != Some("pyc")
}

fn cleaned(node: Node, path: &ImagePath, source: &Path, in_bin: bool) -> Result<Node, ImageError> {
    let Node::File { mode, .. } = node else { return Ok(node) };
    let is_record = path.file_name() == "RECORD" && in_dist_info(path);
    if !is_record && !in_bin {
        return Ok(node);
    }
    let bytes = fs::read(source).map_err(ImageError::file("read", source))?;
    let bytes = if is_record { without_foreign_rows(&bytes) } else { with_own_shebang(bytes) };
    Ok(Node::File { mode, size: bytes.len() as u64, content: Content::Bytes(bytes.into()) })
}

/// A record without its rows for scripts, which lie outside of the folder of packages and name the host's interpreter,
/// and for pip's own marks.
fn without_foreign_rows(record: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(record);
    let mut rows: Vec<&str> = text
        .lines()
        .filter(|row| {
            let file = row.split(',').next().unwrap_or_default();
            let marks = ["/direct_url.json", "/REQUESTED", "/INSTALLER"];
            !file.starts_with("../") && !marks.iter().any(|mark| file.ends_with(mark))
        })
        .collect();
    rows.sort_unstable();
    let mut kept = rows.join("\n");
    kept.push('\n');
    kept.into_bytes()
}

/// A script that names the host's interpreter names the image's. A path too long for a first line is written by pip as a
/// shell script around the interpreter, over three lines.
fn with_own_shebang(bytes: Vec<u8>) -> Vec<u8> {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let second = lines.next().unwrap_or_default();
    let names_python = |line: &[u8]| line.windows(6).any(|window| window == b"python");
    let skip = if first == b"#!/bin/sh" && second.starts_with(b"'''exec'") {
        first.len() + second.len() + lines.next().map_or(0, <[u8]>::len) + 3
    } else if first.starts_with(b"#!") && names_python(first) {
        first.len() + 1
    } else {
        return bytes;
    };
    [SHEBANG, bytes.get(skip..).unwrap_or_default()].concat()
}

/// A command that a package declares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Script {
    name: String,
    module: String,
    attribute: String,
}

impl Script {
    /// The program: pip's own differs from version to version.
    fn program(&self) -> Vec<u8> {
        let (module, attribute) = (&self.module, &self.attribute);
        let first = attribute.split('.').next().unwrap_or_default();
        let text = format!(
            "import sys\nfrom {module} import {first}\nif __name__ == \"__main__\":\n    sys.exit({attribute}())\n"
        );
        [SHEBANG, text.as_bytes()].concat()
    }
}

fn entry_points(text: &str) -> Vec<Script> {
    let mut scripts = Vec::new();
    let mut in_scripts = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            in_scripts = matches!(section.trim(), "console_scripts" | "gui_scripts");
        } else if in_scripts && let Some(script) = script(line) {
            scripts.push(script);
        }
    }
    scripts
}

fn script(line: &str) -> Option<Script> {
    let (name, object) = line.split_once('=')?;
    let object = object.split(['[', ';', '#']).next()?;
    let (module, attribute) = object.split_once(':')?;
    let (name, module, attribute) = (name.trim(), module.trim(), attribute.trim());
    let dotted =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let plain = !name.is_empty() && !name.starts_with(['#', ';', '.']) && !name.contains('/');
    (plain && dotted(module) && dotted(attribute)).then(|| Script {
        name: name.to_owned(),
        module: module.to_owned(),
        attribute: attribute.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use testbed_model::image::{Architecture, ImagePath, WheelsLayer};
    use tokio_util::sync::CancellationToken;

    use super::{
        ImageError, Task, collect, entry_points, explained, pins, program, with_own_shebang,
        without_foreign_rows,
    };
    use crate::events::Events;
    use crate::host::clock::Clock;
    use crate::image::layer_tar;

    fn task(work: &Path) -> Task {
        Task {
            image: "tests".parse().unwrap(),
            architecture: Architecture::Arm64,
            work: work.to_owned(),
            events: Events::channel(Clock::start()).0,
            cancel: CancellationToken::new(),
        }
    }

    /// What one version of pip leaves for a package with one script.
    fn installed(folder: &Path, shebang: &str, script: &str) {
        let file = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("pkg/__init__.py", "");
        file("pkg/__pycache__/__init__.cpython-311.pyc", shebang);
        file("pkg-1.dist-info/entry_points.txt", "[console_scripts]\npkg = pkg.cli:main\n[other]\nx = y:z\n");
        file(
            "pkg-1.dist-info/RECORD",
            &format!("pkg/__init__.py,,\n../../bin/pkg,sha256={},1\n", script.len()),
        );
        file("pkg-1.dist-info/direct_url.json", shebang);
        file("bin/pkg", &format!("#!{shebang}\n{script}"));
        file("bin/tool.py", &format!("#!{shebang}\nprint(1)\n"));
    }

    #[test]
    fn two_hosts_with_two_pips_make_one_layer() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        installed(one.path(), "/usr/bin/python3.13", "import re, sys; main()");
        installed(two.path(), "/home/me/venv/bin/python", "import sys; sys.exit(main())");
        let written = [one, two].map(|folder| {
            let tree = collect(folder.path(), &layer(), &task(folder.path())).unwrap();
            let mut bytes = Vec::new();
            layer_tar::write(&tree, &mut bytes).unwrap();
            bytes
        });
        assert_eq!(written[0], written[1]);
        let text = String::from_utf8_lossy(&written[0]).into_owned();
        assert!(text.contains("from pkg.cli import main\n"), "{text}");
        assert!(!text.contains("direct_url") && !text.contains("venv") && !text.contains("../../bin"));
    }

    #[test]
    fn scripts_name_the_images_interpreter() {
        let check = |input: &str, expected: &str| {
            assert_eq!(String::from_utf8(with_own_shebang(input.as_bytes().to_vec())).unwrap(), expected);
        };
        check("#!/a/b/python3.12\nx\n", "#!/usr/bin/python3\nx\n");
        check(
            "#!/bin/sh\n'''exec' \"/a very long/python\" \"$0\" \"$@\"\n' '''\nx\n",
            "#!/usr/bin/python3\nx\n",
        );
        check("#!/bin/sh\nexec true\n", "#!/bin/sh\nexec true\n");
        check("\u{7f}ELF python", "\u{7f}ELF python");
        check("", "");
    }

    #[test]
    fn only_declared_commands_are_scripts() {
        let text = "# c\n[console_scripts]\na = m.n:f\nb=m:C.run [extra]\n# d = m:f\n../x = m:f\nbad = m\n\n[gui_scripts]\ng = m:g\n[x]\ny = z:w";
        let names: Vec<String> = entry_points(text).into_iter().map(|script| script.name).collect();
        assert_eq!(names, ["a", "b", "g"]);
        let run = &entry_points(text)[1];
        assert_eq!(
            String::from_utf8(run.program()).unwrap(),
            "#!/usr/bin/python3\nimport sys\nfrom m import C\nif __name__ == \"__main__\":\n    sys.exit(C.run())\n"
        );
    }

    #[test]
    fn a_record_keeps_its_own_rows_in_order() {
        let record = b"b.py,,\r\na.py,,\n../../bin/x,,\na.dist-info/INSTALLER,,\n";
        assert_eq!(without_foreign_rows(record), b"a.py,,\nb.py,,\n");
    }

    fn layer() -> WheelsLayer {
        WheelsLayer {
            requirements: "r.txt".into(),
            target: ImagePath::parse("/opt/x").unwrap(),
            python: "3.11".into(),
            glibc_minor: 36,
            exclude: Vec::new(),
        }
    }

    #[test]
    fn what_the_layer_excludes_is_not_in_it() {
        let folder = tempfile::tempdir().unwrap();
        installed(folder.path(), "/usr/bin/python3.11", "main()");
        let lean =
            WheelsLayer { exclude: vec!["/opt/x/pkg/*.py".into(), "/opt/x/bin/tool.*".into()], ..layer() };
        let tree = collect(folder.path(), &lean, &task(folder.path())).unwrap();
        let has = |path: &str| tree.get(&ImagePath::parse(path).unwrap()).is_some();
        assert!(has("/opt/x/bin/pkg") && has("/opt/x/pkg-1.dist-info/RECORD"));
        assert!(!has("/opt/x/pkg/__init__.py") && !has("/opt/x/bin/tool.py"));
    }

    #[test]
    fn pip_sees_only_the_pins_that_hold_for_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let hash = format!("--hash=sha256:{}", "a".repeat(64));
        let text = format!(
            "# by a tool\na[x]==1 ; python_version < '3.12' \\\n    {hash}\nb==2 ; python_version < '3' {hash}\n"
        );
        fs::write(folder.path().join("r.txt"), text).unwrap();
        let path = pins(&layer(), &folder.path().join("r.txt"), &task(folder.path())).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), format!("a==1 {hash}\n"));
    }

    #[test]
    fn a_package_without_a_wheel_is_told_apart_from_other_failures() {
        let failed = |line: &str| ImageError::Failed {
            image: "tests".parse().unwrap(),
            program: "pip".to_owned(),
            ended: "exit code 1".to_owned(),
            words: vec![line.to_owned()],
        };
        let task = task(Path::new("/work"));
        let error = explained(failed("ERROR: No matching distribution found for a==1"), &layer(), &task);
        assert_eq!(
            error.to_string(),
            "image `tests` cannot be built: `a==1` of `r.txt` has no wheel for Python 3.11 on arm64 with glibc 2.36"
        );
        let error = explained(failed("ERROR: something else"), &layer(), &task);
        assert!(matches!(error, ImageError::Failed { .. }), "{error}");
    }

    #[test]
    fn pip_is_asked_for_the_images_python_and_not_the_hosts() {
        let folder = Path::new("/work");
        let shown = program(&layer(), Path::new("/images/r.txt"), "python3", folder, &task(folder))
            .unwrap()
            .display();
        for part in
            ["--python-version=3.11", "--abi=cp311", "--platform=manylinux_2_36_aarch64", "--require-hashes"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
