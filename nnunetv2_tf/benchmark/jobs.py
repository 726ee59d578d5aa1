"""The work of a benchmark. In: the trainings of a matrix. Out: jobs, each after all that it needs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nnunetv2_tf.benchmark.fits import Fit, fits_of
from nnunetv2_tf.benchmark.job import Job
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.benchmark.postprocessing import Postprocessing
from nnunetv2_tf.methods.lookup import needed_by


def last_job(training: Training) -> Job:
    """Return the job with which a training is ready to be scored."""
    return training if training.matrix.postprocessing == "none" else Postprocessing(training)


def needs_of(job: Job) -> list[Job]:
    """Return what has to be done before a job: fits before trainings, a baseline before fits and filters."""
    if isinstance(job, Training):
        filtering = [job.baseline] if job.arm.filter else []
        return [*filtering, *fits_of(job)]
    if isinstance(job, Postprocessing):
        return [job.training]
    if isinstance(job, Fit):
        before = [replace(job, method=method) for method in needed_by(job.method)]
        return [job.baseline, *before]
    return []


def with_needs(jobs: Iterable[Job]) -> Iterator[Job]:
    """Yield each unfinished job once, after all that it needs and that is not done."""
    seen: set[str] = set()

    def visit(job: Job) -> Iterator[Job]:
        if job.key in seen or job.state == "done":
            return
        seen.add(job.key)
        for needed in needs_of(job):
            yield from visit(needed)
        yield job

    for job in jobs:
        yield from visit(job)
