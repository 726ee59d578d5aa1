"""A benchmark that is killed twice and goes on, from preprocessed stand-ins to tables in one command.

    python -m benchmarks.killed_run FOLDER

Two matrices: nnU-Net, CarveMix, TF-Aug and TF-GAN (preset brief), two seeds; and a learning curve, four and eight
labelled cases, two draws of each. `nnUNetv2_tf_benchmark run` and all that it started are killed once while the first
training is under way and once while a later job is, then it runs to its end. Nothing that was done may be done again:
the folder of results tells by its logs.
"""

import argparse
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.commands import BIN, enter, run, show
from nnunetv2_tf.benchmark.matrix import read_matrix
from nnunetv2_tf.benchmark.pausing import running
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import write_json

PATIENTS, PEOPLE, PLANS = "Dataset997_StandIns", "Dataset996_Healthy", "nnUNetPlansTiny"
SHAPE = ("40", "48", "40")
QUIET = {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
SYNTHETIC = {"healthy": 996, "num_cases": 6}
COMMON = {
    "datasets": [997], "configuration": "3d_fullres", "plans": PLANS, "folds": [0], "epochs": 2, "baseline": "nnunet",
}  # fmt: skip
NNUNET: dict[str, Any] = {"name": "nnunet", "method": None}
CARVEMIX: dict[str, Any] = {"name": "carvemix", "method": "carvemix", "num_cases": 6}
MATRICES = {
    "methods": {
        **COMMON, "seeds": [0, 1],
        "arms": [
            NNUNET, CARVEMIX, {"name": "tf_aug", "method": "tf_aug", **SYNTHETIC},
            {"name": "tf_gan", "method": "tf_gan", "preset": "brief", **SYNTHETIC},
        ],
    },
    "curve": {**COMMON, "seeds": [0], "train_cases": [4, 8], "draws": 2, "arms": [NNUNET, CARVEMIX]},
}  # fmt: skip
# jobs in whose log a line tells when to kill
KILLS = {
    "methods": (("seed0_nnunet", "Epoch 0"), ("fit_tf_gan_brief_h996", "Epoch 1:")),
    "curve": (("seed0_nnunet", "Epoch 0"), ("seed0_carvemix", "Epoch 0")),
}


def prepare(root: Path) -> None:
    """Make patients and healthy people; plan and preprocess the patients, as a user would have done."""
    enter(root)
    os.environ.update(QUIET)
    if (Dataset(PATIENTS).preprocessed / f"{PLANS}.json").exists():
        return
    make = ("python", "-m", "nnunetv2_tf.standin", "dataset", "-kind", "mni152", "-channels", "t2f", "-shape", *SHAPE)
    run(*make, "-name", PATIENTS, "-num_cases", "16", "-num_train", "10")
    run(*make, "-name", PEOPLE, "-num_cases", "8", "--healthy")
    run("nnUNetv2_plan_and_preprocess", "-d", "997", "-c", "3d_fullres", "-np", "1", "-npfp", "1")
    run("python", "-m", "nnunetv2_tf.standin", "plans", "-d", "997", "-patch", "24", "-width", "8")


def kill_when(process: subprocess.Popen, folder: Path, job: str, line: str) -> None:
    """Kill a run and all that it started, once a job's log has a line."""
    print(f"  waiting for {line!r} of {job} ...", flush=True)
    while not any(line in log.read_text(encoding="utf-8") for log in (folder / "logs").glob(f"*{job}.log")):
        if process.poll() is not None:
            raise RuntimeError(f"the run ended before {job} had {line!r}")
        time.sleep(0.1)
    groups = [group for _, of_run in running(folder) for group in of_run]
    process.kill()
    for group in groups:
        os.killpg(group, signal.SIGKILL)
    process.wait()
    print(f"  killed, with {len(groups)} commands", flush=True)


def main() -> None:
    """Run both matrices, kill them, continue them and collect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="everything is written there; begin with an empty folder")
    root = parser.parse_args().root.resolve()
    prepare(root)
    for name, content in MATRICES.items():
        path, folder = root / f"{name}.json", root / f"{name}_results"
        write_json(path, content)
        command = ["nnUNetv2_tf_benchmark", "run", str(path), "-device", "cpu", "-o", str(folder), "--allow_changes"]
        begun = time.monotonic()
        for job, line in KILLS[name]:
            with (root / f"{name}.log").open("a", encoding="utf-8") as log:
                process = subprocess.Popen([str(BIN / command[0]), *command[1:]], stdout=log, stderr=log)
            kill_when(process, folder, job, line)
        code = show(*command)
        print(f"{name}: ended with {code} after {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
        show("nnUNetv2_tf_benchmark", "collect", str(path), "-o", str(folder), "-np", "1")
        show("nnUNetv2_tf_benchmark", "plan", str(path), "-device", "cpu")
        trainings = list(read_matrix(path).trainings())
        twice = [each.key for each in trainings if len(list(each.folder.glob("training_log_*.txt"))) > 2]
        print(f"{name}: {len(trainings)} trainings, begun more than twice: {twice}", flush=True)


if __name__ == "__main__":
    main()
