"""TLS for Azure's host names, by a certificate authority that exists only while a certificate is made."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from kaz_azure_emulator.settings import Settings, write_secret

_AUTHORITY, _CERTIFICATE, _KEY = "authority.pem", "certificate.pem", "key.pem"
_VALIDITY = datetime.timedelta(days=365)


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: what clients trust, and what the service and Azurite show them.

    The authority's file holds nothing beside this one authority: a client that is given it as its CA bundle can speak
    to the emulator and to nobody else.
    """

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path, settings: Settings) -> Certificates:
    """The state folder's certificates, made where they are missing or soon expire. The authority's key is not kept."""
    files = Certificates(folder / _AUTHORITY, folder / _CERTIFICATE, folder / _KEY)
    if all(path.exists() for path in (files.authority, files.certificate, files.key)) and _is_valid(files.certificate):
        return files
    import trustme

    authority = trustme.CA(organization_name="Azure emulator on this machine")
    leaf = authority.issue_cert(
        *settings.service_hosts,
        "*.api.azureml.ms",
        f"*.{settings.location}.inference.ml.azure.com",
        "*.blob.core.windows.net",
        "localhost",
        "127.0.0.1",
        not_after=datetime.datetime.now(datetime.UTC) + _VALIDITY,
    )
    write_secret(files.authority, authority.cert_pem.bytes().decode())
    write_secret(files.certificate, "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems))
    write_secret(files.key, leaf.private_key_pem.bytes().decode())
    return files


def _is_valid(certificate: Path) -> bool:
    from cryptography import x509

    expires = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return expires > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
