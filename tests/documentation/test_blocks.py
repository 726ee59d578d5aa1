"""No command of README and guides escapes the tests, and none has an option that its command does not know."""

import importlib
import re

import pytest

from tests.documentation.blocks import PAGES, commands, commands_outside_blocks, sections, text_of
from tests.environments import REPOSITORY

COVERED = {  # the file that runs what stands below a page's heading
    ("README", "Install"): "test_install",
    ("CONTRIBUTING", "Set-up"): "test_install",
    ("reference/trainer_names", "When nnU-Net does not find them"): "test_install",
    ("README", "From raw folders to a trained model"): "test_tumor_fabrication",
    ("guide/enrich", "All in one command"): "test_tumor_fabrication",
    ("guide/methods/tf_aug", "TF-Aug: from maps to images"): "test_tumor_fabrication",
    ("guide/methods/tumorcp", "TumorCP"): "test_tumor_fabrication",
    ("guide/methods/pix2pix", "Pix2Pix"): "test_tumor_fabrication",
    ("guide/methods/freetumor", "FreeTumor"): "test_tumor_fabrication",
    ("guide/methods/freetumor", "Unlabelled scans"): "test_tumor_fabrication",
    ("guide/methods/difftumor", "DiffTumor"): "test_tumor_fabrication",
    ("guide/methods/syntumor", "SynTumor"): "test_tumor_fabrication",
    ("guide/methods/cutmix", "CutMix"): "test_sets_and_benchmark",
    ("guide/methods/mixup", "Mixup"): "test_sets_and_benchmark",
    ("guide/methods/your_own", "A method of your own"): "test_tumor_fabrication",
    ("guide/where_tumours_go", "Where tumours go"): "test_tumor_fabrication",
    ("guide/quality", "The filter, if you ask for it"): "test_quality",
    ("guide/quality", "Look at a set"): "test_quality",
    ("guide/quality", "Figures compare methods"): "test_quality",
    ("guide/online", "New cases in every batch"): "test_tumor_fabrication",
    ("guide/pseudo_labels", "Unlabelled scans as donors"): "test_tumor_fabrication",
    ("guide/sets", "Make one"): "test_sets_and_benchmark",
    ("guide/sets", "Bring your own cases"): "test_sets_and_benchmark",
    ("guide/sets", "Use it"): "test_sets_and_benchmark",
    ("guide/benchmark", "Does it help? The benchmark"): "test_sets_and_benchmark",
    ("guide/benchmark", "The paper's tables"): "test_paper",
    ("guide/gpus_and_clusters", "Slurm"): "test_sets_and_benchmark",
    ("guide/gpus_and_clusters", "Neither"): "test_without_gpu",
}
REPEATED = {  # whose lines all stand in sections above, too
    ("guide/brats", "BraTS, and other labelled data"),
    ("guide/healthy_scans", "Healthy scans"),
    ("guide/methods/carvemix", "CarveMix"),
    ("guide/methods/tf_gan", "TF-GAN: from coarse images to tumours"),
}
OURS = sorted(
    {
        line
        for page in PAGES
        for lines in sections(page).values()
        for line in lines
        if re.match(r"nnUNetv2_tf_|python -m nnunetv2_tf\.", line)
    }
)


def test_every_block_is_run_by_a_file_that_names_its_section():
    assert {(page, heading) for page in PAGES for heading in sections(page)} == {*COVERED, *REPEATED}
    for (page, heading), name in COVERED.items():
        text = (REPOSITORY / "tests" / "documentation" / f"{name}.py").read_text(encoding="utf-8")
        assert f'commands("{page}", "{heading}")' in text
    run_lines = {line for section in COVERED for line in commands(*section)}
    for section in REPEATED:
        assert set(commands(*section)) <= run_lines


def test_no_command_stands_outside_a_block():
    for page in PAGES:
        if page != "reference/commands":  # quotes -h
            assert list(commands_outside_blocks(text_of(page))) == []
    assert list(commands_outside_blocks("    nnUNetv2_tf_sets -d 501\n")) == ["    nnUNetv2_tf_sets -d 501"]


@pytest.mark.parametrize("line", OURS)
def test_our_commands_know_every_option(line, capsys):
    words = line.split()
    module, arguments = f"nnunetv2_tf.commands.{words[0].removeprefix('nnUNetv2_tf_')}", words[1:]
    if words[0] == "python":
        module, arguments = f"{words[2]}.__main__", words[3:]
    importlib.import_module(module)._parser().parse_args(arguments)
