"""Newer versions of nnU-Net are used, with a remark; older ones are refused."""

import pytest

from nnunetv2_tf.io import nnunet_version
from nnunetv2_tf.io.errors import run_command
from nnunetv2_tf.io.nnunet_version import is_too_old, remark_on_nnunet


@pytest.mark.parametrize(("installed", "newer", "older"), [("2.8.1", False, False), ("2.9", True, False), ("3.0.1", True, False), ("2.10.0", True, False), ("2.7.9", False, True)])  # fmt: skip # noqa: E501
def test_what_is_tested_is_no_remark(monkeypatch, installed, newer, older):
    monkeypatch.setattr(nnunet_version, "installed_nnunet", lambda: installed)
    assert (installed in remark_on_nnunet()) == newer
    assert is_too_old(installed) == older


def test_commands_say_it_and_go_on(monkeypatch, capsys):
    monkeypatch.setattr(nnunet_version, "installed_nnunet", lambda: "2.9.0")
    assert run_command(lambda: None) == 0
    assert "WARNING: nnunetv2 2.9.0 is newer than 2.8" in capsys.readouterr().err


def test_without_nnunet_there_is_nothing_to_remark(monkeypatch):
    monkeypatch.setattr(nnunet_version, "installed_nnunet", lambda: None)
    assert not remark_on_nnunet()
