import os
from pathlib import Path

import pytest

from nnunetv2_tf.conversion.healthy.scans import Layout, Search, find_scans
from nnunetv2_tf.io.errors import UserError


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def search(*folders: Path, layout: Layout = "auto", channels=("t1n",), called=None, globs=None, **settings) -> Search:
    return Search(folders, layout, tuple(channels), called or {}, globs or {}, **settings)


def found(folder: Path, *others: Path, **settings) -> dict[str, list[str]]:
    scans, _ = find_scans(search(folder, *others, **settings))
    return {
        scan.case.removeprefix(f"{folder.name}_"): [os.path.relpath(path, folder) for path in scan.images]
        for scan in scans
    }


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


def test_bids_leaves_what_is_not_raw_and_takes_the_first_complete_session(tmp_path):
    make(tmp_path, "sub-1/ses-1/anat/sub-1_ses-1_T1w.nii.gz", "sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz")
    make(
        tmp_path,
        "sub-1/ses-2/anat/sub-1_ses-2_FLAIR.nii.gz",
        "sub-1/ses-10/anat/sub-1_ses-10_T1w.nii.gz",
        "sub-1/ses-10/anat/sub-1_ses-10_FLAIR.nii.gz",
        "sub-1/ses-3/anat/sub-1_ses-3_FLAIR.nii.gz",
    )
    for extra in ("sourcedata", "code", "derivatives/x", ".git"):
        make(tmp_path, f"{extra}/sub-9/anat/sub-9_T1w.nii.gz", f"{extra}/sub-9/anat/sub-9_FLAIR.nii.gz")
    assert found(tmp_path, channels=("t1n", "t2f")) == {
        "sub-1": ["sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz", "sub-1/ses-2/anat/sub-1_ses-2_FLAIR.nii.gz"]
    }
    make(tmp_path, *(f"sub-2/anat/sub-2_run-{run}_T1w.nii.gz" for run in (10, 9)))
    assert found(tmp_path)["sub-2"] == ["sub-2/anat/sub-2_run-9_T1w.nii.gz"]


def test_links_in_a_circle_end(tmp_path):
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    (tmp_path / "sub-1" / "again").symlink_to(tmp_path)
    assert found(tmp_path) == {"sub-1": ["sub-1/anat/sub-1_T1w.nii.gz"]}


TREE = "PPMI/{}/{}/{}_10_00_00.0/{}/slice{}.dcm"


def test_ppmi_trees_and_exports_earliest_complete_date_first(tmp_path):
    make(tmp_path, *(TREE.format("3102", "MPRAGE_GRAPPA", "2012-01-20", "I2", index) for index in range(3)))
    make(tmp_path, *(TREE.format("3102", "MPRAGE_GRAPPA", "2011-01-20", "I1", index) for index in range(3)))
    make(tmp_path, TREE.format("3102", "AXIAL_FLAIR", "2012-01-20", "I3", 0))
    make(tmp_path, TREE.format("3102", "Axial_PD-T2_TSE", "2011-01-20", "I4", 0))
    make(tmp_path, "PPMI_3103_MR_SAG_T1_3DMPRAGE__br_raw_20110120_1_S1_I5.nii")
    assert found(tmp_path) == {
        "PPMI_3102": ["PPMI/3102/MPRAGE_GRAPPA/2011-01-20_10_00_00.0/I1"],
        "PPMI_3103": ["PPMI_3103_MR_SAG_T1_3DMPRAGE__br_raw_20110120_1_S1_I5.nii"],
    }
    both = found(tmp_path, channels=("t1n", "t2f"))["PPMI_3102"]
    assert [path.rsplit("/", 1)[1] for path in both] == ["I2", "I3"]
    assert found(tmp_path, channels=("t2w",))["PPMI_3102"][0].endswith("I4")
    assert len(set(found(tmp_path, channels=("t2w", "pdw"))["PPMI_3102"])) == 1  # one series with two echoes


def test_ppmi_exports_by_the_date_in_their_names(tmp_path):
    name = "PPMI_3103_MR_{}_br_raw_{}101010_1_S1_I{}.nii"
    make(tmp_path, name.format("MPRAGE", 20130120, 1), name.format("MPRAGE", 20110120, 2))
    make(tmp_path, name.format("FLAIR", 20130120, 3))
    assert found(tmp_path)["PPMI_3103"][0].endswith("I2.nii")
    assert [path[-6:] for path in found(tmp_path, channels=("t1n", "t2f"))["PPMI_3103"]] == ["I1.nii", "I3.nii"]


