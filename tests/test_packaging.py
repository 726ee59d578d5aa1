"""Ways to install the plugin beside nnU-Net, each in a throw-away environment with real pip."""

import email
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import nnunetv2_tf
from tests.environments import REPOSITORY, Environment, requirement

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and with the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment.make(tmp_path)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"nnunetv2_tf", "nnunetv2_tf.pth", f"nnunetv2_tf-{wheel.name.split('-')[1]}.dist-info"}
    sources = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "nnunetv2_tf").rglob("*.py")}
    sources |= {f"nnunetv2_tf/trainers/{path.name}" for path in (REPOSITORY / "trainers").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    assert {"nnunetv2_tf/schemas/manifest.schema.json", "nnunetv2_tf/py.typed"} <= names


def test_metadata_says_what_pip_and_its_index_need(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        metadata = email.message_from_string(archive.read(name).decode())
    assert (metadata["Version"], metadata["Requires-Python"]) == (nnunetv2_tf.__version__, ">=3.10")
    assert {"skullstrip", "demo", "dev"} <= set(metadata.get_all("Provides-Extra") or ())
    assert [text for text in metadata.get_all("Requires-Dist") or () if "extra" not in text] == ["nnunetv2>=2.8"]
    assert str(metadata.get_payload()).startswith("# nnunetv2_tf: Tumor Fabrication")


@pytest.mark.exhaustive
def test_the_sdist_alone_is_enough(environment: Environment, built: Path):
    (sdist,) = built.glob("*.tar.gz")
    environment.install_nnunet()
    environment.pip("install", "--no-deps", sdist)
    assert environment.finds_trainers()
    assert "nnUNetv2_tf_fit" in environment.run("nnUNetv2_tf_fit", "-h").stdout


@pytest.mark.exhaustive
def test_wheel_then_nnunet_reinstalled_then_uninstalled(environment: Environment, wheel: Path):
    environment.install_nnunet()
    before = listing(environment)
    environment.pip("install", "--no-deps", wheel)
    assert environment.finds_trainers()
    assert "nnUNetv2_tf_sets -d 501 --add" in environment.run("nnUNetv2_tf_sets", "-h").stdout
    environment.install_nnunet()
    assert environment.finds_trainers()
    environment.pip("uninstall", "--yes", "nnunetv2_tf")
    assert listing(environment) == before
    assert nnunet_search(environment, "nnUNetTrainer_1epoch") == "nnUNetTrainer_1epoch"
    assert "Could not find requested nnunet trainer TFEnrichedTrainer" in nnunet_search(
        environment, "TFEnrichedTrainer"
    )


@pytest.mark.exhaustive
def test_the_plugin_before_nnunet_and_the_opt_out(environment: Environment, wheel: Path):
    environment.pip("install", "--no-deps", wheel)
    assert "nnunetv2 is not installed in this Python" in environment.run("python", "-m", "nnunetv2_tf", expect=2).stdout
    environment.install_nnunet()
    assert environment.finds_trainers()
    off = {"NNUNETV2_TF_NO_AUTOREG": "1"}
    assert not environment.finds_trainers(**off)
    told = environment.run("python", "-m", "nnunetv2_tf", expect=2, **environment.places(), **off).stdout
    folder = environment.run("python", "-m", "nnunetv2_tf", "--ext").stdout.strip()
    assert f"(NNUNETV2_TF_NO_AUTOREG is set); export nnUNet_extTrainer={folder}" in told
    assert environment.finds_trainers(nnUNet_extTrainer=folder, **off)


@pytest.mark.exhaustive
def test_editable_plugin(environment: Environment):
    environment.install_nnunet()
    before = listing(environment)
    environment.pip("install", "--no-deps", "-e", REPOSITORY)
    assert environment.finds_trainers()
    environment.pip("uninstall", "--yes", "nnunetv2_tf")
    assert listing(environment) == before


@pytest.mark.exhaustive
def test_editable_nnunet(environment: Environment, wheel: Path, tmp_path: Path):
    sources = tmp_path / "sources"
    environment.pip("download", "--no-deps", "--no-binary", ":all:", "-d", sources, requirement("nnunetv2"))
    (archive,) = sources.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(sources, filter="data")
    (checkout,) = (path for path in sources.iterdir() if path.is_dir())
    environment.pip("install", "--no-deps", "-e", checkout)
    before = tracked(checkout)
    environment.pip("install", "--no-deps", wheel)
    where = environment.run("python", "-c", "import nnunetv2; print(nnunetv2.__path__[0])").stdout.strip()
    assert Path(where).is_relative_to(checkout)
    assert environment.finds_trainers()
    assert tracked(checkout) == before  # nothing of ours in nnU-Net's tree


def listing(environment: Environment) -> set[str]:
    """What pip put into the environment, without what Python made of it."""
    found = (path.relative_to(environment.root) for path in environment.root.rglob("*"))
    return {str(path) for path in found if "__pycache__" not in path.parts and "nnunetv2-" not in str(path)}


def tracked(checkout: Path) -> set[str]:
    return {str(path) for path in checkout.rglob("*") if "__pycache__" not in path.parts}


def nnunet_search(environment: Environment, name: str) -> str:
    """The last line that nnU-Net's own search prints or raises."""
    program = (
        "from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as find;"
        f"print(find({name!r}).__name__)"
    )
    done = environment.run("python", "-W", "ignore", "-c", program, expect=None)
    return (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1]
