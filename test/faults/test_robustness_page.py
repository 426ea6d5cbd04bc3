"""docs/robustness.md names the kinds of fault that the tests try, no other."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / 'docs' / 'robustness.md'


def kinds_in_tests():
    """Return the kinds as the source of the tests names them; marks made in a loop name them."""
    return {kind for path in HERE.glob('test_*.py') for kind in re.findall(
        r"mark\.fault\('([^']+)'\)|^    +\(\w+, '([^']+)',",
        path.read_text(encoding='utf-8'), re.MULTILINE) for kind in kind if kind}


def test_the_page_has_a_row_for_each_kind_of_fault_and_all_are_survived():
    rows = re.findall(r'^\| (.+?) \| .+ \| (yes|NO) \|$', PAGE.read_text(encoding='utf-8'),
                      re.MULTILINE)
    assert {kind for kind, _ in rows} == kinds_in_tests()
    assert {survived for _, survived in rows} == {'yes'}
