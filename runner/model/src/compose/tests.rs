//! What the reader takes, and how it refuses the rest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::subset::{KEYS, Section, Status, reference};
use super::{ComposeFile, parse};
use crate::hint::Hint as _;
use crate::stack::{Condition, Mount, Probe};

const FILES: [(&str, &str); 3] = [
    ("compose/mocker.yaml", include_str!("../../../../compose/mocker.yaml")),
    ("compose/mocker-disagg.yaml", include_str!("../../../../compose/mocker-disagg.yaml")),
    ("compose/mocker-file.yaml", include_str!("../../../../compose/mocker-file.yaml")),
];

fn read(text: &str) -> ComposeFile {
    parse("compose/s.yaml", text, &BTreeMap::new()).unwrap_or_else(|error| panic!("{}", shown(&error)))
}

fn shown(error: &super::ComposeError) -> String {
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{error}\n{}{hint}", error.rendered().unwrap_or_default())
}

fn refusal(text: &str) -> String {
    match parse("compose/s.yaml", text, &BTreeMap::new()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => shown(&error),
    }
}

/// The message alone, of a service that has some keys besides its image.
fn service_refusal(keys: &str) -> String {
    let text = format!("services:\n  a:\n    image: testbed/a\n{keys}\n  b: {{image: testbed/b}}\n");
    match parse("s.yaml", &text, &BTreeMap::new()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_bundled_stacks_are_in_the_subset() {
    for (file, text) in FILES {
        let stack = parse(file, text, &BTreeMap::new()).unwrap_or_else(|error| panic!("{}", shown(&error)));
        assert!(stack.services.contains_key("frontend"), "{file}");
        assert!(stack.ready.is_some(), "{file}");
        assert!(stack.facts.contains_key("request_plane"), "{file}");
        let models = Mount::Bind { source: "models".into(), target: "/models".into(), read_only: true };
        assert!(stack.services["frontend"].mounts.contains(&models), "{file}");
    }
}

#[test]
fn a_service_is_read_whole() {
    let stack = read(
        r#"
services:
  a:
    image: testbed/dynamo:latest
    command: python3 -c "print('$$HOME')"
    entrypoint: [tini, --]
    environment: [A=1, B=x=y]
    user: "1000"
    volumes:
      - data:/data
      - type: bind
        source: ./settings
        target: /etc/app/
        read_only: true
      - {type: tmpfs, target: /scratch, tmpfs: {size: 1m}}
    tmpfs: /tmp:size=64m,mode=1777
    configs: [{source: cfg, target: /etc/cfg.yaml}]
    depends_on: [b]
    healthcheck: {test: curl -f http://localhost, interval: 1s, timeout: 500ms, retries: 5, start_period: 1m}
    deploy:
      resources:
        limits: {cpus: "0.5", memory: 64m}
        reservations:
          devices: [{driver: nvidia, count: 2, capabilities: [gpu]}]
    pids_limit: ${PIDS:-128}
    cpu_shares: 256
    shm_size: 1g
    ulimits: {nofile: 1024, memlock: {soft: -1, hard: -1}}
    cap_add: [CAP_SYS_PTRACE]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    networks: {stack: {aliases: [registry]}}
    stop_grace_period: 1m30s
    x-testbed: {probe: {http: {port: 8000, path: /live, contains: ok}}}
  b: {image: testbed/b, profiles: []}
networks: {stack: }
volumes: {data: }
configs: {cfg: {file: ../files/cfg.yaml}}
"#,
    );
    insta::assert_debug_snapshot!(stack.services["a"]);
}

#[test]
fn every_key_of_the_table_is_read_and_every_refused_key_says_why() {
    for key in KEYS {
        let (name, example) = match key.status {
            Status::Supported { example, .. } => (key.name, example),
            Status::Refused { .. } => (key.name, "{}"),
        };
        let text = with_key(key.section, name, example);
        let outcome = parse("compose/s.yaml", &text, &BTreeMap::new());
        match (key.status, outcome) {
            (Status::Supported { .. }, Ok(_)) => {}
            (Status::Supported { .. }, Err(error)) => panic!("{text}\n{}", shown(&error)),
            (Status::Refused { .. }, Ok(_)) => panic!("accepted although refused:\n{text}"),
            (Status::Refused { why, instead }, Err(error)) => {
                assert!(error.to_string().contains(why), "{text}\n{error}");
                assert_eq!(error.hint().as_deref(), Some(instead), "{text}");
            }
        }
    }
}

/// A whole file in which one section holds one key, besides what the section requires.
fn with_key(section: Section, name: &str, example: &str) -> String {
    let pair = format!("{name}: {example}");
    let and = |required: &str| {
        let own = required.split(',').filter(|part| part.trim().split(':').next() != Some(name));
        own.chain([pair.as_str()]).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    };
    let service = |keys: &str| {
        format!(
            "services:\n  a: {{{keys}}}\n  b: {{image: testbed/b}}\nvolumes: {{data: {{}}}}\n\
             networks: {{stack: {{}}}}\nconfigs: {{settings: {{file: ./settings.yaml}}}}\n"
        )
    };
    let in_service = |keys: &str| service(&format!("image: testbed/a, {keys}"));
    match section {
        Section::File if name == "services" => format!("{pair}\n"),
        Section::File => format!("services: {{a: {{image: testbed/a}}}}\n{pair}\n"),
        Section::Service => service(&and("image: testbed/a")),
        Section::DependsOn => in_service(&format!("depends_on: {{b: {{{pair}}}}}")),
        Section::Healthcheck => in_service(&format!("healthcheck: {{{}}}", and("test: a"))),
        Section::Deploy => in_service(&format!("deploy: {{{pair}}}")),
        Section::Resources => in_service(&format!("deploy: {{resources: {{{pair}}}}}")),
        Section::Limits => in_service(&format!("deploy: {{resources: {{limits: {{{pair}}}}}}}")),
        Section::Reservations => in_service(&format!("deploy: {{resources: {{reservations: {{{pair}}}}}}}")),
        Section::Device => in_service(&format!(
            "deploy: {{resources: {{reservations: {{devices: [{{{}}}]}}}}}}",
            and("capabilities: [gpu]")
        )),
        Section::Mount if name == "tmpfs" => {
            in_service(&format!("volumes: [{{type: tmpfs, target: /data, {pair}}}]"))
        }
        Section::Mount => {
            in_service(&format!("volumes: [{{{}}}]", and("type: volume, target: /data, source: data")))
        }
        Section::ConfigMount => in_service(&format!("configs: [{{{}}}]", and("source: settings"))),
        Section::Attachment => in_service(&format!("networks: {{stack: {{{pair}}}}}")),
        Section::Network => {
            format!("services: {{a: {{image: testbed/a}}}}\nnetworks: {{stack: {{{pair}}}}}\n")
        }
        Section::Volume => format!("services: {{a: {{image: testbed/a}}}}\nvolumes: {{data: {{{pair}}}}}\n"),
        Section::Config => {
            format!(
                "services: {{a: {{image: testbed/a}}}}\nconfigs: {{settings: {{{}}}}}\n",
                and("file: ./x")
            )
        }
        Section::ServiceExtension => in_service(&format!("x-testbed: {{{pair}}}")),
        Section::FileExtension => format!("services: {{a: {{image: testbed/a}}}}\nx-testbed: {{{pair}}}\n"),
        Section::Probe => in_service(&format!("x-testbed: {{probe: {{{pair}}}}}")),
    }
}

#[test]
fn the_reference_page_is_the_table() {
    let page = include_str!("../../../../docs/reference/compose.md");
    assert!(
        page == reference(),
        "docs/reference/compose.md differs from the table; write it anew with \
         `cargo run -p testbed-model --example compose_reference > docs/reference/compose.md`"
    );
}

#[test]
fn an_unknown_key_offers_the_nearest() {
    insta::assert_snapshot!(refusal("services:\n  nats:\n    imge: testbed/nats\n"), @"
    compose/s.yaml:3:5: unknown key `imge` in `services.nats`
    3 |     imge: testbed/nats
      |     ^
    hint: did you mean `image`?
    ");
    insta::assert_snapshot!(refusal("service:\n  nats: {}\n"), @"
    compose/s.yaml:1:1: unknown key `service`
    1 | service:
      | ^
    hint: did you mean `services`?
    ");
    insta::assert_snapshot!(refusal("services: {a: {image: testbed/a}}\nx-testbet: {}\n"), @"
    compose/s.yaml:2:1: unknown key `x-testbet`
    2 | x-testbet: {}
      | ^
    hint: did you mean `x-testbed`?
    ");
    insta::assert_snapshot!(refusal("services:\n  a:\n    image: testbed/a\n    x-testbed: {prob: {tcp: {port: 1}}}\n"), @"
    compose/s.yaml:4:17: unknown key `prob` in `services.a.x-testbed`
    4 |     x-testbed: {prob: {tcp: {port: 1}}}
      |                 ^
    hint: did you mean `probe`?
    ");
}

#[test]
fn a_key_of_compose_that_does_not_fit_says_why() {
    insta::assert_snapshot!(refusal("services:\n  nats:\n    image: testbed/nats\n    ports: ['4222:4222']\n"), @"
    compose/s.yaml:4:5: `ports` is not supported in `services.nats`: a stack is closed, the host cannot reach into it
    4 |     ports: ['4222:4222']
      |     ^
    hint: probe and test from inside the network
    ");
}

#[test]
fn a_circle_of_dependencies_is_printed() {
    let text = "services:
  a: {image: testbed/a, depends_on: [b]}
  b: {image: testbed/b, depends_on: [c]}
  c: {image: testbed/c, depends_on: [d, b]}
  d: {image: testbed/d}
";
    insta::assert_snapshot!(refusal(text), @"
    compose/s.yaml:4:41: `depends_on` goes in a circle: `b` -> `c` -> `b`
    4 |   c: {image: testbed/c, depends_on: [d, b]}
      |                                         ^
    hint: leave one of these dependencies out
    ");
    insta::assert_snapshot!(refusal("services:\n  a: {image: testbed/a, depends_on: {a: {condition: service_started}}}\n"), @"
    compose/s.yaml:2:38: `depends_on` goes in a circle: `a` -> `a`
    2 |   a: {image: testbed/a, depends_on: {a: {condition: service_started}}}
      |                                      ^
    hint: leave one of these dependencies out
    ");
}

#[test]
fn what_is_referred_to_must_exist() {
    insta::assert_snapshot!(refusal("services:\n  a: {image: testbed/a, depends_on: [natz]}\n  nats: {image: testbed/a}\n"), @"
    compose/s.yaml:2:38: the service `a` depends on `natz`, which does not exist
    2 |   a: {image: testbed/a, depends_on: [natz]}
      |                                      ^
    hint: did you mean `nats`?
    ");
    assert_eq!(
        service_refusal("    volumes: [data:/data]"),
        "s.yaml:4:15: `services.a.volumes[0]` names the volume `data`, which is not declared at the top level"
    );
    assert_eq!(
        service_refusal("    networks: [stack]"),
        "s.yaml:4:16: the network `stack` is not declared at the top level"
    );
    assert_eq!(
        service_refusal("    configs: [c]"),
        "s.yaml:4:15: `services.a.configs[0]` names the config `c`, which is not declared at the top level"
    );
    assert_eq!(
        refusal("services: {a: {image: testbed/a}}\nx-testbed: {ready: {tcp: {service: b, port: 1}}}\n")
            .lines()
            .next(),
        Some("compose/s.yaml:2:36: `x-testbed.ready.tcp.service` names the unknown service `b`")
    );
}

/// Keys of a service, and what is said of them; the file is `s.yaml`.
const REFUSED: &[(&str, &str)] = &[
    ("    read_only: yes", "4:16: `services.a.read_only` must be `true` or `false`, not `yes`"),
    ("    command: {a: b}", "4:14: `services.a.command` must be text, not a map"),
    ("    command: 'a \"b'", "4:14: `services.a.command` has a quote that does not end"),
    (
        "    environment: {A: true}",
        "4:22: `services.a.environment.A` must be text or a number, not the truth value `true`",
    ),
    (
        "    environment: {A: no}",
        "4:22: `services.a.environment.A` is ambiguous: some readers take `no` for a truth value",
    ),
    (
        "    environment: {A: 010}",
        "4:22: `services.a.environment.A` is ambiguous: some readers take `010` for a number",
    ),
    (
        "    environment: {A: }",
        "4:20: `services.a.environment.A` has no value for `A`: a value from the host would not be hermetic",
    ),
    (
        "    environment: [A]",
        "4:19: `services.a.environment[0]` has no value for `A`: a value from the host would not be hermetic",
    ),
    ("    pids_limit: '12'", "4:17: `services.a.pids_limit` must be a whole number, not `12`"),
    ("    pids_limit: -1", "4:17: `services.a.pids_limit` is out of range: `-1`"),
    ("    cpu_shares: 1", "4:17: `services.a.cpu_shares` must be from 2 to 262144"),
    (
        "    mem_limit: 5 apples",
        "4:16: `services.a.mem_limit` must be a size such as `512m` or `2GiB`, not `5 apples`",
    ),
    ("    mem_limit: 1m", "4:16: `services.a.mem_limit` must be at least `6m`, which the daemon wants"),
    ("    cpus: 0.001", "4:11: `services.a.cpus` must be at least `0.01`, which the daemon wants"),
    (
        "    stop_grace_period: 10",
        "4:24: `services.a.stop_grace_period` must be a duration such as `30s` or `1m30s`, not `10`",
    ),
    (
        "    depends_on: {b: {condition: service_helthy}}",
        "4:33: `services.a.depends_on.b.condition` cannot be `service_helthy`",
    ),
    (
        "    depends_on: {b: {condition: service_healthy}}",
        "4:18: the service `a` waits until `b` is healthy, but nothing says when that is",
    ),
    (
        "    healthcheck: {test: [curl]}",
        "4:25: `services.a.healthcheck.test` must be `[CMD, PROGRAM, ...]`, `[CMD-SHELL, TEXT]` or `[NONE]`",
    ),
    ("    healthcheck: {interval: 1s}", "4:5: the key `test` is missing in `services.a.healthcheck`"),
    ("    user: root", "4:11: `services.a.user` must be `uid` or `uid:gid` in numbers, not `root`"),
    (
        "    cap_add: [sys_ptrace]",
        "4:15: `services.a.cap_add[0]` must be a capability such as `SYS_PTRACE`, not `sys_ptrace`",
    ),
    (
        "    security_opt: [seccomp=unconfined]",
        "4:20: `services.a.security_opt[0]` cannot be `seccomp=unconfined`: only `no-new-privileges` is supported",
    ),
    ("    hostname: other", "4:15: `services.a.hostname` must be `a`: a service's host name is its name"),
    (
        "    labels: {dev.testbed.run: x}",
        "4:13: `services.a.labels` has `dev.testbed.run`: labels that start with `dev.testbed.` are Testbed's own",
    ),
    (
        "    ulimits: {nofile: {soft: 2, hard: 1}}",
        "4:23: `services.a.ulimits.nofile` has a soft limit above its hard limit: `2` and `1`",
    ),
    (
        "    working_dir: work",
        "4:18: `services.a.working_dir` must be an absolute path in the container, not `work`",
    ),
    (
        "    tmpfs: ['/tmp:uid=1']",
        "4:13: `services.a.tmpfs[0]` has the option `uid=1`, which is not supported",
    ),
    (
        "    tmpfs: [/tmp, /tmp/]",
        "4:19: `services.a.tmpfs[1]` mounts over `/tmp`, where line 4 mounts already",
    ),
    (
        "    volumes: [/data]",
        "4:15: `services.a.volumes[0]` must be `SOURCE:TARGET` or `SOURCE:TARGET:ro`, not `/data`",
    ),
    ("    volumes: [/root/x:/x:ro]", "4:15: `services.a.volumes[0]` has the path `/root/x` of one machine"),
    (
        "    volumes: [../../x:/x:ro]",
        "4:15: `services.a.volumes[0]` has the path `../../x`, which leaves the configuration",
    ),
    (
        "    volumes: [./x:/x]",
        "4:15: `services.a.volumes[0]` would let the service write into `x` of the project",
    ),
    (
        "    volumes: [./x:/x:z]",
        "4:15: `services.a.volumes[0]` cannot have the mode `z`; `ro` and `rw` are supported",
    ),
    (
        "    x-testbed: {probe: {}}",
        "4:24: `services.a.x-testbed.probe` must have exactly one of `tcp`, `http`, `chat`",
    ),
    (
        "    x-testbed: {probe: {tcp: {port: 70000}}}",
        "4:37: `services.a.x-testbed.probe.tcp.port` is out of range: `70000`",
    ),
    (
        "    x-testbed: {probe: {http: {port: 1, path: live}}}",
        "4:47: `services.a.x-testbed.probe.http.path` must start with `/` and hold no space: `live`",
    ),
    (
        "    cpus: 1\n    deploy: {resources: {limits: {cpus: 1}}}",
        "4:11: `services.a.cpus` says again what `deploy.resources.limits.cpus` says",
    ),
];

#[test]
fn values_of_another_type_or_range_are_refused() {
    for (keys, message) in REFUSED {
        assert_eq!(service_refusal(keys), format!("s.yaml:{message}"), "{keys}");
    }
}

#[test]
fn images_are_named_as_in_the_lock() {
    for image in
        ["nginx", "testbed/", "testbed/a:1.0", "testbed/a@sha256:00", "docker.io/testbed/a", "testbed/A"]
    {
        let message = refusal(&format!("services: {{a: {{image: '{image}'}}}}"));
        assert!(message.contains("the lock pins every image"), "{message}");
    }
    assert_eq!(
        refusal("services:\n  a: {command: [x]}\n").lines().next(),
        Some("compose/s.yaml:2:3: the service `a` has no `image`")
    );
}

#[test]
fn names_that_cannot_be_dns_names_are_refused() {
    for name in ["-a", "a-", "A", "a_b", "a.b", "ä"] {
        let message = refusal(&format!("services: {{'{name}': {{image: testbed/a}}}}"));
        assert!(message.contains("it would be no DNS name"), "{message}");
    }
}

#[test]
fn a_second_network_is_refused() {
    let message = refusal("services: {a: {image: testbed/a}}\nnetworks:\n  one: {}\n  two: {}\n");
    assert!(message.starts_with("compose/s.yaml:4:3: the network `two` is a second one"), "{message}");
}

#[test]
fn a_service_of_a_compose_profile_takes_part_only_with_it() {
    let stack = read("services:\n  a: {image: testbed/a}\n  b: {image: testbed/b, profiles: [extra]}\n");
    let names = |profiles: &[&str]| -> Vec<String> {
        let profiles = profiles.iter().map(|p| (*p).to_owned()).collect();
        stack.enabled(&profiles).map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&[]), ["a"]);
    assert_eq!(names(&["extra"]), ["a", "b"]);
    let message = refusal(
        "services:\n  a: {image: testbed/a, depends_on: [b]}\n  b: {image: testbed/b, profiles: [extra]}\n",
    );
    assert!(message.contains("takes part in fewer Compose profiles"), "{message}");
}

#[test]
fn merged_services_are_services_of_their_own() {
    let stack = read(
        "x-worker: &worker\n  image: testbed/dynamo\n  x-testbed: {probe: {tcp: {port: 9090}}}\n\
         services:\n  one: {<<: *worker}\n  two: {<<: *worker, depends_on: {one: {condition: service_healthy}}}\n",
    );
    assert_eq!(stack.services["two"].probe, Some(Probe::Tcp { port: 9090 }));
    assert_eq!(stack.services["two"].depends_on["one"].value, Condition::ServiceHealthy);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}") {
        let _ = parse("s.yaml", &text, &BTreeMap::new());
    }

    #[test]
    fn no_mutation_of_a_stack_makes_the_reader_panic(
        which in 0..FILES.len(),
        from in 0_usize..4000,
        length in 0_usize..60,
        inserted in "[\\PC\\n]{0,12}",
    ) {
        let (file, text) = FILES[which];
        let chars: Vec<char> = text.chars().collect();
        let from = from.min(chars.len());
        let to = (from + length).min(chars.len());
        let mutated: String =
            chars[..from].iter().copied().chain(inserted.chars()).chain(chars[to..].iter().copied()).collect();
        if let Err(error) = parse(file, &mutated, &BTreeMap::new()) {
            let lines = mutated.lines().count() + 1;
            prop_assert!(usize::try_from(error.0.place.line).unwrap() <= lines, "{}", error);
        }
    }

    #[test]
    fn any_key_in_a_service_is_read_or_refused_at_its_own_place(key in "[a-z_]{1,14}") {
        let text = format!("services:\n  a:\n    image: testbed/a\n    {key}: [[]]\n");
        if key != "image" {
            let error = parse("s.yaml", &text, &BTreeMap::new()).unwrap_err();
            prop_assert_eq!(error.0.place.line, 4);
        }
    }
}
