"""TFEnrichedTrainer as nnUNetv2_train makes it, on preprocessed stand-ins, cut down to a few steps."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.commands import sets
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets import manage
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.standin.foreign import write_foreign_cases
from tests.workspace import TINY, Workspace, add_set, log_of

pytestmark = pytest.mark.slow


def refused(capsys, start) -> str:
    """The sentence with which a training ends before it starts."""
    with pytest.raises(SystemExit) as caught:
        start()
    assert caught.value.code == 2
    output = capsys.readouterr()
    sentences = re.findall(r"Error: .*", output.out + output.err)
    assert len(sentences) == 1
    return sentences[0]


def test_trains_on_both_and_validates_on_real_cases(enriched: Workspace):
    trainer = enriched.trainer("TFEnrichedTrainer_demo", num_iterations_per_epoch=10)
    trainer.run_training()
    train, val = trainer.do_split()
    loader = trainer.dataloader_train.data_loader
    assert set(loader.indices) == set(train) | {f"synthetic_{index:04d}" for index in range(4)}
    assert set(trainer.dataloader_val.data_loader.indices) == set(val)
    log = log_of(enriched.results / f"TFEnrichedTrainer_demo__{TINY}__3d_fullres" / "fold_0")
    assert "Real cases: 8 train, 2 validate." in log
    assert "Synthetic cases: 4 of set demo (method foreign) train, drawn like real ones." in log
    ((real, synthetic),) = re.findall(r"Drawn this epoch: (\d+) real .* (\d+) synthetic", log)
    assert int(real) + int(synthetic) == 20
    assert int(synthetic) > 0


def test_the_log_tells_what_was_really_drawn(enriched: Workspace):
    """Against the loader's own record of the batches it made."""
    name = "TFEnrichedTrainer_demo_seed0_p50"  # a seed with which not all patches hold tumour
    trainer = enriched.trainer(name, num_epochs=2, num_iterations_per_epoch=20)
    trainer.on_train_start()
    seen = []
    loader = trainer.dataloader_train.data_loader.loader
    draw = loader.get_indices
    loader.get_indices = lambda: seen.append(draw()) or seen[-1]
    trainer.on_train_epoch_start()
    batches = [next(trainer.dataloader_train) for _ in range(20)]
    there = [bool((patch > 0).any()) for batch in batches for patch in batch["target"][0]]  # all classes are tumour
    trainer.on_train_epoch_end([trainer.train_step(batch) for batch in batches])
    drawn = np.concatenate(seen).tolist()
    made = [case.startswith("synthetic") for case in drawn]
    real, synthetic = ([case for case, one in zip(drawn, made, strict=True) if one is kind] for kind in (False, True))
    seen_in = [sum(tumour for tumour, one in zip(there, made, strict=True) if one is kind) for kind in (False, True)]
    assert 0 < sum(seen_in) < len(drawn)
    expected = (
        f"Drawn this epoch: {len(real)} real ({len(set(real))} of 8 cases, tumour in {seen_in[0]}), "
        f"{len(synthetic)} synthetic ({len(set(synthetic))} of 4 cases, tumour in {seen_in[1]})"
    )
    assert expected in log_of(enriched.results / f"{name}__{TINY}__3d_fullres" / "fold_0")


def test_labels_that_make_no_sense_are_refused_before_the_first_step(enriched: Workspace, capsys):
    path = enriched.dataset.preprocessed / "dataset.json"
    write_json(path, {**read_json(path, ""), "tf": {"tumour": ["nobody"]}})
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo").get_tr_and_val_datasets)
    assert f"{path}: " in sentence
    assert "nobody" in sentence


def test_without_a_set_name_the_only_set_is_taken(enriched: Workspace, capsys):
    enriched.trainer("TFEnrichedTrainer").get_tr_and_val_datasets()
    add_set(enriched, "other")
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer").get_tr_and_val_datasets)
    assert "exactly one set for fold 0, and there is: demo, other" in sentence


def test_count_takes_the_first_cases(enriched: Workspace, capsys):
    training, _ = enriched.trainer("TFEnrichedTrainer_demo_n3").get_tr_and_val_datasets()
    assert training.synthetic_identifiers == {f"synthetic_{index:04d}" for index in range(3)}
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo_n5").get_tr_and_val_datasets)
    assert "has 4 accepted cases for fold 0" in sentence


def test_a_missing_set_names_those_there_are(enriched: Workspace, capsys):
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demi").get_tr_and_val_datasets)
    assert "There is no set demi for fold 0" in sentence
    assert "fold 0 has: demo" in sentence
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo", fold=1).get_tr_and_val_datasets)
    assert "fold 1 has no set yet" in sentence


