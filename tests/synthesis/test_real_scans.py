"""Three real gliomas: cases made of them, a set of them, and an enriched training on them, by command line."""

import gzip
import os
import shutil

import nibabel
import numpy as np
import pytest
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

from benchmarks.africa import DATASET, prepare
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets import manage
from nnunetv2_tf.sets.store import SetPart
from tests.conftest import enter
from tests.synthesis.making import cases_in, make_set
from tests.workspace import TINY, Workspace, stored, write_test_plans

COARSE = "nnUNetPlansCoarse"
DATA = os.environ.get("NNUNETV2_TF_REAL_DATA")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA, reason="NNUNETV2_TF_REAL_DATA is not set")]


@pytest.fixture(scope="module")
def africa(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Planned at 2.5 mm, two train and one validates, with the set cm2."""
    workspace = Workspace(tmp_path_factory.mktemp("africa"), Dataset(DATASET))
    before = {variable: os.environ.get(variable) for variable in VARIABLES}
    prepare(workspace.root, spacing=2.5, num_train=2, num_val=1, processes=1)
    write_test_plans(workspace.dataset, COARSE, TINY, (32, 32, 32))
    make_set(workspace, "cm2", num_cases=2)
    for variable, value in before.items():
        os.environ.pop(variable) if value is None else os.environ.update({variable: value})
    return workspace


def volume(path) -> np.ndarray:
    return np.asanyarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


def test_hosts_are_untouched_outside_a_box_and_their_bodies_stay(africa: Workspace, monkeypatch):
    enter(africa, monkeypatch)
    part, real = SetPart(africa.dataset, "cm2", 0), raw_cases(africa.dataset)
    training = set(read_json(africa.dataset.preprocessed / "splits_final.json", "")[0]["train"])
    assert len(cases_in(part)) == 2
    for name in cases_in(part):
        sidecar = part.sidecar(name)
        assert set(sidecar.ancestors) <= training
        host, files = real[str(sidecar.host)], part.case_files(name, ".nii.gz", 1)
        before, after = volume(host.images[0]), volume(files.images[0])
        changed = before != after
        label = volume(files.label)
        assert 100 < changed.sum() < 0.6 * (before != 0).sum()
        assert before.dtype == after.dtype
        assert gzip.decompress(host.images[0].read_bytes())[:352] == gzip.decompress(files.images[0].read_bytes())[:352]
        np.testing.assert_array_equal(create_nonzero_mask(after[None]), create_nonzero_mask(before[None]))
        assert after.min() >= min(0, before.min())
        assert set(np.unique(label)) <= {0, 1, 2, 3}
        donor = volume(real[sidecar.donors[0]].label)
        pasted = (label != volume(host.label)) & (label > 0)
        assert (donor[pasted] > 0).mean() > 0.9  # the donor's tumour, in the donor's place; 2.5 mm blurs its edge


def test_a_real_scan_joins_a_set_as_nnunet_stores_it(africa: Workspace, monkeypatch, tmp_path):
    """A copy of a training case plays the synthetic one; the case itself was stored by nnU-Net's own command."""
    enter(africa, monkeypatch)
    name = read_json(africa.dataset.preprocessed / "splits_final.json", "")[0]["train"][0]
    files = raw_cases(africa.dataset)[name]
    for source, target in ((files.images[0], "imagesTr/fabricated_0000"), (files.label, "labelsTr/fabricated")):
        (tmp_path / target).parent.mkdir()
        shutil.copy(source, tmp_path / f"{target}.nii.gz")
    write_json(tmp_path / "ancestors.json", {"fabricated": [name]})
    manage.add(
        manage.AddRequest(africa.id, tmp_path, "copied", (0,), tmp_path / "ancestors.json", ("3d_fullres",), COARSE, 1)
    )
    plan = africa.plan(name=COARSE)
    assert plan.masked
    identifier = plan.data_identifier
    ours = stored(SetPart(africa.dataset, "copied", 0).preprocessed(identifier))
    assert len(ours) == 3
    assert ours == {
        file.replace(name, "fabricated"): data
        for file, data in stored(africa.dataset.preprocessed / identifier).items()
        if file.startswith(name)
    }


@pytest.mark.exhaustive
def test_an_enriched_training_by_command_line(africa: Workspace, monkeypatch):
    enter(africa, monkeypatch)
    trainer = "TFEnrichedTrainer_cm2_1epochs"
    africa.run("nnUNetv2_train", 508, "3d_fullres", 0, "-tr", trainer, "-p", TINY, "-device", "cpu")
    folder = africa.results / f"{trainer}__{TINY}__3d_fullres" / "fold_0"
    record = read_json(folder / "tf_enrichment.json", "")
    assert (record["num_real"], record["num_synthetic"]) == (2, 2)
    summary = read_json(folder / "validation" / "summary.json", "")
    validated = {os.path.basename(case["reference_file"]).split(".")[0] for case in summary["metric_per_case"]}
    assert validated == set(read_json(africa.dataset.preprocessed / "splits_final.json", "")[0]["val"])
