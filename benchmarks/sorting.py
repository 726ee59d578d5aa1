"""Pictures of real and made tumours, shuffled, for somebody to sort.

    python -m benchmarks.sorting FOLDER -s SET [-f 0] [--free] [-seed 0] -o FOLDER

FOLDER is what benchmarks.starting_line worked in, SET one of its sets. Paints 12 real and 12 made tumours, named by
number only, in three cuts each, cropped to 10 mm around the tumour; the answers lie beside the folder (key.json). With
--free the made ones lie on patients' free sides, where nothing but the tumour differs. Whoever sorts must not look
into the key first: write answers.json ({"01": "real", ...}), then count with --score.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from benchmarks.made_cases import square
from benchmarks.starting_line import CASES, DATASET, SHOWN, SPAN
from nnunetv2_tf.dataset.folders import VARIABLES
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.working_space.stored import OpenCase

AROUND = 10.0  # mm


def main() -> None:
    """Paint, or count right answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-s", help="name of the set")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    parser.add_argument("--free", action="store_true", help="made tumours on patients' free sides")
    parser.add_argument("-seed", type=int, default=0, help="of drawing and shuffling (default: 0)")
    parser.add_argument("-o", type=Path, required=True, help="folder of the pictures, of answers.json and key.json")
    parser.add_argument("--score", action="store_true", help="count the answers in answers.json")
    arguments = parser.parse_args()
    if arguments.score:
        score(arguments.o)
        return
    for variable in VARIABLES:
        os.environ[variable] = str(arguments.root.resolve() / variable)
    measured = MeasuredSet.of(DATASET, arguments.s, arguments.f, 1, "cpu")
    rng = np.random.default_rng(arguments.seed)
    names = sorted(measured.real)
    real = [measured.real[names[index]].open() for index in rng.permutation(len(names))[:SHOWN]]
    made = list(measured.on_free_sides(CASES) if arguments.free else measured.made())
    shown = [(case, case.tumour(), "real") for case in real]
    shown += [(made[index].case, made[index].tumour, "made") for index in rng.permutation(len(made))[:SHOWN]]
    key = {}
    for number, index in enumerate(rng.permutation(len(shown)), start=1):
        case, tumour, kind = shown[index]
        write_panels([_cuts(case, tumour)], arguments.o / "pictures" / f"{number:02d}.png", inches=4.0)
        key[f"{number:02d}"] = {"is": kind, "case": case.identifier}
    write_json(arguments.o / "key.json", key)
    print(f"{len(key)} pictures in {arguments.o / 'pictures'}")


def score(folder: Path) -> None:
    """Print how many answers are right."""
    key, answers = (read_json(folder / name, "sort the pictures first.") for name in ("key.json", "answers.json"))
    right = sum(answers[number] == key[number]["is"] for number in key)
    taken = sum(answers[number] == "real" for number in key if key[number]["is"] == "made")
    print(f"{right} of {len(key)} right; {taken} made ones were taken for real")


def _cuts(case: OpenCase, tumour: np.ndarray) -> list[Panel]:
    """Return three cuts through where the tumour is largest."""
    box = box_around(tumour > 0, [int(AROUND / step) + 1 for step in case.grid.spacing])
    image, inside = np.where(case.organ(), case.image()[0], SPAN[0])[box], tumour[box] > 0
    z, y, x = (int(inside.sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
    turn = slice(None, None, -1) if case.grid.affine[1, 1] < 0 else slice(None)  # the front of the head is up
    cuts = (image[z, turn], image[::-1, y], image[::-1, turn, x])
    size = max(max(cut.shape) for cut in cuts)
    return [Panel(square(cut, size), SPAN) for cut in cuts]


if __name__ == "__main__":
    main()
