"""Manifest and sidecar: round trip, and agreement with the JSON schemas in the package."""

import copy
import json
from importlib.resources import files

import jsonschema
import pytest

from nnunetv2_tf.dataset.provenance import BaselineUse, CaseEntry, Manifest, Sidecar, versions
from nnunetv2_tf.io.errors import UserError

HASH = "0123456789abcdef" * 4
SIDECAR = Sidecar(
    "s", 3, "healthy_7", ("a",), ("a", "b"), ("c",), 6.0, {"a": "0"}, {"volume_ml": [5, 40]}, 1, {"numpy": "2"},
    config_hash=HASH,
)  # fmt: skip
FOREIGN = Sidecar("s", None, None, (), "unknown", (), None, {}, {}, None, {})
MANIFEST = Manifest(
    format=1,
    set="tf100",
    dataset="Dataset501_X",
    fold=0,
    method="tf_gan",
    preset="default",
    config_hash=HASH,
    recipe_hash=HASH,
    healthy="Dataset601_Y",
    baseline=BaselineUse("TFBaselineTrainer", "nnUNetPlans", "3d_fullres", HASH),
    versions={"numpy": "2"},
    cases=(CaseEntry("s", 0, True, (HASH, HASH), HASH), CaseEntry("t", None, False, (HASH,), HASH)),
)


def schema(name: str) -> dict:
    return json.loads((files("nnunetv2_tf") / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("sidecar", [SIDECAR, FOREIGN])
def test_sidecar_round_trip_and_schema(tmp_path, sidecar):
    sidecar.write(tmp_path / "s.json")
    assert Sidecar.read(tmp_path / "s.json") == sidecar
    jsonschema.validate(json.loads((tmp_path / "s.json").read_text(encoding="utf-8")), schema("sidecar"))


def test_manifest_round_trip_and_schema(tmp_path):
    MANIFEST.write(tmp_path / "m.json")
    assert Manifest.read(tmp_path / "m.json") == MANIFEST
    assert [entry.case for entry in MANIFEST.accepted] == ["s"]
    jsonschema.validate(json.loads((tmp_path / "m.json").read_text(encoding="utf-8")), schema("manifest"))


BAD_SIDECARS = [
    {"ancestors": "nobody"}, {"ancestors": [1]}, {"line": "1"}, {"reach_mm": "far"}, {"donors": None}, {"more": 1},
    {"versions": {"numpy": 2}}, {"config_hash": 7},
]  # fmt: skip
BAD_MANIFESTS = [
    {"fold": -1}, {"fold": "0"}, {"format": 2}, {"cases": {}}, {"baseline": {}}, {"method": None}, {"hash": "x"},
    {"cases": [{"case": "s", "line": 0, "accepted": True, "image_sha256": [], "label_sha256": HASH}]},
    {"cases": [{"case": "s", "line": 0, "accepted": 1, "image_sha256": [HASH], "label_sha256": HASH}]},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD_SIDECARS, ids=str)
def test_dataclass_and_schema_refuse_the_same_sidecars(tmp_path, change):
    refused_by_both(tmp_path, Sidecar, SIDECAR, schema("sidecar"), change)


@pytest.mark.parametrize("change", BAD_MANIFESTS, ids=str)
def test_dataclass_and_schema_refuse_the_same_manifests(tmp_path, change):
    refused_by_both(tmp_path, Manifest, MANIFEST, schema("manifest"), change)


def refused_by_both(folder, kind, good, its_schema, change):
    path = folder / "r.json"
    good.write(path)
    bad = {**json.loads(path.read_text(encoding="utf-8")), **change}
    path.write_text(json.dumps(bad), encoding="utf-8")
    with pytest.raises(UserError, match=r"r\.json"):
        kind.read(path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, its_schema)


def test_a_manifest_changed_by_hand_is_refused(tmp_path):
    MANIFEST.write(tmp_path / "m.json")
    value = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    changed = copy.deepcopy(value)
    changed["cases"][1]["accepted"] = True
    (tmp_path / "m.json").write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(UserError, match="changed by hand"):
        Manifest.read(tmp_path / "m.json")
    value["cases"].append(value["cases"][0])
    (tmp_path / "m.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(UserError, match="a case is listed twice"):
        Manifest.read(tmp_path / "m.json")


def test_donors_are_ancestors():
    """The leak guard reads ancestors only, so no method may forget a donor there."""
    with pytest.raises(ValueError, match="the donors of s must be among its ancestors"):
        Sidecar("s", 3, None, ("a",), ("b",), (), None, {}, {}, None, {})


def test_versions_name_what_decides_a_case():
    assert set(versions()) == {"nnunetv2_tf", "code", "nnunetv2", "torch", "numpy", "batchgeneratorsv2"}
