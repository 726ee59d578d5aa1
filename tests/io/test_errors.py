import errno

import pytest

from nnunetv2_tf.io.errors import UserError, run_command


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("a.nii.gz is empty; replace it."), 2, "Error: a.nii.gz is empty; replace it.\n"),
        (OSError(errno.ENOSPC, "", "/full/x"), 2, "Error: /full/x: no space is left on this disk"),
        (PermissionError(errno.EACCES, "", "/mine/x"), 2, "Error: /mine/x: you may not read or write here"),
        (OSError(errno.ENOLCK, "", "/nfs/.lock"), 2, "Error: /nfs/.lock: this file system has no locks (flock)"),
        (OSError(errno.ENOSPC, ""), 2, "Error: The target folder: no space is left"),
        (KeyboardInterrupt(), 130, "Interrupted; run the same command again to continue.\n"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(error, code, said, capsys):
    assert run_command(raising(error)) == code
    assert capsys.readouterr().err.startswith(said)


def test_our_own_mistakes_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))
    with pytest.raises(FileNotFoundError):
        run_command(raising(FileNotFoundError(errno.ENOENT, "")))
    assert run_command(lambda: None) == 0
