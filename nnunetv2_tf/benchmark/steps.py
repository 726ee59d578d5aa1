"""What `nnUNetv2_tf_benchmark` does, step by step. In: a request. Out: trainings, tables, pictures, sentences."""

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.benchmark.checks import checked_matrix, claim_folder
from nnunetv2_tf.benchmark.disk import room_needed
from nnunetv2_tf.benchmark.hours import Estimate
from nnunetv2_tf.benchmark.job import Job
from nnunetv2_tf.benchmark.jobs import last_job, needs_of, with_needs
from nnunetv2_tf.benchmark.matrix import Matrix, Training
from nnunetv2_tf.benchmark.pausing import send_to_all
from nnunetv2_tf.benchmark.pictures import paint
from nnunetv2_tf.benchmark.report import Report, detectable, make_reports
from nnunetv2_tf.benchmark.running import JobOutcome, Runner, check_gpus
from nnunetv2_tf.benchmark.score_table import kept_rows, matrix_rows, write_scores
from nnunetv2_tf.benchmark.scores import Row, code_of, score_training
from nnunetv2_tf.benchmark.times import times_file
from nnunetv2_tf.benchmark.verification import problems
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.code_version import code_version
from nnunetv2_tf.dataset.folders import Dataset, nnunet_folder
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import whole_file
from nnunetv2_tf.io.parallel import Share

STYLE = (
    "body{font-family:sans-serif;max-width:75em;margin:2em auto}td,th{padding:.2em .6em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}table{border-collapse:collapse}th{border-bottom:1px solid}"
)


@dataclass(frozen=True)
class BenchmarkRequest:
    """What nnUNetv2_tf_benchmark is asked for; each step takes of it what it needs."""

    path: Path  # MATRIX.json
    output: Path | None  # tables and logs; None: beside nnU-Net's results
    device: str
    num_processes: int  # jobs, or cases to score, at once
    gpus: tuple[int, ...]  # to train on in turn
    share: Share
    arms: tuple[str, ...]  # to train; none: all
    sd: float | None  # of cases' differences in Dice, where it is known
    allow_changes: bool  # train although the checkout of nnunetv2_tf has uncommitted changes
    scores: Path | None  # benchmark.csv of trainings whose folders may be gone

    @property
    def folder(self) -> Path:
        """The folder of tables and logs."""
        return self.output or nnunet_folder("nnUNet_results") / "tf_benchmark" / self.path.stem


@dataclass(frozen=True)
class Work:
    """A matrix, and how far it has got."""

    matrix: Matrix
    trainings: tuple[Training, ...]
    kept: Mapping[str, Sequence[Row]]  # rows of -scores, by the training's key

    @classmethod
    def of(cls, request: BenchmarkRequest) -> "Work":
        """Read the matrix and what is asked to count as done."""
        matrix = checked_matrix(request.path)
        trainings = tuple(matrix.trainings())
        return cls(matrix, trainings, kept_rows(request.scores, trainings) if request.scores else {})

    def assigned(self, request: BenchmarkRequest) -> list[Training]:
        """Return the trainings that are asked for: this run's part of the named arms."""
        arms = [arm.name for arm in self.matrix.arms]
        unknown = next((name for name in request.arms if name not in arms), None)
        if unknown is not None:
            raise UserError(f"-arms {unknown} is no arm of {request.path}; it has {', '.join(arms)}.")
        return [
            training
            for index, training in enumerate(self.trainings)
            # arms of a seed and fold stay in one part, so that it is balanced
            if index // len(arms) in request.share and training.arm.name in (request.arms or arms)
        ]

    def state(self, training: Training) -> str:
        """Return `done`, `begun`, `missing`, or `scored` where only its scores are left."""
        state = last_job(training).state
        return "scored" if state != "done" and training.key in self.kept else state

    def jobs(self, trainings: Iterable[Training]) -> list[Job]:
        """Return all that has yet to be done for these trainings, in an order in which it can be done."""
        return list(with_needs(last_job(training) for training in trainings if self.is_open(training)))

    def is_open(self, training: Training) -> bool:
        """Return whether a training has yet to be done."""
        return self.state(training) not in ("done", "scored")


