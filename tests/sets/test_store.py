import shutil
import subprocess
import time
from typing import IO, cast

import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets import manage
from nnunetv2_tf.sets.store import SetPart, all_parts
from nnunetv2_tf.working_space.preprocess import preprocess_cases
from tests.conftest import entered_copy
from tests.workspace import TINY, Workspace, add_set, stored

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(enriched: Workspace) -> Workspace:
    return enriched


@pytest.fixture
def part(workspace: Workspace) -> SetPart:
    return SetPart(workspace.dataset, "demo", 0)


def stale(part: SetPart, workspace: Workspace) -> list[str]:
    return [entry.case for entry in part.stale(workspace.plan(), part.manifest().cases)]


def test_a_second_run_makes_the_missing_files_and_only_those(workspace: Workspace, part: SetPart):
    folder = part.preprocessed("nnUNetPlans_3d_fullres")
    assert stale(part, workspace) == []
    before = stored(folder)
    (folder / "synthetic_0002_seg.b2nd").unlink()
    assert stale(part, workspace) == ["synthetic_0002"]
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    time.sleep(0.01)
    assert part.preprocess(workspace.plan(), 1) == 1
    assert part.preprocess(workspace.plan(), 1) == 0
    touched = {path.name for path in folder.iterdir() if path.stat().st_mtime_ns != times.get(path.name)}
    assert touched == {f"synthetic_0002{ending}" for ending in (".b2nd", "_seg.b2nd", ".pkl")}
    assert stored(folder) == before


def test_arrays_of_the_right_name_are_done_by_size_for_trainings_and_by_digest_for_commands(
    workspace: Workspace, part: SetPart
):
    plan, entries = workspace.plan(), part.manifest().cases
    path = part.preprocessed(plan.data_identifier) / "synthetic_0002.pkl"
    whole = path.read_bytes()
    path.write_bytes(b"")  # what a power cut leaves
    assert [entry.case for entry in part.stale(plan, entries)] == ["synthetic_0002"]
    path.write_bytes(bytes(len(whole)))
    assert part.stale(plan, entries) == []
    assert [entry.case for entry in part.stale(plan, entries, by_digest=True)] == ["synthetic_0002"]
    assert part.preprocess(plan, 1) == 1
    assert path.read_bytes() == whole


