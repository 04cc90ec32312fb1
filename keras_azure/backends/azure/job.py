"""The command job of a staged run. Nothing here talks to Azure."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from keras_azure.backends.asked import NODE_OF
from keras_azure.backends.azure.cluster import Compute
from keras_azure.backends.azure.service import quiet, silence_sdk
from keras_azure.backends.azure.staging import DATA, OUTPUT, WEIGHTS, Staged, conda_file
from keras_azure.files import write_text

if TYPE_CHECKING:
    from azure.ai.ml.entities import CommandJob

EXPERIMENT = "keras_azure"
TAG = "keras_azure"  # its value is our version; by it `kaz jobs` knows its own
# With CUDA 12, and conda, with which Azure ML adds the packages; TensorFlow brings CUDA libraries of its own.
IMAGE = "mcr.microsoft.com/azureml/openmpi5.0-cuda12.6-ubuntu24.04:latest"
_VARIABLES = {
    "TF_USE_LEGACY_KERAS": "0",  # some of Azure's images ask for Keras 2
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "AZURE_CORE_COLLECT_TELEMETRY": "0",
    "PYTHONUNBUFFERED": "1",
    "NO_COLOR": "1",
}
_DOWNLOADED_BYTES = 50e9  # more than that may not fit on a node's disk
_RUN = f"${{{{outputs.{OUTPUT}}}}}"

Mode = Literal["auto", "mount", "download"]


@dataclass(frozen=True)
class Settings:
    """What is said of a job beside its run and its machines.

    Args:
        data_mode: whether nodes read data over a mount, or copy it before they begin.
        max_hours: after which Azure ends the job.
        max_restarts: after so many lost nodes it is given up.
    """

    data_mode: Mode = "auto"
    max_hours: float | None = None
    max_restarts: int = 10


def build_job(
    staged: Staged,
    compute: Compute,
    settings: Settings,
    *,
    name: str,
    display_name: str,
    backend: str,
    epochs: int,
    output: str,
) -> "CommandJob":
    """The SDK's `CommandJob`.

    Args:
        staged: the run.
        name: the job's, which is its only one in the workspace.
        display_name: what Azure's pages call it.
        backend: what a report on a node calls the backend, whose price it looks up.
        epochs: of the run, all stages together.
        output: the address of the folder that the job writes its run folder to.
    """
    with quiet():
        from azure.ai.ml import Input, Output, TensorFlowDistribution
        from azure.ai.ml.entities import (
            CommandJob,
            CommandJobLimits,
            Environment,
            JobResourceConfiguration,
            QueueSettings,
        )

        from keras_azure import __version__

        silence_sdk()
        inputs: dict[str, Input | str | bool | int | float] = {}
        address = _data_address(staged)
        if address is not None:
            inputs[DATA] = Input(type="uri_folder", path=address, mode=data_mode(staged, settings.data_mode, epochs))
        if staged.weights is not None:
            path = f"azureml:{asset_name(staged.weights.digest)}:1"
            inputs[WEIGHTS] = Input(type="uri_folder", path=path, mode="download")
        limits = CommandJobLimits(timeout=int(settings.max_hours * 3600)) if settings.max_hours else None
        instance_type = compute.size.name if compute.serverless else None  # a cluster has its own
        queue = QueueSettings(job_tier="spot" if compute.spot else "standard") if compute.serverless else None
        return CommandJob(
            name=name,
            display_name=display_name,
            experiment_name=EXPERIMENT,
            code=str(staged.code),
            command=command_of(staged, settings.max_restarts),
            environment=Environment(image=IMAGE, conda_file=conda_file(staged.requirements)),
            environment_variables={**_VARIABLES, NODE_OF: backend},
            compute=None if compute.serverless else compute.name,
            inputs=inputs,
            outputs={OUTPUT: Output(type="uri_folder", path=output, mode="rw_mount")},
            resources=JobResourceConfiguration(instance_count=compute.nodes, instance_type=instance_type),
            distribution=TensorFlowDistribution(worker_count=compute.nodes) if compute.nodes > 1 else None,
            limits=limits,
            queue_settings=queue,
            tags={TAG: __version__, "size": compute.size.name},
        )


def _data_address(staged: Staged) -> str | None:
    """Of what a node is given as its data; None where it fetches that by name."""
    if staged.asset is not None or staged.data is None:
        return staged.asset
    return f"azureml:{asset_name(staged.data.digest)}:1"


def asset_name(digest: str) -> str:
    """The data asset of files with this digest."""
    return f"kaz-{digest[:32]}"


def data_mode(staged: Staged, wanted: Mode, epochs: int) -> str:
    """How the data comes to a node, in the SDK's words.

    What is read once is read over a mount: archives, which are unpacked, and the data of one epoch. What is read in
    each epoch is copied first, if it fits onto the disk.
    """
    if wanted != "auto":
        return {"mount": "ro_mount", "download": "download"}[wanted]
    if staged.data is None:
        return "ro_mount"  # nobody here knows its size
    once = staged.data.is_packed or epochs == 1
    return "ro_mount" if once or staged.data.size > _DOWNLOADED_BYTES else "download"


def command_of(staged: Staged, max_restarts: int) -> str:
    """What bash runs on a node: the packages, the data under the name that run.json has, and `kaz run`.

    A node that comes after a lost one finds the run folder as it was left, and goes on in it.
    """
    steps = []
    if any(name.startswith("wheels/") for name, _ in staged.code_files):
        steps.append("python -m pip install --quiet --no-deps --no-index wheels/*.whl")
    if staged.data is not None and staged.data.is_packed:
        unpack = f'for pack in "${{{{inputs.{DATA}}}}}"/pack-*.tar; do tar -xf "$pack" -C {DATA} || exit 1; done'
        steps += [f"mkdir -p {DATA}", unpack]
    elif staged.data is not None or staged.asset is not None:
        steps.append(f'ln -sfn "${{{{inputs.{DATA}}}}}" {DATA}')
    if staged.weights is not None:
        weights = staged.weights.files[0].name
        steps.append(f'ln -sfn "${{{{inputs.{WEIGHTS}}}}}/{weights}" {weights}')
    steps.append(f'python -m keras_azure.backends.azure.attempts "{_RUN}" {max_restarts}')
    run = ["python -m keras_azure run --config run.json", *staged.arguments, f'--output "{_RUN}"']
    goes_on = f'$(test -e "{_RUN}/run.json" && echo --resume)'
    # A node may be lost after the last file is written and before Azure knows.
    steps.append(f'{{ test -e "{_RUN}/metrics.json" || {" ".join(run)} {goes_on}; }}')
    return " && ".join(steps)


def write_job_file(job: "CommandJob", path: Path) -> None:
    """The job as the text that `az ml job create --file` reads, with its code beside it."""
    import yaml

    with quiet():
        text = yaml.safe_load(_dumped(job, path.parent))
    text["code"] = "./code"
    write_text(path, yaml.safe_dump(text, sort_keys=False, width=120))


def read_job_file(path: Path) -> Any:
    """What the SDK can submit: it dumps one class of jobs, and takes another."""
    with quiet():
        from azure.ai.ml import load_job

        return load_job(path)


def _dumped(job: "CommandJob", folder: Path) -> str:
    beside = folder / ".job.yml"
    try:
        job.dump(beside)
        return beside.read_text(encoding="utf-8")
    finally:
        beside.unlink(missing_ok=True)
