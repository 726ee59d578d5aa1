from nnunetv2_tf.training.logger import Logger


def test_what_a_run_says_is_kept_and_shown(tmp_path, capsys):
    logger = Logger(tmp_path / "fold_0")
    logger.lines(["begun"])
    logger.epoch(3, {"loss": 0.25}, seconds=6.0, steps=4)
    logger.paint({"loss": {"all": [0.5, 0.25]}, "a": {"ET": [1.0, 0.9], "ED": [1.0, 1.1]}})
    said = ["begun", "Epoch 3: loss 0.25000, 6.0 s, 1.50 s per iteration"]
    assert capsys.readouterr().out.splitlines() == said
    (log,) = (tmp_path / "fold_0").glob("training_log_*.txt")
    assert [line.split(" ", 2)[2] for line in log.read_text(encoding="utf-8").splitlines()] == said
    assert (tmp_path / "fold_0" / "progress.png").read_bytes().startswith(b"\x89PNG")