def test_a_case_whose_files_change_while_they_are_preprocessed_is_not_stamped(
    workspace: Workspace, part: SetPart, monkeypatch
):
    plan, entries = workspace.plan(), part.manifest().cases
    shutil.rmtree(part.preprocessed(plan.data_identifier))
    image = part.files(entries[1], ".nii.gz").images[0]
    whole = image.read_bytes()

    def cut_off(*arguments):
        for name, files in preprocess_cases(*arguments):
            if name == entries[1].case:
                image.write_bytes(whole[: len(whole) // 2])
            yield name, files

    with monkeypatch.context() as patch, pytest.raises(UserError, match=f"A file of {entries[1].case} has changed"):
        patch.setattr("nnunetv2_tf.working_space.preprocess.preprocess_cases", cut_off)
        part.preprocess(plan, 1)
    image.write_bytes(whole)
    assert entries[1] in part.stale(plan, entries)
    assert part.preprocess(plan, 1) == len(entries) - 1
    assert part.stale(plan, entries, by_digest=True) == []


def test_stamps_of_older_versions_hold_for_trainings_and_are_renewed_by_commands(workspace: Workspace, part: SetPart):
    plan, entries = workspace.plan(), part.manifest().cases
    path = part.preprocessed(plan.data_identifier).with_name(f"{plan.data_identifier}.stamps.json")
    stamps = read_json(path, "")
    write_json(path, {case: stamp["made_from"] for case, stamp in stamps.items()})
    assert part.stale(plan, entries) == []
    assert part.preprocess(plan, 1) == len(entries)
    assert set(read_json(path, "")["synthetic_0002"]["files"]) == {
        f"synthetic_0002{ending}" for ending in (".b2nd", "_seg.b2nd", ".pkl")
    }


def test_changed_files_are_noticed(workspace: Workspace, part: SetPart):
    image = part.files(part.manifest().cases[1], ".nii.gz").images[0]
    image.write_bytes(image.read_bytes() + b"x")
    (part.preprocessed("nnUNetPlans_3d_fullres") / "synthetic_0001.pkl").unlink()
    with pytest.raises(UserError, match=r"synthetic_0001_0000\.nii\.gz is missing or was changed since"):
        part.preprocess(workspace.plan(), 1)


def test_remove_takes_a_fold_or_the_whole_set(workspace: Workspace, part: SetPart):
    add_set(workspace, "demo", fold=1)
    add_set(workspace, "other")
    manage.remove(manage.RemoveRequest("501", "demo", (1,)))
    assert [(each.set_name, each.fold) for each in all_parts(workspace.dataset)] == [("demo", 0), ("other", 0)]
    manage.remove(manage.RemoveRequest("501", "demo", None))
    assert not part.folder.parent.exists()
    assert not workspace.dataset.preprocessed_set_part("demo", 0).parent.exists()
    assert [each.set_name for each in all_parts(workspace.dataset)] == ["other"]
    for folds in (None, (0,)):
        with pytest.raises(UserError, match="no set demo"):
            manage.remove(manage.RemoveRequest("501", "demo", folds))


def test_a_set_whose_manifest_is_broken_can_be_removed(workspace: Workspace, part: SetPart):
    value = read_json(part.manifest_path, "")
    write_json(part.manifest_path, {**value, "method": "x"})
    with pytest.raises(UserError, match="remove this part of the set"):
        manage.table("501")
    manage.remove(manage.RemoveRequest("501", "demo", (0,)))
    assert manage.table("501").startswith("Dataset501_StandIns has no sets yet")


def test_no_kill_leaves_new_arrays_under_old_stamps(workspace: Workspace, part: SetPart, monkeypatch):
    """Plans B share nnU-Net's data identifier with A; preprocessing for B stops when the arrays are replaced."""
    path = workspace.dataset.preprocessed / "nnUNetPlansB.json"
    plans = read_json(workspace.dataset.preprocessed / f"{TINY}.json", "")
    plans["configurations"]["3d_fullres"]["spacing"] = [2.0, 2.0, 2.0]
    write_json(path, {**plans, "plans_name": "nnUNetPlansB"})
    assert stale(part, workspace) == []

    def replaced_then_killed(*arguments):
        list(preprocess_cases(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("nnunetv2_tf.working_space.preprocess.preprocess_cases", replaced_then_killed)
        part.preprocess(workspace.plan(name="nnUNetPlansB"), 1)
    assert len(stale(part, workspace)) == 4
    part.preprocess(workspace.plan(), 1)
    assert stale(part, workspace) == []


def test_two_processes_take_turns(workspace: Workspace, part: SetPart):
    """One works, here by putting back what was gone; the other waits and finds nothing to do."""
    folder, away = part.preprocessed("nnUNetPlans_3d_fullres"), workspace.root / "away"
    folder.rename(away)
    command = ("nnUNetv2_tf_sets", "-d", 501, "--preprocess", "-s", "demo", "-c", "3d_fullres", "-p", TINY, "-np", 1)
    with part.lock:
        other = workspace.start(*command)
        read_until(other, "Waiting: another process works on set demo, fold 0")
        assert len(stale(part, workspace)) == 4
        away.rename(folder)
    assert "0 cases preprocessed" in other.communicate()[0]
    assert stale(part, workspace) == []
    assert not list(workspace.dataset.sets.glob(".*"))


def read_until(process: subprocess.Popen[str], sentence: str) -> str:
    """What a process says until it says a sentence; fails when it ends without."""
    said = ""
    while sentence not in said:
        line = cast(IO[str], process.stdout).readline()
        assert line, said
        said += line
    return said


def test_folders_that_are_no_parts_are_passed_over(workspace: Workspace, part: SetPart):
    shutil.copytree(part.folder, part.folder.with_name("fold_0_backup"))
    shutil.copytree(part.folder, part.folder.with_name("fold_00"))
    assert list(all_parts(workspace.dataset)) == [part]


def test_a_part_copied_elsewhere_is_refused(workspace: Workspace, part: SetPart):
    other = SetPart(workspace.dataset, "demo", 3)
    shutil.copytree(part.folder, other.folder)
    with pytest.raises(UserError, match="belongs to set demo, fold 0, of Dataset501_StandIns; sets cannot be copied"):
        other.manifest()
    shutil.copy(part.sidecar_path("synthetic_0000"), part.sidecar_path("synthetic_0001"))
    with pytest.raises(UserError, match=r"synthetic_0001\.json speaks of synthetic_0000"):
        part.sidecar("synthetic_0001")


@pytest.mark.parametrize("half", ["adding", "removing"])
def test_what_a_kill_left_can_be_removed(workspace: Workspace, part: SetPart, half: str):
    part.manifest_path.unlink()
    if half == "adding":
        part.folder.rename(part.scratch)
        shutil.rmtree(workspace.dataset.preprocessed / "tf")
    manage.remove(manage.RemoveRequest("501", "demo", None))
    assert not (workspace.dataset.raw / "tf").exists()
    assert not (workspace.dataset.preprocessed / "tf").exists()


def test_configurations_default_to_those_of_the_real_cases(template: Workspace, tmp_path, monkeypatch):
    workspace = entered_copy(template, tmp_path, monkeypatch)
    folder = workspace.foreign_cases()
    manage.add(manage.AddRequest("501", folder, "demo", (0,), None, None, TINY, 1))
    part = SetPart(workspace.dataset, "demo", 0)
    for configuration in ("2d", "3d_fullres"):
        assert part.stale(workspace.plan(configuration), part.manifest().cases) == []


def test_sentences_for_what_does_not_exist(workspace: Workspace, monkeypatch):
    for dataset in ("502", "Dataset502_None", "x"):
        with pytest.raises(UserError, match="502|dataset x"):
            manage.table(dataset)
    monkeypatch.delenv("nnUNet_raw")
    with pytest.raises(UserError, match="The environment variable nnUNet_raw is not set"):
        manage.table("501")
