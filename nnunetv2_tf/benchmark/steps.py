"""What `nnUNetv2_tf_benchmark` does, step by step. In: a request. Out: trainings, tables, pictures, sentences."""

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.benchmark.checks import checked_matrix, claim_folder
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.plots import forest_plot, scatter_plot
from nnunetv2_tf.benchmark.report import Report, detectable, make_report
from nnunetv2_tf.benchmark.running import Runner, TrainingOutcome
from nnunetv2_tf.benchmark.scores import code_of, matrix_rows, score_training, write_scores
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
    num_processes: int  # trainings, or cases to score, at once
    gpus: tuple[int, ...]  # to train on in turn
    share: Share
    sd: float | None  # of cases' differences in Dice, where it is known
    allow_changes: bool  # train although the checkout of nnunetv2_tf has uncommitted changes

    @property
    def folder(self) -> Path:
        """The folder of tables and logs."""
        return self.output or nnunet_folder("nnUNet_results") / "tf_benchmark" / self.path.stem


def plan(request: BenchmarkRequest) -> None:
    """Say what the matrix consists of, what is there already, and what it can find."""
    matrix = checked_matrix(request.path)
    print(_overview(matrix, request.sd))
    for training in matrix.trainings():
        print(f"\n{training.state:8} {training.key}")
        for command in training.commands(request.device) if training.state != "done" else []:
            print("  " + " ".join(command))


def run(request: BenchmarkRequest) -> int:
    """Train what is missing; return 1 when something failed."""
    code = code_version()
    if not code.clean and not request.allow_changes:
        raise UserError(
            f"The checkout of nnunetv2_tf has changes that are in no commit ({', '.join(code.changed[:3])}), so nobody "
            "could repeat this run; commit them first (or use --allow_changes, which the results will tell)."
        )
    matrix, folder = checked_matrix(request.path), request.folder
    print(_overview(matrix, request.sd))
    arms = len(matrix.arms)  # of a seed and fold stay in one job, so that each job's part is balanced
    assigned = [training for index, training in enumerate(matrix.trainings()) if index // arms in request.share]
    waiting = [training for training in assigned if training.state != "done"]
    claim_folder(folder, matrix)
    print(f"{len(waiting)} trainings to do, {request.num_processes} at once; logs: {folder / 'logs'}")
    runner = Runner(folder / "logs", request.device, request.num_processes, request.gpus)
    failed = [outcome for outcome in _told(runner.run(waiting), len(waiting)) if outcome.failure]
    if failed:
        print(f"{len(failed)} trainings failed; run the same command again to try them again:")
        for outcome in failed:
            print(f"  {outcome.training.key}: {outcome.failure}\n    {outcome.log}")
    print(f"Next: nnUNetv2_tf_benchmark collect {request.path}")
    return 1 if failed else 0


def collect(request: BenchmarkRequest) -> None:
    """Score what is there and write benchmark.csv, tables and pictures."""
    path = request.path
    matrix, folder = checked_matrix(path), request.folder
    trainings = list(matrix.trainings())
    done = [training for training in trainings if training.state == "done"]
    if not done:
        raise UserError(f"No training of {path} is done yet; train with: nnUNetv2_tf_benchmark run {path}")
    claim_folder(folder, matrix)
    rows = [row for training in done for row in score_training(training, folder / "scores", request.num_processes)]
    rows = matrix_rows(rows, matrix)
    write_scores(rows, folder / "benchmark.csv", code_version())
    reports = [make_report(rows, matrix, str(dataset)) for dataset in matrix.datasets]
    there = [report for report in reports if report is not None]
    lead = f"{len(done)} of {len(trainings)} trainings are done. Matrix {matrix.hash}."
    codes = f"Trained by: {'; '.join(sorted({row.code for row in rows}))}. Scored by: {code_version()}."
    pictures = [picture for report in there for picture in _pictures(report, matrix, folder)]
    _write(folder, [lead, codes], there, pictures)
    for report in there:
        print("\n\n".join(table.markdown() for table in report.tables[:2]))
        print("\n".join(report.sentences))
    print(f"\n{lead}\nWritten to {folder}: benchmark.csv, tables.md, tables.tex, tables.html, {', '.join(pictures)}")


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


def _overview(matrix: Matrix, sd: float | None) -> str:
    """Return how many trainings there are in each state, and the smallest difference that each dataset can show."""
    states = Counter(training.state for training in matrix.trainings())
    counts = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    lines = [f"{sum(states.values())} trainings of {matrix.epochs} epochs: {counts}. Matrix {matrix.hash}."]
    for dataset in map(str, matrix.datasets):
        identifiers = list(raw_cases(Dataset(dataset)))
        validating = {case for fold in matrix.folds for case in fold_split(Dataset(dataset), fold, identifiers).val}
        lines.append(f"{dataset}: {detectable(len(validating), len(matrix.arms) - 1, sd)}")
    return "\n".join(lines)


def _told(outcomes: Iterator[TrainingOutcome], total: int) -> Iterator[TrainingOutcome]:
    """Print a line for every training that ends, under a progress bar, and pass its outcome on."""
    from tqdm import tqdm

    with tqdm(total=total, desc="Training", unit="training") as progress:
        for outcome in outcomes:
            how = "FAILED" if outcome.failure else "done"
            progress.write(f"{how:7}{outcome.training.key} after {outcome.seconds / 60:.1f} min")
            progress.update()
            yield outcome


def _pictures(report: Report, matrix: Matrix, folder: Path) -> list[str]:
    """Paint the pictures of a dataset; return their names, none without a comparison."""
    if not report.findings:
        return []
    names = [f"{kind}_{report.dice.dataset}.png" for kind in ("forest", "scatter")]
    forest_plot(report.findings, folder / names[0])
    scatter_plot(report.dice, matrix.baseline, folder / names[1])
    return names


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
