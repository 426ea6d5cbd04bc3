import sys
from pathlib import Path

TEST = Path(__file__).parents[1]
sys.path[:0] = [str(TEST / 'support'), str(TEST / 'packaging')]
