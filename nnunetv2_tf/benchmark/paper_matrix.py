"""The paper's tables as matrices. In: a table's number, datasets. Out: MATRIX.json, and the plans that it trains by.

The paper has 100 labelled scans and adds 50 to 300 synthetic cases; on another number of labelled ones the same shares
of it are added. All arms that a method's cases train take the first of one set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.matrix import CURE, Matrix
from nnunetv2_tf.benchmark.paper import LABELLED, PRINTED, Printed
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.methods.lookup import by_preset_or_default, find_method
from nnunetv2_tf.working_space.healthy import check_same_channels
from nnunetv2_tf.working_space.network_plans import write_plans_with
from nnunetv2_tf.working_space.preprocess import Plan

FOLD = 0  # the paper has one, which validates on 200
CONFIGURATION, PLANNED, PLANS = "3d_fullres", "nnUNetPlans", "nnUNetPlans_paper"
PATCH, FEATURES = (128, 128, 128), (32, 64, 128, 256, 320, 320)  # six stages
ROWS: Mapping[int, tuple[tuple[str | None, tuple[int, ...]], ...]] = {
    1: ((None, (0,)), ("carvemix", (100,)), ("pix2pix", (100,)), ("tf_gan", (100,))),
    2: ((None, (0,)), ("tf_gan", (50, 100, 200, 300))),
    3: ((None, (0,)), ("tf_aug", (100,)), ("tf_gan", (100,))),
}


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper, on somebody's data."""

    number: int
    dataset: str  # id or name
    healthy: str
    preset: str  # of all methods that have it
    plans: str
    epochs: int
    seeds: int

    @property
    def rows(self) -> list[Printed]:
        """The rows that the paper printed."""
        wanted = [(method, number) for method, numbers in ROWS[self.number] for number in numbers]
        return [next(row for row in PRINTED if (row.method, row.num_cases) == key) for key in wanted]

    def matrix(self) -> Matrix:
        """Return what is to be compared."""
        methods = [find_method(row.method) for row in self.rows if row.method is not None]
        if not any(self.preset in method.presets for method in methods):
            raise UserError(f"None of {', '.join(method.name for method in methods)} has a preset {self.preset}.")
        dataset = Dataset.find(self.dataset)
        labelled = len(fold_split(dataset, FOLD, raw_cases(dataset)).train)
        return Matrix(
            datasets=(dataset.name,),
            configuration=CONFIGURATION,
            plans=self.plans,
            folds=(FOLD,),
            seeds=tuple(range(self.seeds)),
            epochs=self.epochs,
            baseline="nnunet",
            arms=tuple(self._arm(row, labelled) for row in self.rows),
            postprocessing="nnunet",
        )

    def _arm(self, row: Printed, labelled: int) -> Arm:
        if row.method is None:
            return Arm("nnunet")
        number = max(1, round(row.num_cases * labelled / LABELLED))
        method = by_preset_or_default(row.method, self.preset)
        healthy = None if "real" in method.method_class.hosts else Dataset.find(self.healthy).name
        return Arm(f"{row.method}_{number}", row.method, method.preset, healthy, number)


def write_table(table: PaperTable, path: Path) -> None:
    """Write MATRIX.json, and plans where they are the paper's and not there yet."""
    matrix = table.matrix()
    dataset = Dataset(str(matrix.datasets[0]))
    if path.exists() and read_record(Matrix, path, CURE).find_datasets().hash != matrix.hash:
        raise UserError(
            f"{path} holds another matrix than table {table.number} makes here; delete it, or name another file."
        )
    if table.plans == PLANS and not (dataset.preprocessed / f"{PLANS}.json").exists():
        write_plans_with(dataset, PLANNED, PLANS, PATCH, FEATURES)
    Plan.read(dataset, table.plans, CONFIGURATION)
    check_same_channels(dataset, Dataset.find(table.healthy))
    if not path.exists():
        write_json(path, matrix.given)
        print(f"{path}: table {table.number} of the paper on {dataset.name}, preset {table.preset}.")
