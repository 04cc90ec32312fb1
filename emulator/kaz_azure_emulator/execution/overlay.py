"""A job's own environment, laid over a shared one: it sees all that is installed there and changes nothing of it.

On Azure, `pip install` in a job's command writes to a container that is thrown away.
"""

import os
import subprocess
from pathlib import Path

from kaz_azure_emulator.execution.environments import Environment
from kaz_azure_emulator.execution.errors import JobFailed


def lay_over(environment: Environment, folder: Path) -> Path:
    """Makes an environment in `folder`; returns its folder of programs.

    Raises:
        JobFailed: it cannot be made.
    """
    command = [str(environment.interpreter), "-m", "venv", "--without-pip", "--symlinks", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise JobFailed("SystemError", f"No virtual environment could be made: {made.stdout}{made.stderr}")

    # `addsitedir` also reads the .pth files of the shared packages. They come behind those of the job itself.
    (packages,) = (folder / "lib").glob("python*/site-packages")
    shared = environment.folder / packages.relative_to(folder)
    (packages / "_shared.pth").write_text(f"import site; site.addsitedir({str(shared)!r})\n", encoding="utf-8")

    programs = folder / "bin"
    built_in, here = os.fsencode(environment.built_in / "bin"), os.fsencode(programs)
    for program in (environment.folder / "bin").iterdir():
        target = programs / program.name
        if target.exists():
            continue  # python and activate, of which each environment has its own
        with program.open("rb") as file:
            is_script = file.read(2) == b"#!"
        if is_script:
            target.write_bytes(program.read_bytes().replace(built_in, here))
            target.chmod(0o755)
        else:
            target.symlink_to(program)
    return programs
