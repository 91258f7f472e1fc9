"""Makes this folder's own modules (the naive twin, the random networks) importable by its tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