def plan(request: BenchmarkRequest) -> None:
    """Say what the matrix consists of, what is there already, how long the rest takes, and what it can find."""
    work, estimate = Work.of(request), Estimate(request.device)
    print(_overview(work, request.sd))
    assigned = work.assigned(request)
    for training in assigned:
        if not work.is_open(training):
            print(f"\n{work.state(training):8} {training.key}")
    for job in work.jobs(assigned):
        print(f"\n{job.state:8} {job.key}{_in_hours(estimate.hours(job))}")
        for command in job.commands(request.device):
            print("  " + " ".join(command))
    print(f"\n{estimate.total}")
    try:
        print(room_needed([training for training in assigned if work.is_open(training)]))
    except UserError as error:  # a plan can be made before anything is preprocessed
        print(f"How much room it takes is not known: {error}")


def _in_hours(hours: float | None) -> str:
    return "" if hours is None else f"  (about {hours:.2g} h)"


def run(request: BenchmarkRequest) -> int:
    """Do what is missing; return 1 when something failed."""
    code = code_version()
    if not code.clean and not request.allow_changes:
        raise UserError(
            f"The checkout of nnunetv2_tf has changes that are in no commit ({', '.join(code.changed[:3])}), so nobody "
            "could repeat this run; commit them first (or use --allow_changes, which the results will tell)."
        )
    check_gpus(request.gpus)
    work, folder = Work.of(request), request.folder
    print(_overview(work, request.sd))
    jobs = work.jobs(work.assigned(request))
    claim_folder(folder, work.matrix)
    estimate = Estimate(request.device)
    for job in jobs:
        estimate.hours(job)
    print(f"{_counted(jobs)} to do, {request.num_processes} at once; logs: {folder / 'logs'}\n{estimate.total}")
    runner = Runner(folder / "logs", request.device, request.num_processes, request.gpus, times_file(), needs_of)
    failed = [outcome for outcome in _told(runner.run(jobs), len(jobs)) if outcome.failure]
    if failed:
        print(f"{_counted([outcome.job for outcome in failed])} failed; the same command tries them again:")
        for outcome in failed:
            print(f"  {outcome.job.key}: {outcome.failure}\n    {outcome.log}")
    options = [("-o", request.output), ("-scores", request.scores)]
    given = "".join(f" {option} {value}" for option, value in options if value is not None)
    print(f"Next: nnUNetv2_tf_benchmark collect {request.path}{given}")
    return 1 if failed else 0


def _counted(jobs: Sequence[Job]) -> str:
    """Return `1 fit, 3 trainings`."""
    counts = Counter(job.kind for job in jobs)
    return ", ".join(f"{number} {kind}{'s' * (number != 1)}" for kind, number in sorted(counts.items())) or "nothing"


def pause(request: BenchmarkRequest) -> None:
    """Stop all that the benchmark is running on this machine, until `resume`."""
    _say_sent(*send_to_all(request.folder, pause=True), "Paused", request.folder)


def resume(request: BenchmarkRequest) -> None:
    """Continue what `pause` stopped."""
    _say_sent(*send_to_all(request.folder, pause=False), "Continued", request.folder)


def _say_sent(runs: int, commands: int, done: str, folder: Path) -> None:
    if not runs and not commands:
        raise UserError(f"Nothing of {folder} is running on this machine; -o names the folder that run was given.")
    print(f"{done}: {runs} run{'s' * (runs != 1)} and {commands} command{'s' * (commands != 1)} of {folder}.")


def collect(request: BenchmarkRequest) -> None:
    """Score what is there and write benchmark.csv, tables and pictures."""
    path, folder, work = request.path, request.folder, Work.of(request)
    matrix, trainings = work.matrix, work.trainings
    finished = [training for training in trainings if not work.is_open(training)]
    if not finished:
        raise UserError(f"No training of {path} is done yet; train with: nnUNetv2_tf_benchmark run {path}")
    claim_folder(folder, matrix)
    _check_keeps(folder / "benchmark.csv", trainings, finished)
    rows: list[Row] = []
    for training in finished:
        gone = work.state(training) == "scored"
        rows += work.kept[training.key] if gone else score_training(training, folder / "scores", request.num_processes)
    rows = matrix_rows(rows, matrix)
    write_scores(rows, folder / "benchmark.csv", code_version())
    of_datasets = [make_reports(rows, matrix, name, _labelled(trainings, name)) for name in map(str, matrix.datasets)]
    reports = [report for of_dataset in of_datasets for report in of_dataset]
    lead = f"{len(finished)} of {len(trainings)} trainings are done. Matrix {matrix.hash}."
    codes = f"Trained by: {'; '.join(sorted({row.code for row in rows}))}. Scored by: {code_version()}."
    pictures = [picture for of_dataset in of_datasets for picture in paint(of_dataset, matrix, folder)]
    _write(folder, [lead, codes], reports, pictures)
    for report in reports:
        print("\n\n".join(table.markdown() for table in report.tables[:2]))
        print("\n".join(report.sentences))
    print(f"\n{lead}\nWritten to {folder}: benchmark.csv, tables.md, tables.tex, tables.html, {', '.join(pictures)}")


