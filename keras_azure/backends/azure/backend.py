"""The backend `azure`: jobs on the machines of Azure ML. Each of its sizes is a name: `azure-nc6`, ..."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_azure.backends import Check
from keras_azure.backends.azure.cluster import Compute, check_available, ensure_cluster
from keras_azure.backends.azure.following import UNSUCCESSFUL, word
from keras_azure.backends.azure.handle import Job
from keras_azure.backends.azure.job import Mode, Settings, asset_name, build_job, read_job_file, write_job_file
from keras_azure.backends.azure.jobs import find_job, list_jobs
from keras_azure.backends.azure.machines import current_machines, current_size, machine_of, todays_prices
from keras_azure.backends.azure.manifest import FileSet, looks_secret
from keras_azure.backends.azure.names import new_name, next_name
from keras_azure.backends.azure.results import output_prefix
from keras_azure.backends.azure.service import Service, azure_errors, look_up, mute, quiet, unobserved
from keras_azure.backends.azure.sizes import Size, find_size
from keras_azure.backends.azure.staging import Staged, stage
from keras_azure.backends.azure.storage import Storage
from keras_azure.backends.azure.wheels import EXTRA_OF_ENGINE
from keras_azure.backends.azure.workspace import find_workspace
from keras_azure.backends.machine import Machine
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.description.folder import DESCRIPTION
from keras_azure.description.result import RunResult
from keras_azure.errors import CloudError, RunInterrupted, UsageError
from keras_azure.files import write_text
from keras_azure.keras_engine import asked_engine
from keras_azure.registry.registry import as_spec
from keras_azure.registry.specs import Spec

if TYPE_CHECKING:
    from azure.ai.ml.entities import CommandJob

_DEFAULT_DATASTORE = "workspaceblobstore"  # which every workspace has; asked for where there is a login


@dataclass(frozen=True)
class AzureBackend:
    """Jobs on a cluster of an Azure ML workspace.

    Args:
        compute: the machines.
        settings: of the job.
        asked: the size that was asked for, which may be retired; the one that takes its place is that of `compute`.
        note: what the user should know of the size.
    """

    compute: Compute
    settings: Settings
    register: str | None
    workspace: str | None
    asked: Size
    note: str = ""

    def run(self, config: RunConfig, run_dir: Path, observer: Observer, *, resume: bool = False) -> RunResult:
        """Submits a job, follows it, and fetches what it leaves; with `resume` goes on with the run of the folder."""
        return self.submit(config, run_dir, observer, resume=resume).result(observer)

    def submit(self, config: RunConfig, run_dir: Path, observer: Observer, *, resume: bool = False) -> Job:
        """Submits a job, or finds the one that the run folder has. Where that was cancelled or has failed, a new one
        goes on from its checkpoints.

        Raises:
            NotSignedIn, NotAvailable, CloudError: Azure refuses; nothing runs that costs money.
        """
        service = Service(find_workspace(self.workspace))
        name = new_name(as_spec(config.model).name)
        before = Job.load(run_dir, service) if resume else None
        if before is not None:
            name, found = _find_last(service, before.name)
            if found is not None:
                return dataclasses.replace(before, name=name)
            if name != before.name:
                observer.message(before.failure(before.status()).problem)
                observer.message(f"{name} goes on with its run after the last checkpoint")
        self._check_possible(config)
        if self.note:
            observer.message(self.note)
        job = Job(
            name,
            service.workspace,
            run_dir,
            self.register,
            self.compute.size.name,
            self.compute.nodes,
            service,
        )
        observer.message(f"Workspace {service.workspace.workspace_name} in {service.description.location}")
        check_available(service, self.compute)
        with tempfile.TemporaryDirectory() as temporary:
            staged = stage(config, Path(temporary), observer)
            if not self.compute.serverless:
                ensure_cluster(service, self.compute, observer)
            storage = Storage(service)
            for files in (staged.data, staged.weights):
                if files is not None:
                    _upload(service, storage, files, observer)
            # Before the job is: whatever happens then, it is found again by its name.
            write_text(run_dir / DESCRIPTION, config.to_json())
            job.save()
            address = storage.address(output_prefix(job.name))
            job_file = Path(temporary, "job.yml")
            write_job_file(self._job(staged, config, job.name, run_dir.name, address), job_file)
            try:
                self._create(service, read_job_file(job_file), observer)
            except CloudError as error:
                again = f"{command('kaz', 'resume', run_dir)}, which submits the same job"
                error.hint = "; then ".join(filter(None, (error.hint, again)))
                raise
            except KeyboardInterrupt:
                raise RunInterrupted(
                    f"Stopped while the job {job.name} was submitted; Azure may have it.",
                    hint=f"{command('kaz', 'resume', run_dir)}, which goes on with it; or, to end it: "
                    f"kaz jobs cancel {job.name}",
                ) from None
        return job

    def dry_run(self, config: RunConfig, folder: Path, observer: Observer) -> dict[str, Any]:
        """Writes what would be submitted: job.yml and the job's code. Needs no login and no network.

        Returns:
            The job's facts, JSON-safe: what would be uploaded, what looks secret, the machines.
        """
        self._check_possible(config)
        if self.note:
            observer.message(self.note)
        staged = stage(config, folder, observer)
        address = f"azureml://datastores/{_DEFAULT_DATASTORE}/paths/{output_prefix('dry-run')}/"
        job = self._job(staged, config, "dry-run", folder.name, address)
        write_job_file(job, folder / "job.yml")
        uploads = [(f"code/{name}", size) for name, size in staged.code_files]
        for kind, files in (("data", staged.data), ("weights", staged.weights)):
            if files is not None:
                uploads += [(f"{kind}/{file.name}", file.size) for file in files.files]
        price = self.compute.size.prices[-1:]
        return {
            "job_file": str(folder / "job.yml"),
            "size": self.compute.size.name,
            "nodes": self.compute.nodes,
            "cluster": None if self.compute.serverless else self.compute.name,
            "files": len(uploads),
            "bytes": sum(size for _, size in uploads),
            "largest": sorted(uploads, key=lambda entry: -entry[1])[:5],
            "suspicious": [name for name, _ in uploads if looks_secret(name)],
            "requirements": list(staged.requirements),
            "usd_per_hour": price[0].usd_per_hour * self.compute.nodes if price else None,
            "price_date": price[0].date if price else None,
        }

    def open_job(self, description: Mapping[str, Any]) -> Job:
        """The handle of a job in any workspace; descriptions of before there was another backend name none."""
        return Job.from_json(description)

    def jobs(self, limit: int | None) -> list[dict[str, Any]]:
        """Facts of the workspace's jobs that kaz started, the newest first."""
        return list_jobs(self.workspace, limit)

    def find_job(self, name: str) -> Job:
        return find_job(self.workspace, name)

    def machine(self, observer: Observer, *, prices: bool = False, region: str | None = None) -> Machine:
        found = todays_prices(region, observer) if prices else None
        return machine_of(self.compute, self.asked, self.note, found)

    def machines(self, observer: Observer, *, prices: bool = False, region: str | None = None) -> list[Machine]:
        return current_machines(todays_prices(region, observer) if prices else None)

    def doctor(self) -> Iterator[Check]:
        from keras_azure.backends.azure.doctor import examine  # which needs what it is to look for

        return examine(self.workspace, self.compute, self.note)

    def _job(self, staged: Staged, config: RunConfig, name: str, display_name: str, address: str) -> "CommandJob":
        asked = config.backend_spec
        options = {option: value for option, value in asked.options.items() if option != "workspace"}  # a path of ours
        return build_job(
            staged,
            self.compute,
            self.settings,
            name=name,
            display_name=display_name,
            backend=str(Spec(asked.name, options)),
            epochs=config.total_epochs,
            output=address,
        )

    def _create(self, service: Service, job: Any, observer: Observer) -> None:
        observer.message(f"Submitting {job.name}")
        try:
            with quiet(), mute(), unobserved(), azure_errors("The job cannot be submitted"):
                made = service.client.jobs.create_or_update(job)
        except CloudError:
            # The connection may have ended after Azure took it, and a second try would have been refused.
            made = None
            with contextlib.suppress(CloudError):
                made = _find_job(service, job.name)
            if made is None:
                raise
        observer.message(f"See it at {made.studio_url}")

    def _check_possible(self, config: RunConfig) -> None:
        engine = asked_engine(config.engine)
        if engine not in EXTRA_OF_ENGINE:
            raise UsageError(
                f"A job runs on TensorFlow or JAX, and {engine} is asked for: the results would be others.",
                hint="--engine tensorflow, or --backend local",
            )
        if self.compute.nodes > 1:
            raise UsageError(
                f"A run on {self.compute.nodes} nodes is not possible yet: each would train the same model by itself.",
                hint="nodes=1, with a size that has a larger GPU: kaz sizes",
            )


