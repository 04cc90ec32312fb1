"""The emulator's process: `python -m kaz_azure_emulator.server FOLDER`. Runs the proxy and the service, and keeps
Azurite and MLflow as its children. Writes what clients need to `connection.json` in the state folder when all is up.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kaz_azure_emulator.certificates import Certificates, certificates
from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.cloud import Cloud
from kaz_azure_emulator.connection import CONNECTION_FILE, Connection, client_environment, lock
from kaz_azure_emulator.deployments import Deployments
from kaz_azure_emulator.descriptions import Descriptions
from kaz_azure_emulator.faults import Faults
from kaz_azure_emulator.proxy import Proxy
from kaz_azure_emulator.scheduler import Scheduler
from kaz_azure_emulator.settings import Settings, write_secret
from kaz_azure_emulator.state import State
from kaz_azure_emulator.storage import Storage, containers
from kaz_azure_emulator.tokens import Tokens
from kaz_azure_emulator.tracking import Tracking

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(prog="kaz_azure_emulator.server")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--with-parent", action="store_true", help="end when the input does")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.INFO,
        handlers=[logging.StreamHandler(sys.stderr)],
    )
    for noisy in ("azure", "httpx", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with lock(folder).acquire(timeout=0):
        try:
            asyncio.run(_run(folder, arguments.with_parent))
        finally:
            (folder / CONNECTION_FILE).unlink(missing_ok=True)


async def _run(folder: Path, with_parent: bool) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if with_parent:
        threading.Thread(target=_watch_parent, args=(loop, ended), daemon=True, name="watch-parent").start()
    before = dict(os.environ)  # what jobs' environments are built with: the machine's own way to a package index
    settings = Settings.of(folder)
    files = certificates(folder, settings)
    state = State(folder / "state.db")
    clock = Clock(state)
    storage = Storage(settings, files, folder / "blob")
    tracking = Tracking(settings, state, folder / "mlflow", before)
    with contextlib.ExitStack() as stack:
        stack.callback(state.close)
        stack.callback(storage.stop)
        stack.callback(tracking.stop)
        tracking.start()  # the slowest goes first; everything else is done meanwhile
        storage.start()
        proxy = Proxy({}, clock.sleep)
        service = _listener()
        await proxy.start(_last_port(folder))
        proxy.ports = dict.fromkeys(settings.service_hosts, service.getsockname()[1])
        environment = client_environment(settings, files.authority, proxy.port)
        os.environ.update(environment)  # the service itself reaches blob storage as everybody does
        tokens = Tokens(settings, state, clock)
        faults = Faults()
        jobs = folder / "jobs"
        scheduler = Scheduler(settings, state, clock, storage, tracking, tokens, faults, jobs, environment, before)
        descriptions = Descriptions(settings, state, clock, storage, tokens, environment)
        deployments = Deployments(settings, state, clock, descriptions, proxy, folder / "deployments", before)
        cloud = Cloud(settings, folder, state, clock, tokens, storage, tracking, scheduler, deployments, proxy, faults)
        with ThreadPoolExecutor(2) as pool:
            ready = asyncio.gather(
                loop.run_in_executor(pool, _wait_for_storage, cloud), loop.run_in_executor(pool, tracking.wait)
            )
            server = await asyncio.to_thread(_web_server, cloud, files)
            serving = asyncio.create_task(server.serve([service]))
            await ready
        cloud.created  # noqa: B018 (notes the time)
        scheduler.recover()
        deployments.recover()
        _announce(folder, Connection(os.getpid(), proxy.port, service.getsockname()[1], environment))
        log.info("ready")
        await asyncio.wait([asyncio.create_task(ended.wait()), serving], return_when=asyncio.FIRST_COMPLETED)
        (folder / CONNECTION_FILE).unlink(missing_ok=True)
        await asyncio.to_thread(scheduler.stop)
        await asyncio.to_thread(deployments.stop)
        server.should_exit = server.force_exit = True
        await proxy.stop()
        await serving
    shutil.rmtree(folder / "jobs", ignore_errors=True)


def _watch_parent(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    loop.call_soon_threadsafe(ended.set)


def _listener() -> socket.socket:
    # With its protocol said: asyncio sends small answers at once through such sockets alone, others wait 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


def _last_port(folder: Path) -> int:
    """The proxy's port at the last start: clients that know it can go on after a restart."""
    path = folder / "port"
    return int(path.read_text()) if path.exists() else 0


def _web_server(cloud: Cloud, files: Certificates):
    import uvicorn

    from kaz_azure_emulator.service.application import application

    config = uvicorn.Config(
        application(cloud),
        ssl_certfile=str(files.certificate),
        ssl_keyfile=str(files.key),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # this module has its own
    return server


def _wait_for_storage(cloud: Cloud) -> None:
    cloud.storage.wait()
    cloud.proxy.ports[cloud.settings.blob_host] = cloud.storage.port
    for container in containers(cloud.settings).values():
        cloud.storage.create_container(container)


def _announce(folder: Path, connection: Connection) -> None:
    (folder / "port").write_text(str(connection.proxy_port))
    write_secret(folder / "config.json", json.dumps(Settings.of(folder).config, indent=2))
    connection.write(folder)


if __name__ == "__main__":
    main()
