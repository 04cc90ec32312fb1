"""Access tokens: JSON Web Tokens, signed as Microsoft Entra ID signs them."""

import json
import uuid
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.settings import IDENTITY_HOST, Settings
from kaz_azure_emulator.state import State

_ALGORITHM = "RS256"


class Tokens:
    """Makes tokens and checks them, with a key that is kept in the state."""

    def __init__(self, settings: Settings, state: State, clock: Clock):
        self._settings = settings
        self._state = state
        self._clock = clock

    def make(self, audience: str, seconds: float, **claims: Any) -> str:
        """A token for a service, good for some time."""
        import jwt

        now, settings = int(self._clock.now()), self._settings
        content = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{settings.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + int(seconds),
            "appid": settings.client_id,
            "appidacr": "1",
            "idtyp": "app",
            "oid": settings.object_id,
            "sub": settings.object_id,
            "tid": settings.tenant_id,
            "uti": uuid.uuid4().hex[:22],
            "ver": "1.0",
            **claims,
        }
        return jwt.encode(content, self._key, _ALGORITHM, headers={"kid": self.public_key["kid"]})

    def problem(self, token: str, audiences: Iterable[str]) -> str | None:
        """What is wrong with a token: "expired", or some words; None for a good one."""
        import jwt

        # By the service's clock, not by the machine's.
        unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        known = [form for audience in audiences for form in (audience, f"{audience}/")]
        try:
            content = jwt.decode(token, self._key.public_key(), [_ALGORITHM], audience=known, options=unchecked)
        except jwt.PyJWTError as error:
            return str(error)
        return "expired" if content.get("exp", 0) <= self._clock.now() else None

    @cached_property
    def public_key(self) -> dict[str, Any]:
        """The key by which anybody can check a token, as a JSON Web Key."""
        from jwt.algorithms import RSAAlgorithm

        key = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        return {
            "kty": key["kty"],
            "use": "sig",
            "kid": key["n"][:27],
            "n": key["n"],
            "e": key["e"],
            "issuer": f"https://{IDENTITY_HOST}/{self._settings.tenant_id}/v2.0",
        }

    @cached_property
    def _key(self):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        if kept := self._state.get("tokens", "key"):
            return serialization.load_pem_private_key(kept["pem"].encode(), None)
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._state.put("tokens", "key", {"pem": pem.decode()})
        return key
