import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.carvemix import CarveMix
from nnunetv2_tf.methods.lookup import find_method, method_names
from tests.methods.examples import Tint


def test_the_methods_of_the_package():
    assert "carvemix" in method_names()
    for name in method_names():
        assert {find_method(name, preset).preset for preset in ("paper", "default")} == {"paper", "default"}
    assert find_method("carvemix").method_class is CarveMix


def test_a_method_of_ones_own():
    assert find_method("tests.methods.examples:Tint").method_class is Tint


@pytest.mark.parametrize(
    ("name", "preset", "sentence"),
    [
        ("carvmix", "default", "There is no method carvmix; choose from .*carvemix"),
        ("base", "default", "There is no method base"),
        ("carvemix", "fancy", "carvemix has no preset fancy; it has paper, default"),
        ("not.there:Class", "default", "ModuleNotFoundError: No module named 'not'; the module must be importable"),
        ("tests.methods.examples:Nothing", "default", "has no attribute 'Nothing'"),
        ("tests.methods.examples:np", "default", "is no method; derive it from"),
        (":X", "default", "the module must be importable"),
        ("nnunetv2_tf.methods.base:Method", "default", "has no attribute 'PRESETS'"),
        ("tests.methods.broken:Raises", "default", "RuntimeError: at import"),
    ],
)
def test_a_wrong_name_is_explained(name, preset, sentence):
    with pytest.raises(UserError, match=sentence):
        find_method(name, preset)
