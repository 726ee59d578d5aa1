"""Few labelled patients, many healthy people: nnU-Net alone, with CarveMix and with TF-Aug.

    python -m scripts.demo FOLDER [-seed 0]

Everything runs on the CPU and on stand-ins: brains after the MNI152 average with grown tumours, four patients to train
on, twelve others to validate on, sixteen healthy people to receive tumours. Every stage is one line here and one file
in FOLDER/logs, where the programs' own output goes. Only an earlier demo is replaced.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.dataset.folders import VARIABLES
from scripts.demo_summary import write_summary

BIN = Path(sys.executable).parent
MARK = ".nnunetv2_tf_demo"  # in a folder that a demo may replace
PATIENTS, PEOPLE, PLANS = "Dataset999_StandIns", "Dataset998_Healthy", "nnUNetPlansTiny"
STAND_INS = "-kind mni152 -channels t2f"
NUM_STAGES = 6
TAIL = 15  # lines of a log that are shown when its stage fails


@dataclass(frozen=True)
class Settings:
    """How large and how long; the defaults were chosen with stand-in seeds 100 to 102."""

    num_train: int = 4
    num_val: int = 12
    num_healthy: int = 16
    num_cases: int = 32  # synthetic ones of each arm
    percent: int = 25  # synthetic among what is drawn
    epochs: int = 5
    size: int = 40  # voxels from ear to ear; a fifth more from front to back
    patch: int = 24  # voxels, each way
    width: int = 8  # features of the network's first stage
    processes: int = 2  # that plan, preprocess and train side by side


class Demo:
    """The stages of one demo, and what they say."""

    def __init__(self, folder: Path, settings: Settings, seed: int) -> None:
        self.folder = folder
        self.settings = settings
        self.seed = seed
        self.stages = 0
        self.environment = {
            **os.environ,
            **{name: str(folder / name) for name in VARIABLES},
            "nnUNet_def_n_proc": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
        }

    def run(self) -> None:
        """Run all stages, from nothing to a table and a picture."""
        fresh_folder(self.folder)
        made = self.settings
        shape = f"{made.size} {made.size * 6 // 5} {made.size}"
        patients = made.num_train + made.num_val
        dataset = f"python -m nnunetv2_tf.standin dataset {STAND_INS} -shape {shape} -seed {self.seed}"
        self.stage(
            f"make {patients} patients and {made.num_healthy} healthy people",
            f"{dataset} -name {PATIENTS} -num_cases {patients} -num_train {made.num_train}",
            f"{dataset} -name {PEOPLE} -num_cases {made.num_healthy} --healthy",
        )
        self.stage(
            "plan and preprocess",
            f"nnUNetv2_plan_and_preprocess -d 999 -c 3d_fullres -np {made.processes} -npfp {made.processes}",
            f"python -m nnunetv2_tf.standin plans -d 999 -patch {made.patch} -width {made.width}",
        )
        (self.folder / "demo.json").write_text(json.dumps(self.matrix(), indent=1), encoding="utf-8")
        baseline, made_by = f"TFBaselineTrainer_{made.epochs}epochs_seed{self.seed}", f"-m tf_aug -s {self.set_name}"
        enrich = f"nnUNetv2_tf_enrich 999 3d_fullres 0 -healthy 998 -num_cases {made.num_cases} {made_by}"
        options = f"-seed {self.seed} -p {PLANS} -tr {baseline} -device cpu -np {made.processes}"
        self.stage("train the baseline, make cases with TF-Aug", f"{enrich} {options}", workers=0)
        # a demo may run from a checkout that is being worked on
        options = f"-o results -device cpu -np {made.processes} --allow_changes"
        title = "train with CarveMix and with TF-Aug"
        self.stage(title, f"nnUNetv2_tf_benchmark run demo.json {options}", workers=0)
        self.stage("score the validation cases", "nnUNetv2_tf_benchmark collect demo.json -o results")
        begun = self.announce("draw the picture")
        text, picture = write_summary(self.folder)
        self.end(begun, picture)
        page = self.folder / "nnUNet_raw" / PATIENTS / "tf" / self.set_name / "fold_0" / "report.html"
        print(f"\n{text}\nLook at the cases: {page}\nPicture: {picture}")

    @property
    def set_name(self) -> str:
        """The set of TF-Aug, as the benchmark calls it."""
        return f"tfaugseed{self.seed}"

    def matrix(self) -> dict:
        """Return the matrix of what is compared; all arms are trained equally long."""
        synthetic = {"num_cases": self.settings.num_cases, "percent": self.settings.percent}
        arms: list[dict] = [
            {"name": "nnU-Net", "method": None},
            {"name": "CarveMix", "method": "carvemix", **synthetic},
            {"name": "TF-Aug", "method": "tf_aug", "healthy": 998, **synthetic},
        ]
        return {
            "datasets": [999], "configuration": "3d_fullres", "plans": PLANS, "folds": [0], "seeds": [self.seed],
            "epochs": self.settings.epochs, "baseline": "nnU-Net", "arms": arms,
        }  # fmt: skip

    def stage(self, title: str, *commands: str, workers: int = 1) -> None:
        """Run commands into one log; say how long they took, or why the demo ends here.

        Args:
            title: what the user reads
            commands: as they are typed in the demo's folder
            workers: of augmentation; planning needs one, seeded training must have none
        """
        begun = self.announce(title)
        log = self.folder / "logs" / f"{self.stages}_{title.split(',')[0].replace(' ', '_').lower()}.log"
        environment = {**self.environment, "nnUNet_n_proc_DA": str(workers)}
        with log.open("w", encoding="utf-8") as file:
            for command in commands:
                program, *words = command.split()
                print("$", command, file=file, flush=True)
                code = subprocess.run(
                    [str(BIN / program), *words],
                    env=environment, cwd=self.folder, stdout=file, stderr=subprocess.STDOUT,
                ).returncode  # fmt: skip
                if code:
                    print(f"FAILED\n{last_lines(log)}\n\nError: {program} ended with {code}; all it said: {log}")
                    raise SystemExit(1)
        self.end(begun, log)

    def announce(self, title: str) -> float:
        """Begin the line of a stage on the screen; return when that was."""
        self.stages += 1
        print(f"{self.stages}/{NUM_STAGES} {title} ".ljust(58, "."), end=" ", flush=True)
        return time.monotonic()

    def end(self, begun: float, path: Path) -> None:
        """End the line with the seconds since then, and the path of what was written."""
        print(f"{time.monotonic() - begun:4.0f} s  {os.path.relpath(path)}", flush=True)


def last_lines(log: Path) -> str:
    """Return the end of a log, without progress bars."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in lines if "it/s]" not in line][-TAIL:])


def fresh_folder(folder: Path) -> None:
    """Make the folder of a demo anew; delete an earlier demo, and nothing else."""
    if folder.exists() and not (folder / MARK).exists():
        print(f"Error: {folder} exists and is not an earlier demo; name another folder.", file=sys.stderr)
        raise SystemExit(2)
    shutil.rmtree(folder, ignore_errors=True)
    for name in (*VARIABLES, "logs"):
        (folder / name).mkdir(parents=True)
    (folder / MARK).touch()


def main() -> None:
    """Run the demo that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="everything is written there")
    parser.add_argument("-seed", type=int, default=0, help="of stand-ins, cases and trainings (default: %(default)s)")
    for name, value in vars(Settings()).items():
        parser.add_argument(f"-{name}", type=int, default=value, help="(default: %(default)s)")
    arguments = vars(parser.parse_args())
    folder, seed = arguments.pop("folder").resolve(), arguments.pop("seed")
    Demo(folder, Settings(**arguments), seed).run()


if __name__ == "__main__":
    main()
