"""Write phono3py_params.yaml of the NaCl dataset with the plain host's public API.

    python tests/host/nacl_params.py SOURCE PATH

SOURCE is the host's phono3py_params_NaCl.yaml.xz, which has a supercell of its own
for the second order; PATH gets the dataset of the third order alone.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(source: Path, path: Path) -> None:
    """Convert the file."""
    importlib.import_module("plain")  # before phono3py is imported
    import phono3py

    published = phono3py.load(source, produce_fc=False, log_level=0)
    written = phono3py.Phono3py(
        published.unitcell,
        supercell_matrix=published.supercell_matrix,
        primitive_matrix=published.primitive_matrix,
    )
    written.dataset = published.dataset
    written.nac_params = published.nac_params
    written.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