def test_a_leaking_set_is_refused_with_the_reason(enriched: Workspace, capsys):
    """A set that was clean when it joined, until somebody changed the split or the groups."""
    path = enriched.dataset.preprocessed / "splits_final.json"
    splits = read_json(path, "")
    ancestor = SetPart(enriched.dataset, "demo", 0).sidecar("synthetic_0002").ancestors[0]
    moved = [{"train": [case for case in splits[0]["train"] if case != ancestor], "val": [*splits[0]["val"], ancestor]}]
    write_json(path, moved)
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo").get_tr_and_val_datasets)
    assert "Set demo leaks validation cases of fold 0 into training" in sentence
    assert f"it descends from {ancestor}, which validates in this fold" in sentence
    write_json(path, splits)
    stranger = next(case for case in splits[0]["train"] if case != ancestor)
    write_json(enriched.dataset.raw / "groups.json", {ancestor: "P1", splits[0]["val"][0]: "P1", stranger: "P2"})
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo").get_tr_and_val_datasets)
    assert f"trains on {ancestor} and validates on {splits[0]['val'][0]}, which are one group" in sentence
    sentence = refused(capsys, enriched.trainer("TFBaselineTrainer").get_tr_and_val_datasets)
    assert "which are one group" in sentence


def test_fold_all_accepts_every_ancestor(workspace: Workspace):
    add_set(workspace, "demo", fold="all")
    training, validation = workspace.trainer("TFEnrichedTrainer_demo", fold="all").get_tr_and_val_datasets()
    assert len(set(training.identifiers)) == 14
    assert len(validation.identifiers) == 10


def test_trusted_cases_train_with_a_warning_in_the_log(workspace: Workspace):
    manage.add(
        manage.AddRequest(workspace.id, workspace.foreign_cases(), "trusted", (0,), None, ("3d_fullres",), TINY, 1)
    )
    trainer = workspace.trainer("TFEnrichedTrainer_trusted")
    trainer.get_tr_and_val_datasets()
    assert "WARNING: the ancestors of 4 are unknown" in log_of(Path(trainer.output_folder))


def test_not_preprocessed_for_this_configuration_names_the_command(enriched: Workspace, capsys, monkeypatch):
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo", configuration="2d").get_tr_and_val_datasets)
    (command,) = re.findall(r"nnUNetv2_tf_sets .*", sentence)
    assert command == f"nnUNetv2_tf_sets -d Dataset501_StandIns --preprocess -s demo -f 0 -c 2d -p {TINY}"
    monkeypatch.setattr("sys.argv", [*command.split(), "-np", "1"])
    assert sets.main() == 0
    enriched.trainer("TFEnrichedTrainer_demo", configuration="2d").run_training()


def test_preprocessed_by_older_plans_is_refused(enriched: Workspace, capsys):
    path = enriched.dataset.preprocessed / f"{TINY}.json"
    plans = read_json(path, "")
    plans["configurations"]["3d_fullres"]["batch_size"] = 3
    write_json(path, plans)
    enriched.trainer("TFEnrichedTrainer_demo").get_tr_and_val_datasets()  # does not change what is stored
    plans["configurations"]["3d_fullres"]["spacing"] = [1.0, 1.0, 2.0]
    write_json(path, plans)
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo").get_tr_and_val_datasets)
    assert "4 of 4 cases of set demo (first: synthetic_0000) are not preprocessed" in sentence


def test_a_real_case_of_the_same_name_is_refused(enriched: Workspace, capsys):
    folder = enriched.dataset.preprocessed / "nnUNetPlans_3d_fullres"
    for path in list(folder.glob("case_000*")):
        path.rename(folder / path.name.replace("case_000", "synthetic_0001"))
    write_json(
        enriched.dataset.preprocessed / "splits_final.json", [{"train": ["synthetic_0001"], "val": ["case_001"]}]
    )
    sentence = refused(capsys, enriched.trainer("TFEnrichedTrainer_demo").get_tr_and_val_datasets)
    assert "Synthetic case synthetic_0001 of set demo is called like a real case" in sentence


