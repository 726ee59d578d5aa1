"""Do two checkouts make the same bytes? Sets of every method and preset, fits, an export and converted datasets.

    python -m benchmarks.same_bytes FOLDER BEFORE [AFTER]

Both checkouts (AFTER: this one) start from the same stand-in dataset, plans and baseline, which BEFORE makes, and work
in the same place one after the other. What holds versions, times or numbers of processes is left out of the comparison,
see `LEFT_OUT`.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
PLANS, TRAINER = "nnUNetPlansTiny", "TFBaselineTrainer_1epochs_seed0"
# pictures, logs, checkpoints (archives name the process), what is kept of hosts
FILES_LEFT_OUT = (".png", ".txt", ".pth", ".lock", ".html", ".kept")
LEFT_OUT = {
    "versions": "of packages, and the commit",
    "hash": "of a manifest, which holds versions",
    "files": "digests of a fit's files, checkpoints among them",
    "fit": "digest of the same, in the config.json of a set",
    "config_hash": "of that config.json",
    "source": "digest over the times of arrays, in tf/looks",
    "scan": "the same in tf/affines.json",
}
FITS = (("tf_aug", "default"), ("tf_aug", "paper"), ("tf_gan", "default"), ("tf_gan", "paper"), ("tf_gan", "brief"))
SETS = (("carvemix", "default"), ("carvemix", "paper"), *FITS)
SHORT = {
    "tf_aug": {"epochs": 1, "iterations": 2},
    "tf_gan": {
        "epochs": 1, "iterations": 2, "features": (4, 8, 8), "discriminator_features": (8, 8, 8), "levels": 3,
    },
}  # fmt: skip


def main() -> None:
    """Make everything twice and compare; exit with code 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("before", type=Path, metavar="BEFORE", help="a checkout")
    parser.add_argument("after", type=Path, nargs="?", default=Path(__file__).parent.parent, metavar="AFTER")
    parser.add_argument("--step", help="for the processes that this starts")
    arguments = parser.parse_args()
    if arguments.step:
        {"start": _start, "make": _make}[arguments.step](arguments.folder)
        return
    folder = arguments.folder.resolve()
    start, work = folder / "start", folder / "work"
    if not start.exists():
        _in_checkout(arguments.before, "start", work)
        work.rename(start)
    for name, checkout in (("before", arguments.before), ("after", arguments.after)):
        if name == "before" and (folder / name).exists():
            continue
        for old in (folder / name, work):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(start, work)
        _in_checkout(checkout, "make", work)
        work.rename(folder / name)
    sys.exit(_compare(folder / "before", folder / "after"))


def _in_checkout(checkout: Path, step: str, work: Path) -> None:
    """Run a step of this file with the package of a checkout."""
    work.mkdir(parents=True, exist_ok=True)
    folders = {name: str(work / name) for name in VARIABLES}
    for path in folders.values():
        Path(path).mkdir(exist_ok=True)
    settings = {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **folders, **settings, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, str(Path(__file__).resolve()), str(work), str(checkout), "--step", step]
    subprocess.run(command, env=environment, cwd=work, check=True)


def _start(work: Path) -> None:
    """Make patients, healthy people, plans, a baseline of two steps, and the same patients in the layout of BraTS."""
    for dataset, *options in (("Dataset501_StandIns", "-num_cases", "10"), ("Dataset601_Healthy", "--healthy")):
        shape = ("-shape", "40", "48", "40")
        _call(sys.executable, "-m", "nnunetv2_tf.standin", "dataset", "-name", dataset, *shape, *options)
    _call("nnUNetv2_plan_and_preprocess", "-d", "501", "-c", "3d_fullres", "-npfp", "1", "-np", "1")
    _call(sys.executable, "-m", "nnunetv2_tf.standin", "plans", "-d", "501")
    _train()
    raw = work / "nnUNet_raw" / "Dataset501_StandIns"
    for number, label in enumerate(sorted((raw / "labelsTr").glob("*.nii.gz"))[:6]):
        case = work / "brats" / f"BraTS-GLI-{number:05d}-000"
        case.mkdir(parents=True)
        image = raw / "imagesTr" / label.name.replace(".nii.gz", "_0000.nii.gz")
        shutil.copy(image, case / f"{case.name}-t1n.nii.gz")
        shutil.copy(label, case / f"{case.name}-seg.nii.gz")


def _train() -> None:
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    trainer: Any = get_trainer_from_args(
        "Dataset501_StandIns", "3d_fullres", 0, TRAINER, PLANS, False, torch.device("cpu")
    )
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = 1, 2, 1
    trainer.run_training()


