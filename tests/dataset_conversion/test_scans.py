from pathlib import Path

import pytest

from nnunetv2_tf.dataset_conversion.scans import Layout, Search, find_scans
from nnunetv2_tf.errors import UserError


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def search(folder: Path, layout: Layout = "auto", channels=("t1n",), called=None, globs=None, **settings) -> Search:
    return Search(folder, layout, tuple(channels), called or {}, globs or {}, **settings)


def found(folder: Path, *args, **settings) -> dict[str, list[str]]:
    scans, _ = find_scans(search(folder, *args, **settings))
    return {scan.case: [path.relative_to(folder).as_posix() for path in scan.images] for scan in scans}


def test_ixi_matches_modalities_by_subject(tmp_path):
    make(tmp_path, "T1/IXI012-HH-1211-T1.nii.gz", "T2/IXI012-HH-1211-T2.nii.gz", "PD/IXI012-HH-1211-PD.nii.gz")
    make(tmp_path, "T1/IXI013-HH-1212-T1.nii.gz", "MRA/IXI012-HH-1211-MRA.nii.gz")
    assert found(tmp_path) == {
        "IXI012": ["T1/IXI012-HH-1211-T1.nii.gz"],
        "IXI013": ["T1/IXI013-HH-1212-T1.nii.gz"],
    }
    scans, reasons = find_scans(search(tmp_path, channels=("t2w", "t1n", "pdw")))
    assert [scan.case for scan in scans] == ["IXI012"]
    assert [path.name[-9:-7] for path in scans[0].images] == ["T2", "T1", "PD"]
    assert reasons == {"IXI013": "it has no t2w and no pdw"}


def test_bids_takes_one_scan_per_subject_the_first_session_and_run(tmp_path):
    make(tmp_path, "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz", "sub-01/ses-a/anat/sub-01_ses-a_run-2_T1w.nii.gz")
    make(tmp_path, "sub-01/ses-a/anat/sub-01_ses-a_run-1_T1w.nii.gz", "sub-02/anat/sub-02_acq-x_T1w.nii.gz")
    make(
        tmp_path, "sub-02/anat/sub-02_FLAIR.nii.gz", "sub-02/anat/sub-02_ce-gd_T1w.nii.gz", "sub-02/func/x_bold.nii.gz"
    )
    make(tmp_path, "derivatives/x/sub-03/anat/sub-03_T1w.nii.gz")
    assert found(tmp_path) == {
        "sub-01": ["sub-01/ses-a/anat/sub-01_ses-a_run-1_T1w.nii.gz"],
        "sub-02": ["sub-02/anat/sub-02_acq-x_T1w.nii.gz"],
    }
    assert list(found(tmp_path, session="ses-b")) == ["sub-01"]
    assert found(tmp_path, channels=("t1c", "t2f")) == {
        "sub-02": ["sub-02/anat/sub-02_ce-gd_T1w.nii.gz", "sub-02/anat/sub-02_FLAIR.nii.gz"]
    }


def test_bids_subjects_by_a_column_of_participants_tsv(tmp_path):
    make(tmp_path, *(f"sub-{number}/anat/sub-{number}_T1w.nii.gz" for number in ("1", "2", "3")))
    text = "participant_id\tgroup\nsub-1\tcontrol\nsub-2\tpatient\nsub-3\tcontrol\n"
    (tmp_path / "participants.tsv").write_text(text, encoding="utf-8")
    assert list(found(tmp_path, where=("group", "control"))) == ["sub-1", "sub-3"]
    for where, sentence in ((("age", "3"), "has no column age"), (("group", "x"), "nobody's group is x")):
        with pytest.raises(UserError, match=sentence):
            found(tmp_path, where=where)
    (tmp_path / "participants.tsv").unlink()
    with pytest.raises(UserError, match="leave -where out"):
        found(tmp_path, where=("group", "control"))


def test_ppmi_trees_and_exports_earliest_date_first(tmp_path):
    tree = "PPMI/{}/{}/{}_10_00_00.0/{}/slice{}.dcm"
    make(tmp_path, *(tree.format("3102", "MPRAGE_GRAPPA", "2012-01-20", "I2", index) for index in range(3)))
    make(tmp_path, *(tree.format("3102", "MPRAGE_GRAPPA", "2011-01-20", "I1", index) for index in range(3)))
    make(tmp_path, tree.format("3102", "AXIAL_FLAIR", "2011-01-20", "I3", 0))
    make(tmp_path, tree.format("3102", "Axial_PD-T2_TSE", "2011-01-20", "I4", 0))
    make(tmp_path, "PPMI_3103_MR_SAG_T1_3DMPRAGE__br_raw_20110120_1_S1_I5.nii")
    assert found(tmp_path) == {
        "PPMI_3102": ["PPMI/3102/MPRAGE_GRAPPA/2011-01-20_10_00_00.0/I1"],
        "PPMI_3103": ["PPMI_3103_MR_SAG_T1_3DMPRAGE__br_raw_20110120_1_S1_I5.nii"],
    }
    assert found(tmp_path, channels=("t2f",))["PPMI_3102"][0].endswith("I3")
    assert found(tmp_path, channels=("t2w",))["PPMI_3102"][0].endswith("I4")


def test_any_folder_by_one_pattern_per_channel(tmp_path):
    make(tmp_path, "a/one_T1.nii.gz", "a/two_T1.nii.gz", "b/one_T2.nii.gz", "b/two_T2.nii.gz")
    globs = {"t1n": "a/*_T1.nii.gz", "t2w": "b/*_T2.nii.gz"}
    assert found(tmp_path, channels=("t1n", "t2w"), globs=globs) == {
        name: [f"a/{name}_T1.nii.gz", f"b/{name}_T2.nii.gz"] for name in ("one", "two")
    }
    make(tmp_path, "p 1/scan.nii.gz", "p 2/scan.nii.gz")
    assert list(found(tmp_path, globs={"t1n": "*/scan.nii.gz"})) == ["p_1", "p_2"]


def test_other_names_for_channels(tmp_path):
    make(tmp_path, "sub-1/anat/sub-1_MP2RAGE.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz")
    assert found(tmp_path, called={"t1n": "MP2RAGE"})["sub-1"][0].endswith("MP2RAGE.nii.gz")


@pytest.mark.parametrize("name", ["T1", "T1w", "t1", "t1n", "t1_native"])
def test_a_reference_may_call_its_channel_what_it_likes(tmp_path, name):
    make(tmp_path, "IXI012-HH-1211-T1.nii.gz")
    assert list(found(tmp_path, channels=(name,))) == ["IXI012"]


@pytest.mark.parametrize(
    ("names", "settings", "sentence"),
    [
        (["a.txt"], {}, "is in no layout that tells itself"),
        (["IXI012-HH-1211-T2.nii.gz"], {}, "holds no scan in layout ixi with t1n"),
        (["x.nii.gz"], {"layout": "folder"}, "needs a pattern for t1n"),
        (["x.nii.gz"], {"globs": {"t1n": "x.nii.gz"}}, r"has no \*"),
        (["IXI012-HH-1211-T1.nii.gz"], {"called": {"t2f": "FLAIR"}}, "-channels names t2f, and the reference has t1n"),
    ],
)
def test_what_is_not_found_is_said(tmp_path, names, settings, sentence):
    make(tmp_path, *names)
    with pytest.raises(UserError, match=sentence):
        find_scans(search(tmp_path, **settings))


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="does not exist or is no folder"):
        find_scans(search(tmp_path / "missing"))
