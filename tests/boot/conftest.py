"""The payload of a 7B plan, and a machine to run its programs on."""

import os
import sys
from pathlib import Path

import pytest
from boot_machine import Machine
from boot_payload import make_plan, render, write

STAND_INS = Path(__file__).parent / "stand_ins"


@pytest.fixture(scope="session")
def payload() -> str:
    return render(make_plan())


@pytest.fixture
def machine(payload: str, tmp_path: Path) -> Machine:
    root = tmp_path / "machine"
    write(payload, root)
    programs = tmp_path / "bin"
    programs.mkdir()
    for stand_in in STAND_INS.glob("*.py"):
        program = programs / stand_in.stem
        program.write_text(f"#!{sys.executable}\n{stand_in.read_text()}")
        program.chmod(0o755)
    return Machine(
        root,
        {
            "PATH": f"{programs}{os.pathsep}/usr/bin:/bin",
            "ROOT": str(root),
            "STORE": str(tmp_path / "store"),
            "INSTANCE_ID": "i-0123456789abcdef0",
            "RETRY_SECONDS": "0",
        },
    )
