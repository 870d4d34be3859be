//! Image locks that cannot be used.

use testbed_model::exit_code::ExitCode;

use crate::site::Site;

#[test]
fn a_lock_that_is_not_there_is_named() {
    let site = Site::small().without("images");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: cannot read `[site]/images/images.lock.json`: No such file or directory (os error 2)
    hint: restore it, or name another folder by `--root PATH`
    ");
}

#[test]
fn an_unknown_key_of_the_lock_names_file_line_and_column() {
    let text = "{ \"schema\": 1,\n  \"images\": {\n    \"nats\": { \"pul\": {} } } }";
    let told = Site::small().with("images/images.lock.json", text).refuses(["plan"], ExitCode::Usage);
    insta::assert_snapshot!(told, @r#"
    error: [site]/images/images.lock.json:3:15: unknown key `pul` in `images.nats`
      3 |     "nats": { "pul": {} } } }
        |               ^
    hint: did you mean `pull`?
    "#);
}

#[test]
fn a_digest_that_is_none_names_its_place() {
    let text = "{ \"schema\": 1,\n  \"images\": {\n    \"nats\": { \"pull\": { \"repository\": \"127.0.0.1:1/x\", \"tag\": \"1\", \"digest\": \"sha256:12\" } } } }";
    let told = Site::small().with("images/images.lock.json", text).refuses(["plan"], ExitCode::Usage);
    insta::assert_snapshot!(told, @r#"
    error: [site]/images/images.lock.json:3:78: `images.nats.pull.digest` is wrong: `sha256:12` is not a digest (`sha256:` and 64 lower-case hexadecimal digits)
      3 |     "nats": { "pull": { "repository": "127.0.0.1:1/x", "tag": "1", "digest": "sha256:12" } } } }
        |                                                                              ^
    hint: a registry prints it (`docker buildx imagetools inspect NAME:TAG`), and so does `docker image inspect NAME`
    "#);
}

#[test]
fn a_recipe_that_is_not_there_is_named_with_who_names_it() {
    let text = "{ \"schema\": 1,\n  \"images\": {\n    \"nats\": { \"build\": { \"recipe\": \"recipes/nats.toml\" } } } }";
    let told = Site::small().with("images/images.lock.json", text).refuses(["plan"], ExitCode::Usage);
    insta::assert_snapshot!(told, @r"
    error: `[site]/images/recipes/nats.toml`, which `images.lock.json` names, is not there
    hint: put it there, or correct `images.lock.json`
    ");
}

#[test]
fn an_unknown_image_offers_the_nearest() {
    for verb in ["build", "verify"] {
        let told = Site::small().refuses(["images", verb, "nast"], ExitCode::Environment);
        assert!(
            told.contains("no container engine answers"),
            "without a daemon there is nothing to look at:\n{told}"
        );
    }
}
