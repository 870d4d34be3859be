"""The marker ``needs``: what a case asks of the stack, and where that decides that it is executed.

A case whose needs the stack does not meet is skipped with the reason. In a run with several stacks a case is executed
once: one that an earlier stack serves, or that only a later one can, is left to that stack and deselected here.
"""

from typing import Dict, List, Mapping, Optional, Tuple

import pytest

from . import control, facts


class NeedsError(pytest.UsageError):
    """A case's ``needs`` marker cannot be understood."""


def apply(config, items, environ: Mapping[str, str]) -> None:
    """Deselect what other stacks of the run execute, and skip what this one cannot.

    Without facts nothing is left out: a case that needs a stack then fails in its fixtures, loudly. A run that was
    meant to have a stack must not turn green because its facts were lost.
    """
    try:
        profile = facts.load(environ)
    except facts.FactsError:
        return
    has_control = bool(environ.get(control.VARIABLE))
    kept, left = [], []
    for item in items:
        wanted = requirements(item)
        lacks = unmet(wanted, profile.stack_facts, has_control)
        others = [*profile.covered_by, *(profile.covered_later if lacks else ())]
        elsewhere = any(not unmet(wanted, other, has_control) for other in others)
        # What no stack of the run serves is skipped once, by the first of them.
        told = bool(lacks and profile.covered_by)
        if elsewhere or told:
            left.append(item)
            continue
        if lacks:
            reason = f"profile {profile.name} does not serve this case: it needs {'; and '.join(lacks)}"
            item.add_marker(pytest.mark.skip(reason=reason))
        kept.append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def requirements(item) -> Dict[str, object]:
    """Collect what a case needs, from its module's, its class's and its own markers; the nearest one wins."""
    wanted: Dict[str, object] = {}
    for mark in reversed(list(item.iter_markers("needs"))):
        if mark.args or not mark.kwargs:
            raise NeedsError(f"{item.nodeid}: `needs` takes named facts, such as needs(router='kv')")
        wanted.update(mark.kwargs)
    return wanted


def unmet(wanted: Mapping[str, object], stack_facts: Mapping[str, str], has_control: bool) -> List[str]:
    """Say what a stack with these facts lacks."""
    lacks: List[str] = []
    for name, value in wanted.items():
        if name == "control":
            if value and not has_control:
                lacks.append("control of the stack, which is not offered")
        elif name.endswith("_at_least"):
            fact = name[: -len("_at_least")]
            has = stack_facts.get(fact)
            if (number(has) or 0) < int(str(value)):
                lacks.append(f"{value} {fact}, has {has or 'none'}")
        else:
            has = stack_facts.get(name)
            if has not in options(value):
                lacks.append(f"{name} {' or '.join(options(value))}, has {has or 'none'}")
    return lacks


def number(text: Optional[str]) -> Optional[int]:
    """Read a fact as a whole number, if it is one."""
    return int(text) if text is not None and text.isdigit() else None


def options(value: object) -> Tuple[str, ...]:
    """Return the accepted values: one, or any of several."""
    if isinstance(value, (tuple, list, set, frozenset)):
        return tuple(facts.text(each) for each in value)
    return (facts.text(value),)