class TestRecord:
    """tf_enrichment.json ties a fold folder to the synthetic cases it was trained with."""

    @staticmethod
    def folder(workspace: Workspace, name: str):
        return workspace.results / f"{name}__{TINY}__3d_fullres" / "fold_0"

    def trained(self, workspace: Workspace, name: str):
        trainer = workspace.trainer(name)
        trainer.run_training()
        return self.folder(workspace, name) / "tf_enrichment.json"

    def continued(self, workspace: Workspace, name: str):
        trainer = workspace.trainer(name, num_epochs=2, continue_training=True)
        trainer.load_checkpoint(str(self.folder(workspace, name) / "checkpoint_final.pth"))
        return trainer

    def test_it_names_set_and_counts(self, enriched: Workspace):
        record = json.loads(self.trained(enriched, "TFEnrichedTrainer_demo_p25").read_text(encoding="utf-8"))
        assert {key: record[key] for key in ("set", "fold", "num_real", "num_synthetic", "percent")} == {
            "set": "demo", "fold": 0, "num_real": 8, "num_synthetic": 4, "percent": 25,
        }  # fmt: skip

    def test_continuing_with_other_cases_stops(self, enriched: Workspace, capsys):
        path = self.trained(enriched, "TFEnrichedTrainer_demo")
        before = path.read_bytes()
        self.continued(enriched, "TFEnrichedTrainer_demo").on_train_start()
        manage.remove(manage.RemoveRequest(enriched.id, "demo", None))
        folder = enriched.root / "others"
        write_foreign_cases(enriched.dataset, 0, folder, 4, seed=1)
        manage.add(
            manage.AddRequest(enriched.id, folder, "demo", (0,), folder / "ancestors.json", ("3d_fullres",), TINY, 1)
        )
        capsys.readouterr()
        sentence = refused(capsys, self.continued(enriched, "TFEnrichedTrainer_demo").on_train_start)
        assert "began with other synthetic cases than its set holds now" in sentence
        assert path.read_bytes() == before

    def test_the_record_is_the_checkpoints_not_the_folders(self, enriched: Workspace, capsys):
        """A new training that stops before its first checkpoint leaves the old one's checkpoint behind."""
        self.trained(enriched, "TFEnrichedTrainer_demo")
        manage.remove(manage.RemoveRequest(enriched.id, "demo", None))
        folder = enriched.root / "others"
        write_foreign_cases(enriched.dataset, 0, folder, 4, seed=1)
        manage.add(
            manage.AddRequest(enriched.id, folder, "demo", (0,), folder / "ancestors.json", ("3d_fullres",), TINY, 1)
        )
        enriched.trainer("TFEnrichedTrainer_demo").on_train_start()  # started anew, then stopped
        capsys.readouterr()
        sentence = refused(capsys, self.continued(enriched, "TFEnrichedTrainer_demo").on_train_start)
        assert "began with other synthetic cases" in sentence

    @pytest.mark.parametrize("name", ["TFBaselineTrainer", "TFEnrichedTrainer_demo"])
    def test_continuing_on_another_split_stops(self, enriched: Workspace, capsys, name):
        """Or cases that the weights have learnt would validate them."""
        workspace = enriched
        trainer = workspace.trainer(name)
        trainer.run_training()
        self.continued(workspace, name).on_train_start()
        path = workspace.dataset.preprocessed / "splits_final.json"
        first, *others = read_json(path, "")
        ancestors = {
            a for s in range(4) for a in SetPart(workspace.dataset, "demo", 0).sidecar(f"synthetic_{s:04d}").ancestors
        }
        learnt = next(case for case in first["train"] if case not in ancestors)
        swapped = {
            "train": [first["val"][0], *(case for case in first["train"] if case != learnt)],
            "val": [learnt, first["val"][1]],
        }
        write_json(path, [swapped, *others])
        capsys.readouterr()
        sentence = refused(capsys, self.continued(workspace, name).on_train_start)
        assert "cases it has learnt could validate it" in sentence

    def test_a_checkpoint_of_another_trainer_is_not_continued(self, enriched: Workspace, capsys):
        stock = enriched.trainer("nnUNetTrainer")
        stock.run_training()
        trainer = enriched.trainer("TFBaselineTrainer", num_epochs=2, continue_training=True)
        trainer.load_checkpoint(str(Path(stock.output_folder) / "checkpoint_final.pth"))
        assert "was written by another trainer" in refused(capsys, trainer.on_train_start)

    def test_extending_a_set_does_not_break_a_count(self, enriched: Workspace, capsys):
        for name in ("TFEnrichedTrainer_demo", "TFEnrichedTrainer_demo_n2"):
            self.trained(enriched, name)
        folder = enriched.root / "more"
        write_foreign_cases(enriched.dataset, 0, folder, 6, seed=2)
        for path in sorted(folder.glob("*/*.nii.gz")):
            path.rename(path.with_name(path.name.replace("synthetic", "zmore")))
        manage.add(manage.AddRequest(enriched.id, folder, "demo", (0,), None, ("3d_fullres",), TINY, 1))
        capsys.readouterr()
        self.continued(enriched, "TFEnrichedTrainer_demo_n2").on_train_start()
        sentence = refused(capsys, self.continued(enriched, "TFEnrichedTrainer_demo").on_train_start)
        assert "'num_synthetic': 4" in sentence