def _make(work: Path) -> None:
    """Make all that is compared, by a checkout's console commands, in this process: fits are cut to two steps."""
    from dataclasses import replace
    from importlib import import_module

    for method, short in SHORT.items():
        presets = import_module(f"nnunetv2_tf.methods.{method}").PRESETS
        for name, config in presets.items():
            presets[name] = replace(config, **short)
    where = ("501", "3d_fullres", "0", "-p", PLANS)
    healthy = ("-healthy", "601")
    _command("preprocess_healthy", "-d", "501", *healthy, "-p", PLANS, "-c", "3d_fullres", "-np", "1")
    for method, preset in FITS:
        _command("fit", *where, "-m", method, "-preset", preset, *healthy, "-tr", TRAINER, "-device", "cpu")
    for method, preset in SETS:
        name = method.replace("_", "") + preset
        hosts = () if method == "carvemix" else healthy
        make = ("-num_cases", "2", "-np", "1")
        _command("synthesize", *where, "-m", method, "-preset", preset, *hosts, *make, "-s", name)
    small = ("-volume_ml", "5", "40", "-side", "left", "-num_cases", "2", "-np", "1", "-s", "small")
    _command("synthesize", *where, "-m", "tf_aug", *healthy, *small)
    _command("sets", "-d", "501", "--export", "-s", "carvemixdefault", "-o", "701", "-p", PLANS)
    brats = ("-i", str(work / "brats"), "-source", "2023-gli", "-modalities", "t1n", "-np", "1")
    _command("convert_brats", *brats, "-d", "502", "-name", "Copied", "--copy")
    _command("convert_brats", *brats, "-d", "503", "-name", "Regions", "-labels", "regions")
    people = ("-i", str(work / "nnUNet_raw" / "Dataset601_Healthy" / "imagesTr"), "-glob", "t1n=*_0000.nii.gz")
    _command("convert_healthy", *people, "-d", "602", "-name", "Laid", "-reference", "501", "-np", "1", usual=(0, 1))


def _command(name: str, *arguments: str, usual: tuple[int, ...] = (0,)) -> None:
    """Run one of our console commands in this process; raise SystemExit when its exit code is not a usual one."""
    from importlib import import_module

    sys.argv = [f"nnUNetv2_tf_{name}", *arguments]
    code = import_module(f"nnunetv2_tf.commands.{name}").main()
    if code not in usual:
        raise SystemExit(f"{' '.join(sys.argv)} ended with {code}")


def _call(command: str, *arguments: str) -> None:
    """Run a console command of this environment."""
    path = Path(command) if Path(command).is_absolute() else Path(sys.executable).parent / command
    subprocess.run([str(path), *arguments], check=True, stdout=subprocess.DEVNULL)


def _compare(before: Path, after: Path) -> int:
    """Print what differs, and how many files of which kind agree; return the exit code."""
    old, new = _digests(before), _digests(after)
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    for name in differing:
        state = "only before" if name not in new else "only after" if name not in old else "differs"
        how = _how_much(before / name, after / name) if state == "differs" and name.endswith(".nii.gz") else ""
        print(f"{state}: {name}{how}")
    kinds: dict[str, int] = {}
    for name in set(old) - set(differing):
        kind = "".join(Path(name).suffixes[-2:]) if name.endswith(".gz") else Path(name).suffix
        kinds[kind] = kinds.get(kind, 0) + 1
    print(f"the same: {', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))}")
    print(f"left out: {', '.join(FILES_LEFT_OUT)}; in JSON files {', '.join(LEFT_OUT)}")
    print(f"{len(old)} files before, {len(new)} after, {len(differing)} differ")
    return 1 if differing else 0


def _how_much(before: Path, after: Path) -> str:
    """Say how far two volumes of the same size are apart."""
    import nibabel

    old, new = (np.asarray(nibabel.load(path).dataobj, np.float64) for path in (before, after))  # type: ignore[attr-defined]
    if old.shape != new.shape:
        return " in size"
    body, apart = old != 0, np.abs(new - old)
    return (
        f" by at most {apart.max():g} (sd {old[body].std():.1f}), in {(apart > 0).sum() / body.sum():.1%} of the voxels"
    )


def _digests(folder: Path) -> dict[str, str]:
    """Return, by name of each file that is compared, the digest of the part of it that is compared."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(_content(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.suffix not in FILES_LEFT_OUT
        and "code" not in path.stem
    }  # fmt: skip


def _content(path: Path) -> bytes:
    if path.suffix == ".json":
        return json.dumps(_kept(json.loads(path.read_text(encoding="utf-8"))), sort_keys=True).encode()
    if path.suffix == ".b2nd":  # blosc2 writes blocks as its threads finish them
        import blosc2

        array: Any = blosc2.open(str(path), mode="r")
        return repr((array.shape, array.dtype)).encode() + array[:].tobytes()
    return path.read_bytes()


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _kept(entry) for key, entry in value.items() if key not in LEFT_OUT}
    return [_kept(entry) for entry in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
