from nnunetv2_tf.benchmark.tables import Table


def test_three_formats_escape_what_they_must():
    table = Table("A & B_c", ("arm", "5 %"), (("x|y", "<1 ± 2"),), ("100 % of it",))
    assert table.markdown() == "### A & B_c\n\n| arm | 5 % |\n| --- | --- |\n| x\\|y | <1 ± 2 |\n\n100 % of it\n"
    assert r"\caption{A \& B\_c. 100 \% of it}" in table.latex()
    assert "x|y & $<$1 $\\pm$ 2 \\\\" in table.latex()
    assert "<h2>A &amp; B_c</h2>" in table.html()
    assert "<td>&lt;1 ± 2</td>" in table.html()
