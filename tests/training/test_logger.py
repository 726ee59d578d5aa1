from nnunetv2_tf.training.logger import Logger


def test_what_a_run_says_is_kept_and_shown(tmp_path, capsys):
    logger = Logger(tmp_path / "fold_0")
    logger.lines(["begun"])
    logger.epoch(3, 10, {"loss": 0.25}, seconds=6.0, steps=4)
    curves = {"loss": {"all": [0.5, 0.25]}, "a": {"ET": [1.0, 0.9], "ED": [1.0, 1.1]}}
    logger.paint(curves, last=False)
    said = ["begun", "Epoch 3: loss 0.25000, 6.0 s, 1.50 s per iteration; 6 of 10 left, about 1 min"]
    assert capsys.readouterr().out.splitlines() == said
    (log,) = (tmp_path / "fold_0").glob("training_log_*.txt")
    assert [line.split(" ", 2)[2] for line in log.read_text(encoding="utf-8").splitlines()] == said
    assert (tmp_path / "fold_0" / "progress.png").read_bytes().startswith(b"\x89PNG")


def test_progress_is_painted_now_and_then_and_at_the_end(tmp_path):
    logger, path = Logger(tmp_path), tmp_path / "progress.png"
    logger.paint({"loss": {"all": [0.5]}}, last=False)
    first = path.read_bytes()
    logger.paint({"loss": {"all": [0.5, 0.25]}}, last=False)
    assert path.read_bytes() == first
    logger.paint({"loss": {"all": [0.5, 0.25]}}, last=True)
    assert path.read_bytes() != first
