"""The Python files of one folder as modules: what changed is run again, what fails leaves its last good module."""

import hashlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from graphwire.errors import GraphInvalid, InvalidInput, Problem
from graphwire.graphs.code_trial import UNTRIED, CodeTrial
from graphwire.graphs.folder_files import FolderFile
from graphwire.graphs.prints import prints_of_this_thread
from graphwire.graphs.python_files import code_failed, imported_names, line_of
from graphwire.graphs.python_run import PythonRun

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PythonFile:
    """A file that ran.

    Attributes:
        digest: SHA-256, in hex, of the file and of those of the folder that it imports, directly or not.
    """

    file: FolderFile
    module: ModuleType
    digest: str


class PythonFolder:
    """Keeps the modules of a folder.

    Args:
        trial: Tries what is new in another process first; without it, nothing is tried and nothing has a time limit.
    """

    def __init__(self, trial: CodeTrial | None = None) -> None:
        self._trial = trial
        self._good: dict[str, PythonFile] = {}
        self._seen: dict[str, str] = {}
        self._failures: dict[str, Sequence[Problem]] = {}
        self._failed_at: dict[str, int] = {}
        self._imports: dict[str, frozenset[str]] = {}

    @property
    def good(self) -> Mapping[str, PythonFile]:
        """The last good state of each file that is there, by its stem."""
        return self._good

    @property
    def failures(self) -> Mapping[str, Sequence[Problem]]:
        """What is wrong with files as they are now, by their stems."""
        return self._failures

    def update(self, files: Iterable[FolderFile], unread: Iterable[str]) -> None:
        """Run what is new among the files that could be read; ``unread`` are stems of those that are there, too.

        What imports something new is new, and so is what failed and was saved again since.
        """
        found = {file.path.stem: file for file in files}
        for stem in self._seen.keys() - found.keys() - set(unread):
            for known in (self._good, self._seen, self._failures, self._failed_at):
                known.pop(stem, None)
        own = {stem: hashlib.sha256(file.data).hexdigest() for stem, file in found.items()}
        imports = self._imported(found, own)
        digests, order = _digests(own, imports)
        changed = [
            stem
            for stem in order
            if self._seen.get(stem) != digests[stem]
            or self._failed_at.get(stem, found[stem].modified_ns) != found[stem].modified_ns
        ]
        if not changed:
            return
        self._seen |= digests
        broken = self._failures.keys() - set(changed)
        wanted = {stem: digests[stem] for stem in changed}
        failed = {} if self._trial is None else self._trial.failures(found, wanted, broken)
        for stem, problem in failed.items():
            self._fail(found[stem], [problem])
            if problem is UNTRIED:
                self._seen[stem] = ""  # new once more
        kept = {stem: good.module for stem, good in self._good.items() if stem not in changed}
        run = PythonRun(found, kept, broken=broken | failed.keys(), imports=imports)
        for stem in changed:
            if stem in failed:
                continue
            try:
                module = self._in_time(run, stem)
            except InvalidInput as error:
                run.broken.add(stem)
                self._fail(found[stem], error.problems)
            else:
                self._failures.pop(stem, None)
                self._failed_at.pop(stem, None)
                self._good[stem] = PythonFile(found[stem], module, digests[stem])

    def _imported(self, files: Mapping[str, FolderFile], own: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
        """Return what each file imports. Parsing holds up the whole service, so it is done once for each content."""
        known = self._imports
        self._imports = {
            digest: known[digest] if digest in known else imported_names(files[stem]) for stem, digest in own.items()
        }
        return {stem: self._imports[digest] for stem, digest in own.items()}

    def _fail(self, file: FolderFile, problems: Sequence[Problem]) -> None:
        self._failures[file.path.stem] = problems
        self._failed_at[file.path.stem] = file.modified_ns

    def _in_time(self, run: PythonRun, stem: str) -> ModuleType:
        """Run a file. What passed its trial can still hang here: then its thread is left behind."""
        if self._trial is None:
            return run.module(stem)
        done: list[ModuleType | BaseException] = []

        def work() -> None:
            with prints_of_this_thread(lambda line: log.info("%s printed: %s", run.files[stem].path, line)):
                done.append(_outcome(lambda: run.module(stem)))

        thread = threading.Thread(target=work, name=f"run {stem}.py", daemon=True)
        thread.start()
        thread.join(self._trial.timeout_s)
        if not done:
            line = line_of(sys._current_frames().get(thread.ident or 0), str(run.files[stem].path))
            raise code_failed(f"in the service, the file still runs after {self._trial.timeout_s:g} s", line)
        if isinstance(done[0], BaseException):
            raise done[0]
        return done[0]


def _outcome(work: Callable[[], ModuleType]) -> ModuleType | BaseException:
    try:
        return work()
    except GraphInvalid as error:
        return error
    except BaseException as error:  # border: KeyboardInterrupt, raised by the file itself
        return code_failed(f"running the file raised {type(error).__name__}")


def _digests(own: Mapping[str, str], imports: Mapping[str, frozenset[str]]) -> tuple[dict[str, str], list[str]]:
    """Return the digest of each file with what it imports, and the stems: first what the others import."""
    reached: dict[str, set[str]] = {}
    for stem in own:
        waiting, seen = [stem], {stem}
        while waiting:
            new = (imports[waiting.pop()] & own.keys()) - seen
            seen |= new
            waiting += new
        reached[stem] = seen - {stem}
    digests = {}
    for stem, others in reached.items():
        parts = [own[stem], *(f"{other}:{own[other]}" for other in sorted(others))]
        digests[stem] = own[stem] if not others else hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return digests, sorted(own, key=lambda stem: (len(reached[stem]), stem))
