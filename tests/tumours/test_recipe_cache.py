"""Recipes with healthy hosts, drawn as far as they are asked for and kept. Patients stand in for healthy people."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.tumours.bank import bank_from_cases
from nnunetv2_tf.tumours.constraints import TumourConstraints
from nnunetv2_tf.tumours.place import place_tumours, read_host
from nnunetv2_tf.tumours.recipe import seed_of
from nnunetv2_tf.tumours.recipe_cache import RecipeCache
from nnunetv2_tf.tumours.sampler import TumourSampler
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.working_space.stored import Case
from tests.scenes import Built

FREE, DEFAULT = TumourConstraints(), SamplingConfig()
SEED = 3


def hosts_of(scene: Built) -> dict[str, Case]:
    return {case.identifier: case for case in scene.cases}


def cache_of(
    scene: Built,
    folder: Path,
    constraints: TumourConstraints = FREE,
    config: SamplingConfig = DEFAULT,
    hosts: Mapping[str, Case] | None = None,
    stamp: str = "arrays",
    seed: int = SEED,
) -> RecipeCache:
    hosts = hosts_of(scene) if hosts is None else hosts
    sampler = TumourSampler(bank_from_cases(scene.cases, {}), config, constraints)
    return RecipeCache(sampler, hosts, dict.fromkeys(hosts, stamp), seed, folder)


def test_a_longer_recipe_begins_with_the_shorter_one_and_nobody_draws_it_twice(scene: Built, tmp_path, monkeypatch):
    longer = cache_of(scene, tmp_path / "one").first(7, 1)
    assert [line.index for line in longer] == list(range(7))
    shorter = cache_of(scene, tmp_path / "other").first(3, 1)
    assert shorter == longer[:3]
    monkeypatch.setattr(TumourSampler, "sample", lambda *_: pytest.fail("drawn again"))
    assert cache_of(scene, tmp_path / "one").first(7, 1) == longer
    assert cache_of(scene, tmp_path / "one").first(2, 1) == longer[:2]


def test_only_lines_that_nobody_has_drawn_yet_are_drawn(scene: Built, tmp_path, monkeypatch):
    cache, placed = cache_of(scene, tmp_path), []
    cache.first(3, 1)
    original = TumourSampler.sample

    def sample(*arguments):
        placed.append(original(*arguments))
        return placed[-1]

    monkeypatch.setattr(TumourSampler, "sample", sample)
    lines = cache.first(5, 1)
    assert len(placed) == 2
    assert {tumour_map.tumours for tumour_map in placed} == {line.tumours for line in lines[3:]}


def test_lines_that_a_kill_has_lost_are_drawn_as_they_were(scene: Built, tmp_path):
    cache = cache_of(scene, tmp_path)
    drawn = cache.first(5, 1)
    kept = read_json(cache.path, "")["lines"]
    write_json(cache.path, {"lines": kept[1:4], "hash": digest(kept[1:4])})
    assert cache_of(scene, tmp_path).first(5, 1) == drawn
    assert read_json(cache.path, "")["lines"] == kept


def test_a_line_can_be_placed_in_its_host_as_it_was_drawn(scene: Built, tmp_path):
    cache, hosts = cache_of(scene, tmp_path), hosts_of(scene)
    lines = cache.first(8, 1)
    for line in lines:
        assert line.real_host is None
        assert line.seed == seed_of(SEED, line.index)
        host = read_host(hosts[line.host].open(), around_fluid=True)
        placed = place_tumours(line.tumours, cache.sampler.bank, host)
        assert placed is not None
        assert min(placed.kept) >= cache.sampler.config.least_kept
    assert {line.host for line in lines[:4]} == {line.host for line in lines[4:]} == set(hosts)


def test_a_host_without_room_leaves_its_turn_to_another(scene: Built, tmp_path):
    usual = cache_of(scene, tmp_path / "usual").first(8, 1)
    hosts = hosts_of(scene)
    name = usual[0].host
    nowhere = replace(hosts[name].roles, tumour=(9,), organ=(9,))  # labels that no voxel has
    hosts[name] = replace(hosts[name], roles=nowhere)
    lines = cache_of(scene, tmp_path / "without", hosts=hosts).first(8, 1)
    assert name not in {line.host for line in lines}
    assert [line for line in lines if usual[line.index].host != name] == [
        line for line in usual if line.host != name
    ]  # the others' turns stay what they were


def test_a_line_that_cannot_be_placed_says_why_and_in_whom(scene: Built, tmp_path):
    far = tuple(np.add(bank_from_cases(scene.cases, {}).extent[1], 20))
    cache = cache_of(scene, tmp_path, TumourConstraints(center=far, radius=1.0))
    with pytest.raises(
        UserError, match="No tumour could be placed as asked for in 4 healthy scans, case_.*Ask for less"
    ):
        cache.first(1, 1)
    assert not cache.path.exists()


def test_what_draws_the_same_lines_shares_them_and_nothing_else_does(scene: Built, tmp_path):
    usual = cache_of(scene, tmp_path)
    harmonised, plain = (SamplingConfig(harmonised=value) for value in (True, False))
    assert cache_of(scene, tmp_path, config=harmonised).path == cache_of(scene, tmp_path, config=plain).path
    others = [
        cache_of(scene, tmp_path, TumourConstraints(side="left")),
        cache_of(scene, tmp_path, config=SamplingConfig(turn=14.0)),
        cache_of(scene, tmp_path, hosts={"case_000": scene.cases[0]}),
        cache_of(scene, tmp_path, stamp="other arrays"),
        replace(usual, sampler=replace(usual.sampler, bank=bank_from_cases(scene.cases[1:], {}))),
    ]
    assert len({cache.digest for cache in (usual, *others)}) == 6
    reseeded = cache_of(scene, tmp_path, seed=SEED + 1)
    assert reseeded.digest == usual.digest
    assert reseeded.path != usual.path
    drawn, drawn_anew = (
        {tumour.elastic_seed for line in cache.first(4, 1) for tumour in line.tumours} for cache in (usual, reseeded)
    )
    assert not drawn & drawn_anew


def test_kept_lines_that_a_hand_changed_are_refused(scene: Built, tmp_path):
    cache = cache_of(scene, tmp_path)
    drawn = cache.first(2, 1)
    text = cache.path.read_text(encoding="utf-8")
    for changed, sentence in (
        (text.replace(f'"seed": {drawn[0].seed}', f'"seed": {drawn[0].seed + 1}'), "was changed by hand"),
        (text[:-40], "is not valid JSON"),
        ("[]", "must be an object"),
    ):
        cache.path.write_text(changed, encoding="utf-8")
        for number in (2, 3):
            with pytest.raises(UserError, match=f"{sentence}.*; delete it, its lines are drawn anew"):
                cache.first(number, 1)
    cache.path.unlink()
    assert cache.first(3, 1)[:2] == drawn