def test_people_with_a_number_of_their_own_are_found_over_several_folders(tmp_path):
    make(tmp_path / "a", "IXI012-HH-1211-T1.nii.gz", "IXI013-HH-1211-T1.nii.gz", "IXI013-HH-1211-T2.nii.gz")
    make(tmp_path / "b", "IXI012-HH-1211-T2.nii.gz", "IXI013-HH-1211-T1.nii.gz")
    scans, reasons = find_scans(search(tmp_path / "a", tmp_path / "b", channels=("t1n", "t2w")))
    assert [scan.case for scan in scans] == ["IXI012", "IXI013"]
    assert reasons == {}


def test_patterns_are_for_folders_that_do_not_tell_themselves(tmp_path):
    make(tmp_path / "ixi", "IXI012-HH-1211-T1.nii.gz")
    make(tmp_path / "own", "me_T1.nii.gz")
    scans, _ = find_scans(search(tmp_path / "ixi", tmp_path / "own", globs={"t1n": "*_T1.nii.gz"}))
    assert [scan.case for scan in scans] == ["IXI012", "own_me"]
    with pytest.raises(UserError, match="-glob means nothing in layout ixi"):
        find_scans(search(tmp_path / "ixi", globs={"t1n": "*_T1.nii.gz"}))


def test_dicom_files_behind_a_bids_folder_do_not_make_it_ppmi(tmp_path):
    make(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz", "sourcedata/sub-01/MPRAGE/2011-01-20_1/I1/a.dcm")
    assert list(found(tmp_path)) == ["sub-01"]


@pytest.mark.parametrize(
    ("description", "channel"),
    [
        ("MPRAGE_GRAPPA2", "t1n"), ("SAG_T1_3DMPRAGE", "t1n"), ("T1_REPEAT_2", "t1n"), ("Sag_3D_MPR", "t1n"),
        ("AX_IR-FSPGR_3D", "t1n"), ("3D_T1_BRAVO", "t1n"), ("t1_mprage_C+", "t1c"), ("SAG_T1_post_GD", "t1c"),
        ("T2_FLAIR_AXIAL", "t2f"), ("AX_T2_FLAIR", "t2f"), ("T2_SAG", "t2w"), ("AXIAL_T2*", None), ("rsfMRI_T1", None),
        ("AX_T1_FLAIR", None), ("T1_PRE_CONTRAST", None), ("T2_FLAIR_post", None), ("T1_MAP", None),
        ("3-plane_loc_T1", None), ("DTI_gated", None), ("T1", "t1n"),
    ],
)  # fmt: skip
def test_ppmi_series_by_the_words_of_their_description(tmp_path, description, channel):
    make(tmp_path, TREE.format("1", description, "2011-01-20", "I1", 0))
    for wanted in ("t1n", "t1c", "t2w", "t2f"):
        if wanted == channel:
            assert list(found(tmp_path, channels=(wanted,))) == ["PPMI_1"]
        else:
            with pytest.raises(UserError, match="holds no scan"):
                found(tmp_path, channels=(wanted,))


def test_of_ppmi_series_on_one_day_the_volume_is_taken(tmp_path):
    for index, description in enumerate(("AX_T1_SE", "MPRAGE_Cor", "SAG_MPRAGE", "T1_MPRAGE_tra")):
        make(tmp_path, TREE.format("1", description, "2011-01-20", f"I{index}", 0))
    assert found(tmp_path)["PPMI_1"][0].endswith("I2")


def test_ppmi_controls_by_the_table_that_comes_with_the_download(tmp_path):
    make(tmp_path, *(TREE.format(subject, "MPRAGE", "2011-01-20", "I1", 0) for subject in ("3102", "3103")))
    (tmp_path / "MPRAGE_1_20_2020.csv").write_bytes(b'"Image Data ID","Subject","Group"\n1,3102,PD\n2,3103,Control\n')
    assert list(found(tmp_path, where=("Group", "Control"))) == ["PPMI_3103"]


def test_only_listed_people(tmp_path):
    make(tmp_path, *(f"IXI{number}-HH-1211-T1.nii.gz" for number in ("012", "013", "014")))
    scans, reasons = find_scans(search(tmp_path, subjects=("IXI014", "IXI012", "IXI999")))
    assert [scan.case for scan in scans] == ["IXI012", "IXI014"]
    assert reasons == {"IXI999": "it is listed in -subjects and not found"}


def test_several_folders_are_told_apart(tmp_path):
    for study in ("one", "two"):
        make(tmp_path / study, "sub-01/anat/sub-01_T1w.nii.gz")
    make(tmp_path / "ixi", "IXI012-HH-1211-T1.nii.gz")
    scans, _ = find_scans(search(tmp_path / "one", tmp_path / "ixi", tmp_path / "two"))
    assert [scan.case for scan in scans] == ["IXI012", "one_sub-01", "two_sub-01"]
    make(tmp_path / "other" / "one", "sub-01/anat/sub-01_T1w.nii.gz")
    with pytest.raises(UserError, match="both have somebody who would be called one_sub-01"):
        find_scans(search(tmp_path / "one", tmp_path / "other" / "one"))


def test_any_folder_by_one_pattern_per_channel(tmp_path):
    make(tmp_path, "a/one_T1.nii.gz", "a/two_T1.nii.gz", "b/one_T2.nii.gz", "b/two_T2.nii.gz", "b/x/one_T2.nii.gz")
    globs = {"t1n": "a/*_T1.nii.gz", "t2w": "b/*_T2.nii.gz"}
    assert found(tmp_path, channels=("t1n", "t2w"), globs=globs) == {
        name: [f"a/{name}_T1.nii.gz", f"b/{name}_T2.nii.gz"] for name in ("one", "two")
    }
    make(tmp_path, "p 1/scan.nii.gz", "p 2/scan.nii.gz")
    assert list(found(tmp_path, globs={"t1n": "*/scan.nii.gz"})) == ["p_1", "p_2"]
    assert found(tmp_path, globs={"t1n": "./p ?/*.nii.gz"} | {"t1n": "p 1/*.nii.gz"})["scan"] == ["p 1/scan.nii.gz"]
    assert found(tmp_path, globs={"t1n": "a/o?e_*.nii.gz"}) == {"T1": ["a/one_T1.nii.gz"]}
    make(tmp_path, "deep/1/2/me_x[1].nii.gz")
    assert found(tmp_path, globs={"t1n": "deep/**/*_x[1].nii.gz"}) == {"me": ["deep/1/2/me_x[1].nii.gz"]}


def test_other_names_for_channels(tmp_path):
    make(tmp_path, "sub-1/anat/sub-1_MP2RAGE.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz")
    assert found(tmp_path, called={"t1n": ("UNIT1", "MP2RAGE")})["sub-1"][0].endswith("MP2RAGE.nii.gz")


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
        (["IXI012-HH-1211-T1.nii.gz"], {"called": {"t2f": ("FLAIR",)}}, "names t2f, and the reference has t1n"),
        (["IXI012-HH-1211-T1.nii.gz"], {"where": ("group", "x")}, "-where means nothing in .*, which has layout ixi"),
        (
            ["IXI012-HH-1211-T1.nii.gz"],
            {"session": "1"},
            "-session means nothing in layout ixi; leave it out, or choose -layout bids",
        ),
        (["x.nii.gz"], {"globs": {"t1n": "/data/*.nii.gz"}}, "is seen from the folder of -i"),
        (["p 1/s.nii.gz", "p 2/s.nii.gz"], {"globs": {"t1n": "p ?/*.nii.gz"}}, "are both t1n of one case by -glob"),
        ([TREE.format("1", "MPRAGE", "2011-01-20", "I", 0)], {"where": ("Group", "x")}, "a .csv file beside the scans"),
        (
            ["p_T1.nii.gz"],
            {"channels": ("t1n", "t1c"), "globs": {"t1n": "*_T1.nii.gz", "t1c": "*_T1.nii.gz"}},
            r"p_T1\.nii\.gz would be both t1n and t1c by -glob; .* every channel of the labelled dataset",
        ),
        (
            ["p_T1.nii.gz"],
            {"channels": ("t1n", "t1c"), "globs": {"t1n": "*_T1.nii.gz"}, "layout": "folder"},
            "needs a pattern for t1c.* every channel of the labelled dataset",
        ),
    ],
)
def test_what_is_not_found_is_said(tmp_path, names, settings, sentence):
    make(tmp_path, *names)
    with pytest.raises(UserError, match=sentence):
        find_scans(search(tmp_path, **settings))


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="does not exist or is no folder"):
        find_scans(search(tmp_path / "missing"))
