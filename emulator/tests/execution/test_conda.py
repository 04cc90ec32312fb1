import pytest

from kaz_azure_emulator.execution.conda import Requirements, read_conda_file
from kaz_azure_emulator.execution.errors import JobFailed


@pytest.mark.parametrize(
    ("dependency", "line"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4"),
        ("numpy 1.26.4", "numpy==1.26.4"),
        ("numpy 1.26.4 py311h64a7726_0", "numpy==1.26.4"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy>=1.26,<2", "numpy>=1.26,<2"),
        ("numpy >=1.26, <2", "numpy>=1.26,<2"),
        ("conda-forge::scikit-learn=1.5", "scikit-learn==1.5.*"),
        ("pytorch::pytorch=2.8", "torch==2.8.*"),
        ("Pillow", "pillow"),
        ("numpy *", "numpy"),
    ],
)
def test_packages_of_conda_are_packages_of_pip(dependency, line):
    assert read_conda_file(f"dependencies: ['{dependency}']").lines == (line,)


def test_the_pip_section_is_taken_as_it_is():
    pip_section = "  - a[b]>=1; python_version>'3'\n  - ./c.whl\n"
    text = f"name: any\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- pip=24\n- pip:\n{pip_section}"
    assert read_conda_file(text) == Requirements(("a[b]>=1; python_version>'3'", "./c.whl"), "3.11")


def test_what_only_a_gpu_has_a_use_for_is_left_out():
    text = "dependencies: [pip: ['tensorflow[and-cuda]==2.21.0', 'far[gpu]', 'jax[cuda12]==0.10.2']]"
    found = read_conda_file(text)
    assert found.lines == ("tensorflow==2.21.0", "far[gpu]", "jax==0.10.2")
    assert found.notes == (
        "[and-cuda] of tensorflow[and-cuda]==2.21.0 is left out: there is no GPU.",
        "[cuda12] of jax[cuda12]==0.10.2 is left out: there is no GPU.",
    )


def test_what_is_no_python_package_is_noted():
    found = read_conda_file("dependencies: [cudatoolkit=11.8, libgcc, openmpi, numpy]")
    assert found.lines == ("numpy",)
    assert len(found.notes) == 3


@pytest.mark.parametrize("text", [None, "", "name: any", "dependencies:"])
def test_nothing_is_asked_for(text):
    assert read_conda_file(text) == Requirements()


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "- a",
        "dependencies: numpy",
        "dependencies: [1]",
        "dependencies: [{npm: [a]}]",
        "dependencies: [{pip: [1]}]",
    ],
)
def test_other_files_fail_the_build(text):
    with pytest.raises(JobFailed) as failure:
        read_conda_file(text)
    assert failure.value.code == "ImageBuildFailure"
