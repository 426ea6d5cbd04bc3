import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from parity_parameters import fill_parameters as _fill_parameters


@pytest.fixture(scope='session')
def fill_parameters() -> Callable[[nn.Module, str], None]:
    """Return the function that fills a network's parameters by rule."""
    return _fill_parameters
