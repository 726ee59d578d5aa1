"""`python -m nnunetv2_tf`: versions, folders, and whether nnU-Net will find the trainers."""

import argparse

from nnunetv2_tf import _autoreg


def main() -> int:
    """Print the diagnosis; return exit code 2 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m nnunetv2_tf", description=__doc__)
    parser.add_argument("--ext", action="store_true", help=f"only print the folder to put into {_autoreg.VARIABLE}")
    if parser.parse_args().ext:
        print(_autoreg.FOLDER)
        return 0
    from nnunetv2_tf.commands.diagnosis import diagnose

    diagnosis = diagnose()
    print(diagnosis)
    return 2 if diagnosis.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
