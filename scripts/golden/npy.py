"""Arrays as NumPy writes them: python npy.py FOLDER

Every file holds the numbers 0 to 23, whatever its type, order and version, or
is named for what is special about it.
"""

import sys
from pathlib import Path

import numpy as np


def main(folder):
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    x = np.arange(24).reshape(2, 3, 4)
    for kind in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "|u1", "|i1", "<u2", "<i2", ">u4", "<i4", "<u8", ">i8"]:
        name = {"<": "le_", ">": "be_", "|": ""}[kind[0]] + kind[1:]
        np.save(out / f"{name}.npy", x.astype(kind))
    np.save(out / "fortran_f4.npy", np.asfortranarray(x.astype("<f4")))
    np.save(out / "fortran_u1.npy", np.asfortranarray(x.astype("u1")))
    np.save(out / "fortran_1d.npy", np.asfortranarray(x.astype("f4").reshape(-1)))
    np.save(out / "flat.npy", x.astype("f4").reshape(-1))
    for version in [(2, 0), (3, 0)]:
        with open(out / f"version{version[0]}.npy", "wb") as f:
            np.lib.format.write_array(f, x.astype("f4"), version=version)
    np.save(out / "special_f2.npy", np.array([0, -0.0, 6e-8, -6.1e-5, 65504, np.inf, -np.inf, np.nan, 1 / 3], "f2"))
    np.save(out / "bool.npy", np.array([True, False, True]))
    np.save(out / "scalar.npy", np.float64(2.5))
    np.save(out / "empty.npy", np.zeros((3, 0, 2), "f4"))
    np.save(out / "complex.npy", x.astype("c8"))
    np.save(out / "text.npy", np.array(["abc"]))
    np.save(out / "record.npy", np.zeros(2, [("a", "f4"), ("b", "i4")]))
    np.save(out / "object.npy", np.array([None, {}], dtype=object), allow_pickle=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