def _labelled(trainings: Sequence[Training], dataset: str) -> int:
    """Return how many real cases the first training of a dataset has."""
    return next(len(training.split.train) for training in trainings if training.dataset.name == dataset)


def _check_keeps(path: Path, trainings: Sequence[Training], finished: Sequence[Training]) -> None:
    """Raise when the file holds scores of trainings that are gone, which writing it anew would lose."""
    try:
        gone = set(kept_rows(path, trainings)) - {training.key for training in finished}
    except UserError:  # there is none, or nothing in it belongs to the matrix as it is now
        return
    if gone:
        raise UserError(
            f"{path} holds scores of {len(gone)} trainings that are not there any more (first: {min(gone)}); keep them "
            f"with -scores {path}, or move the file away."
        )


def verify(request: BenchmarkRequest) -> int:
    """Say what is wrong with a benchmark; return 1 when something is."""
    matrix = checked_matrix(request.path)
    sentences = list(problems(matrix))
    for sentence in sentences:
        print(f"PROBLEM: {sentence}")
    if not sentences:
        code = code_version()
        print(
            f"All {len(list(matrix.trainings()))} trainings are done, for {matrix.epochs} epochs each, on the cases of "
            "their folds, with their own synthetic cases, and nothing leaks. Trained by "
            + "; ".join(sorted({code_of(training) for training in matrix.trainings()}))
            + ("." if code.commit else "; no commit is known, since the package is installed and no checkout.")
        )
    return 1 if sentences else 0


def _overview(work: Work, sd: float | None) -> str:
    """Return how many trainings there are in each state, and the smallest difference that each dataset can show."""
    matrix, states = work.matrix, Counter(map(work.state, work.trainings))
    counts = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    lines = [f"{sum(states.values())} trainings of {matrix.epochs} epochs: {counts}. Matrix {matrix.hash}."]
    for dataset in map(str, matrix.datasets):
        identifiers = list(raw_cases(Dataset(dataset)))
        validating = {case for fold in matrix.folds for case in fold_split(Dataset(dataset), fold, identifiers).val}
        lines.append(
            f"{dataset}: {detectable(len(validating), (len(matrix.arms) - 1) * max(1, len(matrix.train_cases)), sd)}"
        )
    return "\n".join(lines)


def _told(outcomes: Iterator[JobOutcome], total: int) -> Iterator[JobOutcome]:
    """Print a line for every job that ends, under a progress bar, and pass its outcome on."""
    from tqdm import tqdm

    with tqdm(total=total, desc="Benchmark", unit="job") as progress:
        for outcome in outcomes:
            how = "FAILED" if outcome.failure else "done"
            progress.write(f"{how:7}{outcome.job.key} after {outcome.seconds / 60:.1f} min")
            progress.update()
            yield outcome


def _write(folder: Path, lead: Sequence[str], reports: Sequence[Report], pictures: Sequence[str]) -> None:
    """Write sentences, tables and pictures of all datasets as tables.md, tables.tex and tables.html."""
    tables = [table for report in reports for table in report.tables]
    sentences = [*lead, *(sentence for report in reports for sentence in report.sentences)]
    markdown = "\n\n".join([*sentences, *(table.markdown() for table in tables)])
    markdown += "".join(f"\n![{name}]({name})\n" for name in pictures)
    body = "".join(f"<p>{html.escape(sentence)}</p>\n" for sentence in sentences)
    body += "".join(table.html() for table in tables) + "".join(f'<img src="{name}">\n' for name in pictures)
    page = f'<!doctype html><meta charset="utf-8"><title>Benchmark</title><style>{STYLE}</style>\n{body}'
    latex = "\n".join(table.latex() for table in tables)
    for name, text in (("tables.md", markdown), ("tables.tex", latex), ("tables.html", page)):
        with whole_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
