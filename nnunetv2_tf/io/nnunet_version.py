"""The nnU-Net that is installed. In: this Python. Out: its version, and a remark where nobody has tried it."""

import re

OLDEST = (2, 8)  # what this package needs
TESTED = (2, 8)  # the newest that its tests ran with


def installed_version(package: str) -> str | None:
    """Return the version of an installed package; None where there is none."""
    from importlib.metadata import PackageNotFoundError, version  # which is not for -h

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def installed_nnunet() -> str | None:
    """Return nnU-Net's version; None where there is none."""
    return installed_version("nnunetv2")


def remark_on_nnunet() -> str:
    """Return a sentence where a newer nnU-Net is installed than the tests ran with; empty otherwise."""
    installed = installed_nnunet()
    if installed is None or _numbers(installed) <= TESTED:
        return ""
    tested = ".".join(map(str, TESTED))
    return (
        f"nnunetv2 {installed} is newer than {tested}, with which nnunetv2_tf is tested; should something go wrong, "
        f"pip install 'nnunetv2=={tested}.*'"
    )


def is_too_old(installed: str) -> bool:
    """Return whether this package cannot work with a version of nnU-Net's."""
    return _numbers(installed) < OLDEST


def _numbers(installed: str) -> tuple[int, ...]:
    """Return the first two numbers of a version, also of 2.9rc1 and the like."""
    return tuple(map(int, re.findall(r"\d+", installed)[:2]))
