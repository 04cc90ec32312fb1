"""What a job's environment has installed, and that it is built once, whole or not at all."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from kaz_azure_emulator.execution.environments import prepared_environment
from kaz_azure_emulator.execution.errors import JobFailed

LOG = "dcid.job/user_logs/std_log.txt"
BUILD_LOG = "dcid.job/azureml-logs/20_image_build_log.txt"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAZ_AZURE_EMULATOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "environments"


@pytest.fixture
def quick_builds(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Environments are folders with next to nothing; returns the commands that would have filled them."""
    from kaz_azure_emulator.execution import environments

    commands = []

    def note(build, command):
        commands.append([str(part) for part in command])
        if "venv" in commands[-1]:
            Path(command[-1]).mkdir()
            Path(command[-1], "python").write_text("some bytes")

    monkeypatch.setattr(environments._Build, "_run", note)
    monkeypatch.setattr(environments, "installer", lambda python, variables: [python, "-m", "pip", "install"])
    return commands


def prepare(conda_file: str | None, code: Path) -> Path:
    code.mkdir(exist_ok=True)
    with prepared_environment(conda_file, code, code.with_name("log.txt"), threading.Event()) as environment:
        return environment.folder


def folders(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.is_dir()]


def test_packages_of_the_pip_section_are_installed_once(storage, run):
    conda_file = "dependencies:\n- python=3\n- pip\n- pip:\n  - colorama==0.4.6\n"
    command = "python -c 'import colorama; print(colorama.__version__)'"
    assert run(command, environment={"conda_file": conda_file}).status == "Completed"
    assert storage.text(LOG) == "0.4.6\n"
    assert "colorama" in storage.text(BUILD_LOG)

    storage.client.delete_blob(BUILD_LOG)
    assert run(command, environment={"conda_file": conda_file}).status == "Completed"
    assert BUILD_LOG not in storage.names()


def test_a_wheel_of_the_code_folder_is_installed_and_told_apart_by_its_content(storage, run, make_wheel):
    environment = {"conda_file": "dependencies:\n- pip:\n  - ./wheels/greeting-1.0-py3-none-any.whl\n"}
    for word in "hello", "goodbye":
        wheel = make_wheel("greeting", f"def say():\n    print('{word}')\n")
        outcome = run(
            "greeting-say && which greeting-say",
            code={"wheels/greeting-1.0-py3-none-any.whl": wheel},
            environment=environment,
        )
        assert outcome.status == "Completed", outcome
        said, program = storage.text(LOG).split()
        assert said == word
        assert "/job/work/environment/bin/" in program


def test_a_package_that_does_not_exist_fails_the_job_and_leaves_nothing(storage, run, own_cache):
    outcome = run("true", environment={"conda_file": "dependencies: [{pip: [colorama==99.9]}]"})
    assert (outcome.status, outcome.error["code"], outcome.exit_code) == ("Failed", "ImageBuildFailure", None)
    assert "No matching distribution found for colorama==99.9" in outcome.error["message"]
    assert "No matching distribution" in storage.text(BUILD_LOG)
    assert folders(own_cache) == []


def test_what_a_job_installs_itself_is_gone_with_it(storage, run, make_wheel):
    code = {"extra-1.0-py3-none-any.whl": make_wheel("extra", "def say():\n    print('here')\n")}
    assert run("pip install -q --no-index ./extra-1.0-py3-none-any.whl && extra-say", code=code).status == "Completed"
    assert storage.text(LOG).splitlines()[-1] == "here"
    assert run("extra-say").exit_code == 127
    assert run("python -c 'import extra'").exit_code == 1


def test_another_python_is_told_of(storage, run, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert run("true", environment={"conda_file": "dependencies: [python=3.3, cudatoolkit=11]"}).status == "Completed"
    assert "Python 3.3 is asked for" in storage.text(BUILD_LOG)
    assert "cudatoolkit is no Python package" in storage.text(BUILD_LOG)


def test_what_was_not_used_for_longest_makes_room(own_cache, tmp_path, quick_builds, monkeypatch):
    monkeypatch.setenv("KAZ_AZURE_EMULATOR_CACHE_BYTES", "1")
    (own_cache / "dead.partial").mkdir(parents=True)
    wheels = [tmp_path / "code" / f"{name}.txt" for name in "ab"]
    wheels[0].parent.mkdir()
    made = []
    for wheel in wheels:
        wheel.write_text("# nothing")
        made.append(prepare(f"dependencies: [{{pip: [-r {wheel.name}]}}]", wheel.parent))
    assert folders(own_cache) == [made[1].name]


def test_an_environment_in_use_stays(own_cache, tmp_path, quick_builds, monkeypatch):
    monkeypatch.setenv("KAZ_AZURE_EMULATOR_CACHE_BYTES", "1")
    code = tmp_path / "code"
    code.mkdir()
    with prepared_environment(None, code, tmp_path / "log.txt", threading.Event()) as first:
        (code / "a.txt").write_text("# nothing")
        prepare("dependencies: [{pip: [-r a.txt]}]", code)
        assert first.folder.exists()
        assert len(folders(own_cache)) == 2


def test_two_jobs_at_once_build_one(own_cache, tmp_path, quick_builds):
    (tmp_path / "code").mkdir()
    made = []
    threads = [threading.Thread(target=lambda: made.append(prepare(None, tmp_path / "code"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0] == made[1]
    assert len(quick_builds) == 1
    assert folders(own_cache) == [made[0].name]


def test_files_outside_of_the_code_are_refused(own_cache, tmp_path):
    (tmp_path / "secret.whl").write_text("")
    with pytest.raises(JobFailed, match="outside"):
        prepare("dependencies: [{pip: [../secret.whl]}]", tmp_path / "code")


def test_requirements_files_count_with_what_they_name(own_cache, tmp_path, quick_builds):
    code = tmp_path / "code"
    (code / "sub").mkdir(parents=True)
    (code / "sub" / "a.txt").write_text("-r b.txt\n")
    conda_file = "dependencies: [{pip: [-r sub/a.txt]}]"
    made = []
    for comment in "one", "two", "two":
        (code / "sub" / "b.txt").write_text(f"# {comment}\n")
        made.append(prepare(conda_file, code).name)
    assert made[0] != made[1] == made[2]
    assert sorted(path.name for path in code.rglob("*.txt")) == ["a.txt", "b.txt"]


def test_uv_installs_where_pip_has_no_settings(tmp_path, monkeypatch):
    from kaz_azure_emulator.execution import environments

    program = tmp_path / "uv"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = SimpleNamespace(stdout=b"")
    monkeypatch.setattr(environments.subprocess, "run", lambda *_, **__: settings)
    assert environments.installer(Path("python"), os.environ)[0] == str(program)
    settings.stdout = b"global.index-url='https://packages.example'"
    assert environments.installer(Path("python"), os.environ)[1:4] == ["-m", "pip", "install"]


def test_secrets_of_the_emulator_do_not_reach_the_build(monkeypatch):
    from kaz_azure_emulator.execution import environments

    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hidden")
    monkeypatch.setenv("PIP_INDEX_URL", "kept")
    assert "AZURE_CLIENT_SECRET" not in environments.surroundings(os.environ)
    assert environments.surroundings(os.environ)["PIP_INDEX_URL"] == "kept"
    assert environments.surroundings(os.environ)["PATH"] == os.environ["PATH"]