def _upload(service: Service, storage: Storage, files: FileSet, observer: Observer) -> None:
    """Uploads files and registers them, unless that was done before."""
    name = asset_name(files.digest)
    if (
        look_up("The workspace's data cannot be looked up", lambda: service.client.data.get(name, version="1"))
        is not None
    ):
        observer.message(f"The data is in the workspace already, as azureml:{name}:1")
        return
    prefix = f"keras_azure/data/{files.digest}"
    sent = storage.upload(files, prefix, observer)
    with quiet(), azure_errors("The data cannot be registered"):
        from azure.ai.ml.entities import Data

        service.client.data.create_or_update(
            Data(
                name=name,
                version="1",
                type="uri_folder",
                path=storage.address(prefix),
                description=f"{len(files.files)} files, {files.size} bytes, uploaded by keras_azure",
            )
        )
    observer.message(f"Uploaded {len(files.files)} files, {sent / 1e6:,.1f} MB, as azureml:{name}:1")


def _find_last(service: Service, name: str) -> tuple[str, Any | None]:
    """The last job of a run that the job `name` was to do; without a job, the name that it is to have."""
    while (found := _find_job(service, name)) is not None and word(found.status) in UNSUCCESSFUL:
        name = next_name(name)
    return name, found


def _find_job(service: Service, name: str) -> Any | None:
    return look_up(f"The job {name} cannot be looked up", lambda: service.client.jobs.get(name))


