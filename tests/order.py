"""Which files of tests begin, and which go together in one process."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

# What takes longest begins first, so that at the end no process works alone; the rest follows by its path.
BEGIN_WITH = (
    "tests/e2e/test_workflow_runs.py",
    "tests/e2e/test_rollback.py",
    "tests/e2e/test_main_job.py",
    "tests/e2e/test_when_they_disagree.py",
    "tests/e2e/test_side_by_side.py",
    "tests/e2e/test_under_faults.py",
    "tests/e2e/test_canary.py",
    "tests/e2e/",
    "tests/image/",
    "tests/synth/",
    "tests/docs/",
    "tests/integration/",
)

# A file, and the one before it to which it belongs: one process runs both, and what is dear to set up is made once.
WITH = {
    "tests/e2e/test_rollback.py": "tests/e2e/test_workflow_runs.py",
    "tests/e2e/test_when_they_disagree.py": "tests/e2e/test_main_job.py",
}


def together(file: str) -> str:
    """The file with whose process a file's tests run."""
    return WITH.get(file, file)


class LoadFiles(LoadFileScheduling):
    """A file's tests in one process, and in the same one those of the file that belongs to it."""

    def _split_scope(self, nodeid: str) -> str:
        return together(super()._split_scope(nodeid))
