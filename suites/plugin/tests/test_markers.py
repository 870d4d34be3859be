"""Markers: every spelling is known, and every case ends up with a tier and hardware."""

import pytest

from testbed_pytest import markers

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


@pytest.mark.parametrize(
    ("names", "added"),
    [
        (set(), ["pre_merge", "gpu_0"]),
        ({"unit"}, ["pre_merge", "gpu_0"]),
        ({"nightly"}, ["gpu_0"]),
        ({"gpu_1"}, ["pre_merge"]),
        ({"h100", "release"}, []),
        ({"k8s", "weekly"}, []),
        ({"xpu_2"}, ["pre_merge"]),
        ({"premerge"}, ["pre_merge", "gpu_0"]),
        ({"pre-merge", "gpus_needed_2"}, ["gpu_2", "pre_merge"]),
        ({"postmerge", "gpu_0"}, ["post_merge"]),
        ({"premerge", "pre_merge", "gpu_0"}, []),
        ({"tensorrt_llm", "kv_router", "pre_merge", "gpu_1"}, ["router", "trtllm"]),
    ],
)
def test_a_case_gets_what_it_lacks(names, added):
    assert markers.missing(names) == added


def test_an_alias_stands_for_a_registered_marker():
    known = {signature.split("(")[0] for signature in markers.MARKERS}
    assert set(markers.ALIASES.values()) <= known
    assert not set(markers.ALIASES) & known


def test_every_marker_passes_strictness(pytester, run):
    names = [signature.split("(")[0] for signature in markers.MARKERS] + list(markers.ALIASES)
    # `needs` has rules of its own; those that other plugins or pytest define have arguments of their own.
    plain = [name for name in names if name not in ("needs", "flaky", "timeout", "skip", "xfail")]
    decorators = "".join(f"@getattr(pytest.mark, {name!r})\n" for name in plain)
    pytester.makepyfile(f"import pytest\n{decorators}def test_all(): pass\n")
    run("--strict-markers").assert_outcomes(passed=1)


def test_an_unknown_marker_still_fails(pytester, run):
    pytester.makepyfile("import pytest\n@pytest.mark.no_such_marker\ndef test_it(): pass\n")
    result = run("--strict-markers")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*'no_such_marker' not found in `markers`*"])


@pytest.mark.parametrize(
    ("expression", "selected"),
    [("pre_merge", 2), ("pre_merge and gpu_0", 1), ("post_merge", 1), ("gpu_1", 2), ("not gpu_1", 1)],
)
def test_expressions_see_completed_markers(pytester, run, expression, selected):
    pytester.makepyfile(
        """
        import pytest
        def test_unmarked(): pass
        @pytest.mark.premerge
        @pytest.mark.gpus_needed_1
        def test_older_spelling(): pass
        @pytest.mark.postmerge
        @pytest.mark.gpu_1
        def test_later(): pass
        """
    )
    result = run("-m", expression)
    result.assert_outcomes(passed=selected, deselected=3 - selected)
