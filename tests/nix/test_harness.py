"""Tests of the harness itself; `run` executes them first."""

# The harness runs where there is no pytest.
# ruff: noqa: PT027

import contextlib
import io
import pathlib
import tempfile
import unittest
from unittest import mock

from harness import built, ground, interface, machine, mistakes, rules
from harness.report import CheckError, Report, SkippedError


def printed(strict: bool, make: object) -> tuple[str, int]:
    """What a report prints of one check, and its exit code."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        report = Report(strict)
        report.check("a check", make)  # type: ignore[arg-type]
        code = report.end()
    return told.getvalue(), code


def failing(what: str, hint: str = "") -> object:
    def make() -> str:
        raise CheckError(what, hint)

    return make


def skipping() -> str:
    raise SkippedError("no such program")


class Reports(unittest.TestCase):
    def test_a_check_that_holds_is_counted(self) -> None:
        assert printed(True, lambda: "3 files") == ("ok       a check: 3 files\n1 passed, 0 failed\n", 0)

    def test_a_check_that_fails_says_why_and_what_to_do(self) -> None:
        told, code = printed(False, failing("`x` is not there", "add `x`"))
        assert told == "FAILED   a check\n         `x` is not there\n         hint: add `x`\n0 passed, 1 failed\n"
        assert code == 1

    def test_a_skip_is_told_and_is_a_failure_where_nothing_may_be_left_out(self) -> None:
        told, code = printed(False, skipping)
        assert (told, code) == ("skipped  a check: no such program\n0 passed, 0 failed, 1 skipped\n", 0)
        told, code = printed(True, skipping)
        assert "must not be skipped here, and was: no such program" in told
        assert code == 1


class Programs(unittest.TestCase):
    def test_without_nix_and_leave_to_install_the_way_out_is_told(self) -> None:
        with (
            mock.patch("shutil.which", return_value=None),
            self.assertRaisesRegex(SkippedError, "apt-get install nix-bin"),
        ):
            machine.find_nix(may_install=False)

    def test_what_cannot_be_installed_is_a_failure(self) -> None:
        with mock.patch("shutil.which", return_value=None), self.assertRaisesRegex(CheckError, "only root on Debian"):
            machine.find_nix(may_install=True)

    def test_a_linter_that_is_missing_is_named_with_the_command(self) -> None:
        nowhere = {"XDG_CACHE_HOME": "/nonexistent"}
        with mock.patch("shutil.which", return_value=None), mock.patch.dict("os.environ", nowhere):
            with self.assertRaisesRegex(SkippedError, "cargo install deadnix@"):
                machine.find_linter("deadnix", may_install=False)
            with self.assertRaisesRegex(CheckError, "no cargo"):
                machine.find_linter("deadnix", may_install=True)


class Reading(unittest.TestCase):
    def used(self, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "a.nix")
            file.write_text(text)
            return list(interface.used([file]))

    def test_attributes_are_found_in_code_in_strings_and_in_inherit(self) -> None:
        assert self.used("{ a = pkgs.git; }") == ["pkgs.git"]
        assert self.used("''${pkgs.glibc}/lib ${lib.getExe x}''") == ["lib.getExe", "pkgs.glibc"]
        assert self.used("inherit (pkgs.stdenv) cc hostPlatform;") == [
            "pkgs.stdenv",
            "pkgs.stdenv.cc",
            "pkgs.stdenv.hostPlatform",
        ]
        assert self.used("python.withPackages (p: [ p.pip ])") == ["pkgs.python311.withPackages"]

    def test_comments_paths_and_words_that_only_look_alike_are_no_attributes(self) -> None:
        assert self.used("# pkgs.git\n/* lib.a */ ./lib.nix my-pkgs.x builtins.toJSON") == []

    def test_with_is_refused_for_it_hides_what_is_used(self) -> None:
        with self.assertRaisesRegex(CheckError, "`with pkgs;` hides"):
            self.used("with pkgs; [ git ]")

    def test_a_hash_has_its_length_and_alphabet(self) -> None:
        assert rules.is_sri("sha256-" + "A" * 43 + "=")
        for text in ("", "sha256-", "sha256-" + "A" * 42 + "=", "sha512-" + "A" * 43 + "=", "sha256-" + "*" * 43 + "="):
            assert not rules.is_sri(text), text

    def test_what_nix_says_is_told_without_its_account_of_replaced_inputs(self) -> None:
        replaced = "• Updated input 'nixpkgs':\n    'a'\n  → 'b'"
        error = f"warning: not writing modified lock file of flake 'x':\n{replaced}\nerror: gone"
        assert ground.told(error) == "error: gone"


class Mistakes(unittest.TestCase):
    def test_a_mistake_that_nothing_notices_is_a_failure(self) -> None:
        with self.assertRaisesRegex(CheckError, "nothing was noticed"):
            mistakes.refused(lambda: None, "anything")

    def test_a_message_that_does_not_help_is_a_failure(self) -> None:
        with self.assertRaisesRegex(CheckError, "does not say `hint: `"):
            mistakes.refused(failing("`x` is wrong"), "`x` is wrong", "hint: ")  # type: ignore[arg-type]

    def test_every_tool_of_the_shell_is_asked_for_once(self) -> None:
        assert len(built.TOOLS) == len(set(built.TOOLS))


if __name__ == "__main__":
    unittest.main()