def azure(
    *,
    size: str = "nc4as-t4-v3",
    nodes: int = 1,
    max_nodes: int = 3,
    min_nodes: int = 0,
    spot: bool = False,
    idle_minutes: int = 2,
    cluster: str | None = None,
    serverless: bool = False,
    data_mode: Mode = "auto",
    max_hours: float | None = None,
    max_restarts: int = 10,
    register: str | None = None,
    strict_size: bool = False,
    workspace: str | None = None,
) -> AzureBackend:
    """An autoscaling cluster of an Azure ML workspace. `azure-nc6` is `azure(size=nc6)`; kaz sizes lists all sizes.

    Args:
        size: of the machines, as kaz sizes has it.
        nodes: of the job.
        max_nodes, min_nodes: between which a new cluster scales; at 0 nodes it costs nothing.
        spot: low-priority nodes, cheaper, which may be evicted: the job goes on after its last checkpoint.
        idle_minutes: after which a node of a new cluster goes.
        cluster: its name; by default kaz- and the size. It is created if it is not there, and never changed.
        serverless: no cluster: Azure ML finds machines for the job.
        data_mode: whether nodes read data over a mount, or download it first; auto goes by its size and the epochs.
        max_hours: after which Azure ends the job.
        max_restarts: how many lost nodes the job survives.
        register: the name in the workspace under which the model is registered.
        strict_size: refuse a size that Azure has retired, instead of taking its successor.
        workspace: a config.json, or SUBSCRIPTION/GROUP/WORKSPACE. By default the nearest config.json.
    """
    asked = find_size(size)
    found, note = current_size(asked, strict=strict_size)
    compute = Compute(found, nodes, max_nodes, min_nodes, spot, idle_minutes, cluster, serverless)
    return AzureBackend(compute, Settings(data_mode, max_hours, max_restarts), register, workspace, asked, note)
