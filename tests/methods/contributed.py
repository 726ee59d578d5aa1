"""The method that CONTRIBUTING.md shows, as a module."""

import re

from tests.environments import REPOSITORY

CODE = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M | re.S)
(EXAMPLE,) = CODE

exec(compile(EXAMPLE, "CONTRIBUTING.md", "exec"), globals())
