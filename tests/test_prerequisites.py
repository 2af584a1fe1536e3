"""The small programs of `appendix/prerequisites.md` print what stands beside them."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parent.parent / "appendix" / "prerequisites.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
# What is printed stands behind the print, or on lines of its own below.
SHOWN = re.compile(r"^(?:\s*print\(.*\)\s+|)# (.+)$", re.M)


def printed(block: str) -> list[str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(block, {"np": np})
    return output.getvalue().splitlines()


def test_there_are_programs():
    assert len(BLOCKS) >= 9


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition("\n")[0][:40])
def test_a_program_prints_what_the_page_says(block: str):
    shown = SHOWN.findall(block)
    assert shown and printed(block) == shown


def test_another_number_is_noticed():
    assert printed(BLOCKS[0].replace("6]", "7]")) != SHOWN.findall(BLOCKS[0])
