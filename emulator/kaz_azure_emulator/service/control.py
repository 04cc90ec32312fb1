"""The emulator's own operations, which Azure does not have: on the loopback address, for who holds its token."""

import secrets

from kaz_azure_emulator.cloud import Cloud
from kaz_azure_emulator.faults import Fault
from kaz_azure_emulator.service.errors import AzureError, invalid_request
from kaz_azure_emulator.service.operations import Call, Family
from kaz_azure_emulator.storage import containers

control = Family("control", host="127.0.0.1")
FAMILIES = (control,)


@control.operation("status", "GET", "/status", anonymous=True)
def status(call: Call):
    _check(call)
    cloud = call.cloud
    return {
        "refused_hosts": cloud.proxy.refused_hosts,
        "unknown_requests": cloud.unknown,
        "faults": cloud.faults.to_come(),
        "time": cloud.clock.text(),
    }


@control.operation("fault", "POST", "/faults", anonymous=True)
def fault(call: Call):
    _check(call)
    try:
        call.cloud.faults.add(Fault(**call.body))
    except TypeError as error:
        raise invalid_request(("fault", str(error))) from error
    return {"faults": call.cloud.faults.to_come()}


@control.operation("clear_faults", "DELETE", "/faults", anonymous=True)
def clear_faults(call: Call):
    _check(call)
    call.cloud.faults.clear()
    return {"faults": []}


@control.operation("storage", "PUT", "/storage", anonymous=True)
def storage(call: Call):
    """Takes blob storage away, or brings it back; makes uploads to it slow, or fast again."""
    _check(call)
    proxy, host = call.cloud.proxy, call.cloud.settings.blob_host
    change = proxy.unreachable.discard if call.body["reachable"] else proxy.unreachable.add
    change(host)
    if speed := call.body.get("upload_speed"):
        proxy.upload_speeds[host] = speed
    else:
        proxy.upload_speeds.pop(host, None)
    return call.body


@control.operation("advance", "POST", "/clock", anonymous=True)
def advance(call: Call):
    _check(call)
    call.cloud.clock.advance(call.body["seconds"])
    return {"time": call.cloud.clock.text()}


@control.operation("quota", "PUT", "/quotas/{name}", anonymous=True)
def quota(call: Call):
    """Sets how many cores of a family of sizes, or of low priority, there may be."""
    _check(call)
    call.cloud.state.put("quotas", call["name"], {"cores": call.body["cores"]})
    return call.body


@control.operation("size", "PUT", "/sizes/{name}", anonymous=True)
def size(call: Call):
    """Says whether a size of machine is offered in the location, and whether there is capacity for it."""
    _check(call)
    call.cloud.state.put("sizes", call["name"].lower(), call.body)
    return call.body


@control.operation("page_size", "PUT", "/page-size", anonymous=True)
def page_size(call: Call):
    """Sets how many entries a page of a list has."""
    _check(call)
    if call.body["entries"] < 1:
        raise invalid_request(("entries", "A page has one entry at least."))
    call.cloud.state.put("paging", "size", {"entries": call.body["entries"]})
    return call.body


@control.operation("evict", "POST", "/evictions/{name}", anonymous=True)
def evict(call: Call):
    """Takes a running job its nodes of low priority."""
    _check(call)
    if not call.cloud.scheduler.evict(call["name"]):
        raise AzureError(409, None, f"The job {call['name']} has no nodes of low priority.")
    return {}


@control.operation("reset", "POST", "/reset", anonymous=True)
def reset(call: Call):
    """Makes everything as it was at the first start: nothing runs, nothing is kept, nothing goes wrong."""
    _check(call)
    clear(call.cloud)
    return {}


def clear(cloud: Cloud) -> None:
    """Ends all jobs and deployments, and forgets everything but who may sign in."""
    cloud.scheduler.cancel_all()
    cloud.deployments.clear()
    key = cloud.state.get("tokens", "key")
    cloud.state.clear()
    if key:
        cloud.state.put("tokens", "key", key)  # clients keep the tokens that they have
    cloud.faults.clear()
    cloud.proxy.unreachable.clear()
    cloud.proxy.upload_speeds.clear()
    cloud.proxy.refused_hosts.clear()
    cloud.unknown.clear()
    cloud.tracking.clear()
    cloud.storage.empty(containers(cloud.settings).values())


def _check(call: Call) -> None:
    given = call.request.headers.get("authorization", "")
    if not secrets.compare_digest(given, f"Bearer {call.cloud.settings.control_token}"):
        raise AzureError(401, None, "This needs the control token of settings.json in the state folder.")
