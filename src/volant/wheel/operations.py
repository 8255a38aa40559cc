"""Running a product in Python: keys, the audit trail, and what of the traffic goes where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from volant.core.clock import Clock
from volant.core.product import Product
from volant.wheel.context import work_on
from volant.wheel.results import AuditTrail, KeyResult


@dataclass(frozen=True)
class Operations:
    """What those do who run a product; `volant.open(path).operations`. Methods open its store and close it again."""

    product: Product
    clock: Clock

    def create_key(
        self,
        name: str,
        roles: Sequence[str],
        *,
        rate: str | None = None,
        quota: str | None = None,
        expires: str | None = None,
    ) -> KeyResult:
        """Make a key of the service; see `volant.wheel.keys.create_key`."""
        from volant.wheel.keys import create_key

        with work_on(self.product, clock=self.clock) as context:
            return create_key(context, name, roles, rate=rate, quota=quota, expires=expires)

    def keys(self) -> list[KeyResult]:
        """All keys of the service."""
        from volant.wheel.keys import list_keys

        with work_on(self.product, clock=self.clock) as context:
            return list_keys(context)

    def rotate_key(self, id: str, *, overlap: str = "24h") -> KeyResult:
        """Put a new key into the place of another one; see `volant.wheel.keys.rotate_key`."""
        from volant.wheel.keys import rotate_key

        with work_on(self.product, clock=self.clock) as context:
            return rotate_key(context, id, overlap=overlap)

    def revoke_key(self, id: str) -> KeyResult:
        """End a key now."""
        from volant.wheel.keys import revoke_key

        with work_on(self.product, clock=self.clock) as context:
            return revoke_key(context, id)

    def audit(self) -> AuditTrail:
        """Who changed what; see `volant.wheel.keys.audit`."""
        from volant.wheel.keys import audit

        with work_on(self.product, clock=self.clock) as context:
            return audit(context)
