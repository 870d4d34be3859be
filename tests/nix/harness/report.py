"""One line for each check, and the counts at the end."""

import time
from collections.abc import Callable


class CheckError(Exception):
    """Something is wrong: what, and how to put it right."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint

    def __str__(self) -> str:
        return self.what + (f"\nhint: {self.hint}" if self.hint else "")


class SkippedError(Exception):
    """A check cannot be made here, and why."""


class Report:
    """Prints results as they come, and counts them."""

    def __init__(self, strict: bool) -> None:
        # Where nothing may be left out, a skip is a failure.
        self.strict = strict
        self.passed = self.failed = self.skipped = 0

    def check(self, name: str, make: Callable[..., object], *arguments: object) -> bool:
        """Makes a check with these arguments; what it returns is shown beside its name."""
        start = time.monotonic()
        try:
            detail = make(*arguments)
        except SkippedError as why:
            if not self.strict:
                self.skipped += 1
                print(f"skipped  {name}: {why}", flush=True)
                return False
            problem = f"must not be skipped here, and was: {why}"
        except CheckError as error:
            problem = str(error)
        else:
            self.passed += 1
            seconds = time.monotonic() - start
            took = f" ({seconds:.1f} s)" if seconds >= 0.1 else ""
            print(f"ok       {name}{f': {detail}' if detail else ''}{took}", flush=True)
            return True
        self.failed += 1
        print(f"FAILED   {name}", flush=True)
        for line in problem.splitlines():
            print(f"         {line}", flush=True)
        return False

    def obtain(self, name: str, find: Callable[..., str], *arguments: object) -> str | None:
        """Finds something that further checks need; none if it is not there."""
        found: list[str] = []

        def keep() -> str:
            found.append(find(*arguments))
            return found[0]

        return found[0] if self.check(name, keep) else None

    def end(self) -> int:
        """Prints the counts; the exit code."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed else 0
