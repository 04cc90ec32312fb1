"""Lists in pages: an answer with `nextLink` has more behind it, from `$skip` on."""

from typing import Any

from kaz_azure_emulator.service.errors import AzureError
from kaz_azure_emulator.service.operations import Call

# A guess: how long Azure's own pages are is not documented.
PAGE_SIZE = 100


def page(call: Call, answer: dict[str, Any]) -> dict[str, Any]:
    """The page of a whole list (`{"value": [...]}`) that a request asks for."""
    kept = call.cloud.state.get("paging", "size")
    size = kept["entries"] if kept else PAGE_SIZE
    token = call.query.get("$skip", "0")
    if not token.isdecimal():
        raise AzureError(400, "UserError", f"The continuation token '{token}' is not valid.")
    start = int(token)
    end = start + size
    found = {**answer, "value": answer["value"][start:end]}
    if end < len(answer["value"]):
        found["nextLink"] = str(call.request.url.include_query_params(**{"$skip": end}))
    return found
